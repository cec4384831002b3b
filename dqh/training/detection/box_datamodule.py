"""Batches of photos with boxes for Lightning: an order and views that follow from (seed, epoch, row).

N photos of a batch, K boxes of one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.data.boxes import Boxes
from dqh.training.datamodule import TrainingLoader
from dqh.training.detection.box_augment import BoxAugment, mirrored
from dqh.training.detection.detection_module import DetectionBatch
from dqh.training.detection.fitted_photos import DetectionData, fitted
from dqh.training.detection.kept_maps import KeptMaps
from dqh.training.seeds import derive


class DetectionDataModule(pl.LightningDataModule):
    """The training and validation photos of one run.

    Args:
        data: the photos with their roles; without validation photos the last epoch is taken.
        augment: random views of training photos; None to show each as it is.
        batch_size: photos a step; an epoch leaves out the rest that does not fill a batch.
        eval_batch_size: photos a validation batch.
        seed: of order and views.
        flips_alone: whether of `augment` flips alone act, as over a frozen trunk, whether its maps are kept or not.
        features: maps of a frozen trunk, of training photos and, where `augment` mirrors, their mirror images; None:
            batches are of photos.
        validation_features: those of validation photos; None with `features`.

    Attributes:
        truths: row → its boxes in pixels of the input.
        waited: seconds that the loop has waited for batches, those before a resume included.
    """

    def __init__(
        self,
        data: DetectionData,
        *,
        augment: BoxAugment | None,
        batch_size: int,
        eval_batch_size: int,
        seed: int,
        flips_alone: bool = False,
        features: KeptMaps | None = None,
        validation_features: KeptMaps | None = None,
    ) -> None:
        super().__init__()
        self.source = data.source
        self.inputs = data.inputs
        self.truths = data.inputs.truths
        self.train = data.roles.train
        self.validation = data.roles.validation
        self.augment = augment
        self.batch_size = min(batch_size, len(self.train))
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.waited = 0.0
        self._flips_alone = flips_alone or features is not None
        self._features = features
        self._validation_features = validation_features

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self.train) // self.batch_size

    @property
    def keeps_maps(self) -> bool:
        """Whether batches are of maps of a frozen trunk, not of photos."""
        return self._features is not None

    @property
    def views(self) -> str:
        """What is done to a training photo before each step, in words."""
        if self.augment is None:
            return "none"
        if not self._flips_alone or self.augment.flip_alone:
            return self.augment.words()
        flip = BoxAugment(flip=self.augment.flip).words()
        return f"{flip}; the rest of augment acts where the trunk trains along (optimizer.lr_multipliers)"

    def train_dataloader(self) -> TrainingLoader:
        """The batches of the running epoch that are still to come."""
        return TrainingLoader(self)

    def val_dataloader(self) -> "list[Any] | ValidationLoader":
        """The validation photos in order; an empty list where there are none."""
        return ValidationLoader(self) if len(self.validation) else []

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(batches, batch_size) rows of one epoch."""
        rng = np.random.default_rng(derive(self.seed, "order", epoch))
        return rng.permutation(self.train)[: self.steps * self.batch_size].reshape(self.steps, self.batch_size)

    def batches(self, groups: NDArray[np.int64], device: torch.device) -> Iterator[DetectionBatch]:
        """Training batches of these rows, on the CPU, in views of the running epoch."""
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        for rows in groups.tolist():
            yield self._mirrored(rows, epoch) if self._flips_alone else self._viewed(rows, epoch)

    def _mirrored(self, rows: Sequence[int], epoch: int) -> DetectionBatch:
        """A batch of maps, or of photos as maps are computed of, some of them mirrored."""
        flips = [self.augment is not None and self.augment.flip and self._flipped(row, epoch) for row in rows]
        truths = [
            mirrored(self.truths[row], self.inputs.sizes[row][0]) if flip else self.truths[row]
            for row, flip in zip(rows, flips, strict=True)
        ]
        kept = self._features
        inputs = torch.from_numpy(self.inputs.pixels(rows, flips)) if kept is None else kept.of(rows, flips)
        return batch_of(inputs, truths, rows)

    def _flipped(self, row: int, epoch: int) -> bool:
        return bool(np.random.default_rng(derive(self.seed, "augment", epoch, row)).random() < 0.5)

    def _viewed(self, rows: Sequence[int], epoch: int) -> DetectionBatch:
        """A batch of photos."""
        augment = self.augment
        if augment is None:
            return batch_of(torch.from_numpy(self.inputs.pixels(rows)), [self.truths[row] for row in rows], rows)

        def view(row: int) -> tuple[NDArray[np.uint8], Boxes]:
            return augment(*self.inputs.read(row), seed=derive(self.seed, "augment", epoch, row))

        # one after the other: the transforms draw from torch's global generator
        boxed = [fitted(*view(row), self.inputs.size) for row in rows]
        pixels = np.stack([own.pixels for own, _ in boxed]).transpose(0, 3, 1, 2)
        return batch_of(torch.from_numpy(np.ascontiguousarray(pixels)), [truth for _, truth in boxed], rows)

    def validation_batch(self, rows: Sequence[int]) -> DetectionBatch:
        """The batch of some validation photos, as they are."""
        kept = self._validation_features
        inputs = torch.from_numpy(self.inputs.pixels(rows)) if kept is None else kept.of(rows, [False] * len(rows))
        return batch_of(inputs, [self.truths[row] for row in rows], rows)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run adds to, and the boxes that it began with."""
        return {"waited": self.waited, "boxes_sha256": self.source.boxes_sha256}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there."""
        self.waited = float(state_dict["waited"])


class ValidationLoader:
    """Iterates over the validation photos in order."""

    def __init__(self, data: DetectionDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return -(-len(self.data.validation) // self.data.eval_batch_size)

    def __iter__(self) -> Iterator[DetectionBatch]:
        rows, size = self.data.validation.tolist(), self.data.eval_batch_size
        for start in range(0, len(rows), size):
            yield self.data.validation_batch(rows[start : start + size])


def batch_of(inputs: Tensor | tuple[Tensor, ...], truths: Sequence[Boxes], rows: Sequence[int]) -> DetectionBatch:
    """A batch whose difficult boxes are left out: they are no targets."""
    easy = [
        truth._replace(boxes=truth.boxes[~truth.difficult], classes=truth.classes[~truth.difficult]) for truth in truths
    ]
    return DetectionBatch(
        inputs,
        tuple(torch.from_numpy(np.ascontiguousarray(truth.boxes)) for truth in easy),
        tuple(torch.from_numpy(truth.classes) for truth in easy),
        torch.tensor(rows),
    )
