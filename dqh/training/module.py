"""The base of all methods: encoder, optional classifier, named loss terms, validation by retrieval.

A method is one subclass. It says which head stands on the backbone, which loss terms a batch has, and which quantizer
makes the codes; the rest, from logging to the artifact, it gets from here.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.errors import ConfigError, NonFiniteLossError
from dqh.models import Encoder, EncoderOutput
from dqh.quantizers import Quantizer
from dqh.training.bank import Bank
from dqh.training.gather import gather
from dqh.training.optimizer import Optimizer
from dqh.training.processes import count, everyone, rank
from dqh.training.shared_backbone import BITS, MeanGradient, take_units
from dqh.training.validation import leave_one_out_map

BANKS = "banks"
"""Where a checkpoint keeps what the banks hold."""


class TrainingBatch(NamedTuple):
    """What a step sees.

    Attributes:
        images: (N, 3, S, S) raw, uint8 or float32 0 … 255, or (N, F) float32 vectors.
        labels: (N,) int64, or (N, C) bool.
        rows: (N,) int64, row of each image in its source.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor


class Measured(NamedTuple):
    """What a batch of validation images gave.

    Attributes:
        place: of the batch among those of all processes.
        embedding: (N, D) float32.
        labels: (N,) or (N, C).
        values: by name, means over the batch.
    """

    place: int
    embedding: NDArray[np.float32]
    labels: Tensor
    values: dict[str, float]


class HashModule(pl.LightningModule):
    """A network that learns codes. Subclasses implement `losses` and `quantizer`.

    Args:
        encoder: images → embedding and features.
        classifier: embedding → class scores, (N, D) → (N, C), or None.
        optimizer: how the weights move.

    Attributes:
        method: the method's name, as in `conf/method/`.
        kind: of its codes, as the quantizer names it.
        one_embedding: whether codes of all lengths are made of one embedding, see `quantizer_of`; else each length has
            a head of its own.
        refit_every: epochs between two calls of `fit_quantizer`, which comes before the training too; 0 for then alone,
            None where the quantizer has nothing to fit.
        least_images: training images that the quantizer needs to be fitted.
        waits_for_device: whether its losses ask for values of the device, as those that others wrote may.
        done: share of the training that is done where no trainer is at work, 0 … 1.
        forward_of_step: the encoder's forward pass as training steps compute it; None for the encoder itself.
    """

    method: ClassVar[str]
    kind: ClassVar[str] = "binary"
    one_embedding: ClassVar[bool] = False
    waits_for_device: ClassVar[bool] = False
    refit_every: int | None = None
    least_images: int = 1
    done: float = 0.0

    def __init__(self, encoder: Encoder, *, classifier: nn.Linear | None, optimizer: Optimizer) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier
        self.optimizer = optimizer
        self.forward_of_step: Callable[[Tensor], EncoderOutput] | None = None
        self._validation: list[Measured] = []

    @abstractmethod
    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Named loss terms of a batch, weighted as they are to be summed; each a scalar tensor.

        Where several processes train, each calls it with its part of the batch, and their terms are averaged: a loss
        that is no mean over images must be of `together(…)`. Nothing here may wait for the device, as `.item()` does,
        but where `waits_for_device` says so.
        """

    def losses_of_step(self, output: EncoderOutput, batch: TrainingBatch) -> dict[str, Tensor]:
        """The terms of a training step: `losses`, unless it matters which of the training images are in the batch."""
        return self.losses(output, batch.labels)

    def meet(self, rows: Tensor, labels: Tensor) -> None:
        """Hear of the training images before any is seen: banks make room for them.

        Args:
            rows: (N,) int64, in their source.
            labels: (N,) int64 or (N, C) bool.
        """
        for child in self.children():
            if isinstance(child, Bank):
                child.open(rows, labels)

    def require_images(self, number: int, told: str) -> None:
        """`ConfigError` where training images are too few, for this length or a further one.

        Args:
            number: of training images.
            told: how many there are, in words: "the split has 9".
        """
        for length in (self, *self.others.values()):
            if number < length.least_images:
                of_bits = f" of {length.bits} bits" if self.others else ""
                raise ConfigError(
                    f"method: {self.method}{of_bits} needs at least {length.least_images} training images to fit its "
                    f"quantizer, {told}; {length.advice_for_images(number)}"
                )

    def advice_for_images(self, number: int) -> str:
        """What to choose where there are only so many training images."""
        return "choose fewer method.codewords"

    @abstractmethod
    def quantizer(self) -> Quantizer:
        """The quantizer of this network's embeddings."""

    @property
    def bits(self) -> int:
        """Length of a code."""
        return self.quantizer().bits

    @property
    def about(self) -> dict[str, Any]:
        """What tells it from other methods, for loggers."""
        names = {"method": self.method, "backbone": self.encoder.backbone.name}
        head = self.encoder.head
        return names | {"bits": self.bits, "hidden": head.hidden, "noise": head.noise}

    def fit_quantizer(self, embedding: NDArray[np.float32], *, seed: int) -> None:
        """Fit the quantizer to (N, D) embeddings of training images; called where `refit_every` is set."""

    def quantizer_of(self, bits: int, embedding: NDArray[np.float32], *, seed: int) -> Quantizer:
        """A quantizer of another length, fitted to (N, D) embeddings of training images; of those with `one_embedding`.

        Raises:
            ValueError: there is no such length.
        """
        raise NotImplementedError(f"{type(self).__name__} says one_embedding and has no quantizer_of")

    def add_lengths(self, *others: "HashModule") -> None:
        """Train further lengths beside this one: each has its own head and loss, and stands on this backbone.

        Args:
            others: of the same method and other bits, made with the same backbone, which they give up.
        """
        for other in others:
            del other.encoder.backbone
            self.add_module(f"{BITS}{other.bits}", other)  # a child, so that Lightning tells it of the trainer
        self.encoder.backbone.register_forward_hook(MeanGradient(1 + len(others)))

    @property
    def others(self) -> dict[int, "HashModule"]:
        """Bits → what learns this further length."""
        named = ((name.removeprefix(BITS), child) for name, child in self.named_children())
        return {int(bits): child for bits, child in named if isinstance(child, HashModule)}

    def diagnostics(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Named values of a batch of validation images that are logged beside the loss; each a scalar tensor."""
        return {}

    @property
    def others_follow(self) -> bool:
        """Whether further lengths learn after the training: those of vectors do, see `train_lengths`."""
        return bool(self.others) and self.encoder.spec.kind == "vector"

    @property
    def beside(self) -> dict[int, "HashModule"]:
        """Bits → what learns this further length in the same steps."""
        return {} if self.others_follow else self.others

    def start_from(self, other: "HashModule") -> None:
        """Begin with the weights behind the backbone of another length, see `take_units`; a hidden layer is the same.

        What does not learn stays: of fixed codes of the classes, some bits need not tell all classes apart.
        """
        own = {name: weight for name, weight in self.named_parameters() if weight.requires_grad}
        take_units(own, other.state_dict(), bits=(self.bits, other.bits))
        if self.encoder.head.hidden is not None:
            self.encoder.head.first.load_state_dict(other.encoder.head.first.state_dict())
            self.encoder.head.norm.load_state_dict(other.encoder.head.norm.state_dict())

    def freeze_layers(self) -> None:
        """Freeze what the optimizer's `lr_multipliers` set to 0, to be called when all parameters are there.

        Raises:
            ConfigError: one of its prefixes fits no parameter, or nothing would train.
        """
        self.optimizer.groups(self)
        self.train()

    @property
    def learning(self) -> bool:
        """Whether a step moves weights; `training` does not tell: layers are in evaluation mode in a fine-tuning."""
        return torch.is_grad_enabled()

    @property
    def in_training(self) -> bool:
        """Whether a trainer is at work on it."""
        return self._trainer is not None

    @property
    def progress(self) -> float:
        """Share of the training steps that are done, 0 … 1; `done` outside of a training."""
        return self.done if self._trainer is None else self.global_step / max(1, self.steps)

    @property
    def steps(self) -> int:
        """Steps of the training that is under way, 0 outside of one."""
        return 0 if self._trainer is None else int(self._trainer.estimated_stepping_batches)

    @property
    def least_batch(self) -> int:
        """Images that a step needs: two where the batch normalisation of a hidden layer takes their variance."""
        return 1 if self.encoder.head.hidden is None else 2

    def scores(self, embedding: Tensor) -> Tensor | None:
        """Class scores (N, C) of an embedding (N, D); None where the method has no classifier."""
        return None if self.classifier is None else self.classifier(embedding)

    def together(self, values: Tensor) -> Tensor:
        """In a training step the rows of all processes, with their gradients; else the rows as they are."""
        return gather(values) if self.learning else values

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> dict[str, Tensor] | None:
        """The summed loss, with the terms for whoever logs them; None for a batch of fewer good images than it needs.

        It needs `least_batch` in one process; of several each has a part of a batch, whose statistics they share. Terms
        of further lengths have their bits behind the name.
        """
        if len(batch.images) < (self.least_batch if count() == 1 else 1):
            return None
        output = (self.forward_of_step or self.encoder)(batch.images)
        with full_float32():
            terms = self.losses_of_step(output, batch)
            for bits, other in self.beside.items():
                own = EncoderOutput(other.encoder.head(output.features), output.features)
                terms |= {f"{name}_{bits}": value for name, value in other.losses_of_step(own, batch).items()}
        return {"loss": torch.stack(list(terms.values())).sum(), **{k: v.detach() for k, v in terms.items()}}

    def validation_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Keep the embedding, and log the loss and the accuracy of the classifier."""
        if len(batch.images) == 0:
            return
        output = self.encoder(batch.images)
        embedding = output.embedding.float()
        self.require_finite(embedding, batch.rows)
        with full_float32():
            values = {"loss": torch.stack(list(self.losses(output, batch.labels).values())).sum()}
            values |= self.diagnostics(output, batch.labels)
            scores = self.scores(embedding)
        if scores is not None and batch.labels.ndim == 1:
            values["accuracy"] = (scores.argmax(1) == batch.labels).float().mean()
        place = batch_idx * count() + rank()
        means = {name: float(value) for name, value in values.items()}
        self._validation.append(Measured(place, embedding.cpu().numpy(), batch.labels.cpu(), means))

    def train(self, mode: bool = True) -> "HashModule":
        """Training mode for what trains; wholly frozen modules keep their statistics and drop nothing."""
        super().train(mode)
        if mode:
            rest_frozen(self)
        return self

    def on_validation_epoch_end(self) -> None:
        """Log the means over all validation images, and `val/mAP`: each queries the others. Equal in all processes."""
        parts = sorted((part for own in everyone(self._validation) for part in own), key=lambda part: part.place)
        self._validation.clear()
        if not parts:
            return
        sizes = [len(part.embedding) for part in parts]
        for name in parts[0].values:
            self.log(f"val/{name}", float(np.average([part.values[name] for part in parts], weights=sizes)))
        embedding = np.concatenate([part.embedding for part in parts])
        labels = torch.cat([part.labels for part in parts])
        self.log("val/mAP", leave_one_out_map(self.quantizer(), embedding, labels, device=self.device))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the banks beside the weights."""
        checkpoint[BANKS] = {name: bank.state() for name, bank in self._banks()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with them."""
        for name, bank in self._banks():
            bank.restore(checkpoint[BANKS][name])

    def _banks(self) -> list[tuple[str, Bank]]:
        """Those that are open, of further lengths too, by name."""
        named = self.named_modules()
        return [(name, child) for name, child in named if isinstance(child, Bank) and len(child.rows)]

    def require_finite(self, embedding: Tensor, rows: Tensor) -> None:
        """Raise `NonFiniteLossError` unless the embeddings of these rows of the source are finite, in a training."""
        bad = ~torch.isfinite(embedding).all(1)
        if bool(bad.any()):
            source = self.trainer.datamodule.source  # type: ignore[attr-defined]
            ids = [str(source.ids[row]) for row in rows[bad].tolist()]
            raise NonFiniteLossError(
                f"the network became not finite at step {self.trainer.global_step} (epoch "
                f"{self.trainer.current_epoch + 1}): so are the embeddings of {len(ids)} images, such as "
                f"{', '.join(ids[:10])}; lower optimizer.lr"
            )

    def configure_optimizers(self) -> Any:
        """Lightning's form of `Optimizer.build`, the schedule stepped once a batch."""
        clipped = self.trainer.precision == "16-mixed" and self.trainer.gradient_clip_val is not None
        fused = not clipped  # fused ones unscale by themselves
        optimizer, schedule = self.optimizer.build(self, self.steps, fused=fused)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the gradient in place; Lightning, which refuses fused optimizers, only where it unscales."""
        if self.trainer.precision == "16-mixed":
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val is not None:
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(weights, gradient_clip_val)


@contextmanager
def full_float32() -> Iterator[None]:
    """Losses compare cosines and distances: their matrix products keep all digits, whatever those of the network do."""
    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def rest_frozen(network: nn.Module) -> None:
    """Put what is wholly frozen of a network into evaluation mode, also while the rest of it trains.

    Its batch normalisations keep their statistics so, and it drops nothing.
    """
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
