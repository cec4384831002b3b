"""How the weights move: optimizer, learning-rate schedule, and learning rates layer by layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import Parameter

from dqh.config import flatten
from dqh.errors import ConfigError
from dqh.training.shared_backbone import name_of_weight

FUSED = ("cpu", "cuda")
"""Devices for which torch has fused forms of both optimizers."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer with its schedule; weight decay acts on matrices and kernels, never on biases and norms.

    Args:
        name: `sgd` or `adamw`.
        lr: largest learning rate.
        lr_images: training images that `lr` is for: for fewer it is lower, by the square root of their share of these
            (`for_images`); None for any number.
        momentum: of `sgd`.
        nesterov: Nesterov's form of the momentum of `sgd`.
        weight_decay: L2 penalty of `sgd`, decoupled decay of `adamw`.
        classifier_weight_decay: the same of the classifier; None for `weight_decay`, `auto` for `suitable_decay` of the
            training images. Under `adamw` no weight grows beyond 1 / decay: a classifier that must stay small tells
            classes apart only by codes that differ in many bits.
        schedule: over the steps after the warm-up: `cosine` or `linear` to 0, `step`, or `constant`.
        warmup: share of all steps in which the rate rises linearly from 0, 0 … 1.
        milestones: shares of all steps, 0 … 1, at which `step` multiplies the rate by `gamma`.
        gamma: factor of `step`.
        lr_multipliers: prefix of parameter names → factor on their rate; the longest matching prefix counts. 0 freezes:
            such layers keep their statistics too. May be nested: `{encoder: {backbone: 0.1}}` is `encoder.backbone`.
        bias_lr_multiplier: further factor on the rate of biases.

    Raises:
        ValueError: a value outside its range; all of them are named.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    lr_images: int | None = None
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    classifier_weight_decay: float | Literal["auto"] | None = None
    schedule: Literal["cosine", "linear", "step", "constant"] = "cosine"
    warmup: float = 0.1
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    lr_multipliers: Mapping[str, Any] = field(default_factory=dict)
    bias_lr_multiplier: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr_multipliers", flatten(self.lr_multipliers))
        wanted = {
            "lr above 0": 0 < self.lr < math.inf,
            "lr_images at least 1 or null": self.lr_images is None or self.lr_images >= 1,
            "momentum in 0 … 1, 1 excluded": 0 <= self.momentum < 1,
            "weight_decay at least 0": 0 <= self.weight_decay < math.inf,
            "classifier_weight_decay at least 0, auto or null": self.classifier_weight_decay in (None, "auto")
            or (isinstance(self.classifier_weight_decay, int | float) and 0 <= self.classifier_weight_decay < math.inf),
            "warmup in 0 … 1, 1 excluded": 0 <= self.warmup < 1,
            "milestones in 0 … 1": all(0 < milestone < 1 for milestone in self.milestones),
            "schedule step with milestones, or another without": (self.schedule == "step") == bool(self.milestones),
            "gamma above 0": 0 < self.gamma < math.inf,
            "lr_multipliers numbers of at least 0": all(
                isinstance(factor, int | float) and not isinstance(factor, bool) and 0 <= factor < math.inf
                for factor in self.lr_multipliers.values()
            ),
            "bias_lr_multiplier at least 0": 0 <= self.bias_lr_multiplier < math.inf,
        }
        wrong = [f"{text}, got {getattr(self, text.split()[0])}" for text, holds in wanted.items() if not holds]
        if wrong:
            raise ValueError(f"wanted {'; '.join(wrong)}")

    def for_images(self, images: int) -> "Optimizer":
        """The same, with what is `auto` and the rate of `lr_images` chosen for so many training images, at least 1.

        Example:
            >>> [round(Optimizer(lr=0.01, lr_images=16_000).for_images(n).lr, 4) for n in (1_000, 4_000, 100_000)]
            [0.0025, 0.005, 0.01]
        """
        chosen: dict[str, Any] = {}
        if self.classifier_weight_decay == "auto":
            chosen["classifier_weight_decay"] = suitable_decay(images)
        if self.lr_images is not None:
            chosen |= {"lr": self.lr * math.sqrt(min(1.0, images / self.lr_images)), "lr_images": None}
        return replace(self, **chosen) if chosen else self

    def build(
        self, module: nn.Module, steps: int, *, fused: bool = True
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
        """The optimizer over the trainable parameters of `module`, and its schedule over `steps` steps.

        Args:
            module: the network, where it will be trained.
            steps: of the training.
            fused: all weights move in one kernel, where torch has it for their device (`FUSED`).

        Raises:
            ConfigError: a prefix of `lr_multipliers` fits no parameter.
        """
        groups = self.groups(module)
        optimizer: torch.optim.Optimizer
        fused = fused and all(weight.device.type in FUSED for group in groups for weight in group["params"])
        if self.name == "sgd":
            nesterov = self.nesterov and self.momentum > 0
            optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov, fused=fused)
        else:
            optimizer = torch.optim.AdamW(groups, lr=self.lr, fused=fused)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.factor(step, steps))

    def factor(self, step: int, steps: int) -> float:
        """The schedule's factor on `lr` at step `step` = 0 … `steps` − 1."""
        warmup = round(self.warmup * steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "step":
            return self.gamma ** sum(step >= milestone * steps for milestone in self.milestones)
        progress = (step - warmup) / max(1, steps - warmup)
        return 1 - progress if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))

    def groups(self, module: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups, one for each pair of learning rate and weight decay; frozen parameters are in none."""
        named = [(name_of_weight(name), parameter) for name, parameter in module.named_parameters()]
        names = [name for name, _ in named]
        unused = [prefix for prefix in self.lr_multipliers if not any(_belongs(name, prefix) for name in names)]
        if unused:
            raise ConfigError([_unknown_prefix(prefix, names) for prefix in unused])
        groups: dict[tuple[float, float], list[Parameter]] = {}
        for name, parameter in named:
            rate = self.lr * self._multiplier(name)
            if rate == 0 or not parameter.requires_grad:
                parameter.requires_grad = False
                continue
            decay = self._decay(name) if parameter.ndim > 1 and name.endswith("weight") else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        if not groups:
            raise ConfigError(
                "optimizer.lr_multipliers: every parameter is frozen, nothing would train; leave one above 0"
            )
        return [
            {"params": parameters, "lr": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()
        ]

    def _decay(self, name: str) -> float:
        own = self.classifier_weight_decay if _belongs(name, "classifier") else None
        if own == "auto":
            raise ValueError("classifier_weight_decay is auto; call for_images(number of training images) first")
        return self.weight_decay if own is None else own

    def _multiplier(self, name: str) -> float:
        prefixes = [prefix for prefix in self.lr_multipliers if _belongs(name, prefix)]
        factor = self.lr_multipliers[max(prefixes, key=len)] if prefixes else 1.0
        return factor * (self.bias_lr_multiplier if name.endswith(".bias") else 1.0)


def suitable_decay(images: int) -> float:
    """Decay of a classifier for a number of training images: the fewer they are, the more it has to be held.

    5 (images / 1000)^-0.27, at most 5: a line through what was best of the few values that were tried on 1,120, 3,068,
    25,000 and 98,000 features (`adamw`, 64 bits). What comes of it is in benchmarks/results/recipes.md.

    Example:
        >>> [round(suitable_decay(images), 1) for images in (300, 3_000, 100_000)]
        [5.0, 3.7, 1.4]
    """
    return float(min(5.0, 5 * (images / 1000) ** -0.27))


def _belongs(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _unknown_prefix(prefix: str, names: list[str]) -> str:
    prefixes = sorted({".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)})
    close = get_close_matches(prefix, prefixes, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]!r}?" if close else f"; parameters are called like {names[0]!r}"
    return f"optimizer.lr_multipliers: no parameter's name begins with {prefix!r}{hint}"
