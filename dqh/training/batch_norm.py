"""Batch normalisation over the images of all processes, on any device, in networks of our own and of others.

`torch.nn.SyncBatchNorm.convert_sync_batchnorm` would do for plain norms on CUDA: of classes that do more, such as the
one of timm that holds the activation, it keeps the norm alone.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules._functions import SyncBatchNorm

from dqh.errors import ConfigError
from dqh.training.gather import total
from dqh.training.processes import count

BEHIND = {
    "torch.nn.modules.batchnorm._BatchNorm": (),
    "torch.nn.modules.batchnorm.SyncBatchNorm": (),
    "timm.layers.norm_act.BatchNormAct2d": ("drop", "act"),
}
"""By the class whose `forward` it is: the modules that it applies, in this order, to what is normalised."""


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose statistics are those of the whole batch; every process has an equal part of it.

    It stands before the class that a norm had (`share_batch_norm`), and takes its place in training alone. On CUDA it
    is computed as by `torch.nn.SyncBatchNorm`; elsewhere, where torch has no such thing, in plain operations with the
    same result. Gradients flow through the statistics.

    Attributes:
        behind: names of its modules that follow the norm, in their order.
    """

    behind: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, …) to the same."""
        if not self.training or count() == 1:
            return super().forward(images)
        self._check_input_dim(images)  # type: ignore[no-untyped-call]
        share = 0.0 if self.momentum is None else self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else share
        values = (_on_cuda if images.is_cuda else _anywhere)(self, images, share)
        for name in self.behind:
            values = getattr(self, name)(values)
        return values


def share_batch_norm(module: nn.Module) -> None:
    """Let the batch normalisations in `module` see the images of all processes; weights and statistics stay.

    Each keeps its class and what that does behind the norm: it becomes one of `SharedBatchNorm` and that class.

    Raises:
        ConfigError: as `require_shareable`; nothing is changed then.
    """
    require_shareable(module)
    norms = [child for child in module.modules() if _has_statistics(child) and _origin(type(child)) in BEHIND]
    shared = {kind: _shared(kind) for kind in dict.fromkeys(map(type, norms))}
    for norm in norms:
        norm.__class__ = shared[type(norm)]


def require_shareable(module: nn.Module) -> None:
    """Raise `ConfigError`, which names them, where norms over the batch are of classes that are not known."""
    first: dict[type[nn.Module], str] = {}
    for name, child in module.named_modules():
        if _has_statistics(child) and _origin(type(child)) not in BEHIND:
            first.setdefault(type(child), name or "top")
    if first:
        raise ConfigError(
            [
                f"backbone: its {name} is a {kind.__name__}, which several processes cannot share: each would "
                "normalise by its own part of the batch; write trainer.devices=1"
                for kind, name in first.items()
            ]
        )


def _shared(kind: type[nn.Module]) -> type[SharedBatchNorm]:
    members = {"behind": BEHIND[_origin(kind)], "__module__": __name__}
    return type(f"Shared{kind.__name__}", (SharedBatchNorm, kind), members)


def _has_statistics(module: nn.Module) -> bool:
    """Whether it has a mean or variance of batches that moves with the training; frozen ones say so by their name."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return not isinstance(module, SharedBatchNorm)
    return getattr(module, "running_var", None) is not None and not type(module).__name__.startswith("Frozen")


def _origin(kind: type[nn.Module]) -> str:
    """The dotted name of the class that has the `forward` of another."""
    owner = next(base for base in kind.__mro__ if "forward" in vars(base))
    return f"{owner.__module__}.{owner.__qualname__}"


def _on_cuda(norm: SharedBatchNorm, images: Tensor, share: float) -> Tensor:
    """Normalised images, by torch's kernels; `share` of the batch goes into the statistics."""
    mean, variance = (norm.running_mean, norm.running_var) if norm.track_running_stats else (None, None)
    everyone: Any = distributed.group.WORLD
    normalised: Tensor = SyncBatchNorm.apply(
        images, norm.weight, norm.bias, mean, variance, norm.eps, share, everyone, count()
    )
    return normalised


def _anywhere(norm: SharedBatchNorm, images: Tensor, share: float) -> Tensor:
    """The same in plain operations, in float32 or, of float64, in float64."""
    over = [axis for axis in range(images.ndim) if axis != 1]
    shape = [1, -1] + [1] * (images.ndim - 2)
    values = images.to(torch.promote_types(images.dtype, torch.float32))
    size = values.numel() // values.shape[1] * count()
    mean = total(values.sum(over)) / size
    centred = values - mean.view(shape)
    variance = total(centred.square().sum(over)) / size
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        norm.running_mean.lerp_(mean.detach(), share)
        norm.running_var.lerp_(variance.detach() * (size / max(1, size - 1)), share)
    scaled: Tensor = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        scaled = scaled * norm.weight.view(shape) + norm.bias.view(shape)
    return scaled.to(images.dtype)
