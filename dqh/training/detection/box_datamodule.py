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
from dqh.plural import counted
from dqh.training.datamodule import TrainingLoader
from dqh.training.detection.box_augment import BoxAugment
from dqh.training.detection.detection_module import DetectionBatch
from dqh.training.detection.fitted_photos import DetectionData
from dqh.training.detection.kept_maps import KeptMaps
from dqh.training.detection.photo_views import FrozenViews, random_views
from dqh.training.seeds import derive


class DetectionDataModule(pl.LightningDataModule):
    """The training and validation photos of one run.

    Args:
        data: the photos with their roles; without validation photos the last epoch is taken.
        augment: random views of training photos; None to show each as it is.
        batch_size: photos a step; an epoch leaves out the rest that does not fill a batch.
        eval_batch_size: photos a validation batch.
        seed: of order and views.
        frozen: whether photos are shown in the views that a frozen trunk sees, whether its maps are kept or not.
        features: maps of a frozen trunk, of training photos in these views; None: batches are of photos.
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
        frozen: bool = False,
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
        self._frozen = FrozenViews(self.inputs, augment, seed=seed) if frozen or features is not None else None
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
        if self._frozen is None or self.augment.flip_alone:
            return self.augment.words()
        flip = BoxAugment(flip=self.augment.flip).words()
        if self.augment.views:
            return f"{flip}, or one of {counted(self.augment.views, 'random view')}: {self.augment.words()}"
        return (
            f"{flip}; the rest of augment acts in augment.views, or where the trunk trains along "
            "(optimizer.lr_multipliers)"
        )

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
            yield self._viewed(rows, epoch) if self._frozen is None else self._chosen(rows, epoch, self._frozen)

    def _chosen(self, rows: Sequence[int], epoch: int, views: FrozenViews) -> DetectionBatch:
        """A batch of maps, or of photos as maps are computed of, each in one of its views."""
        numbers = [
            int(np.random.default_rng(derive(self.seed, "augment", epoch, row)).integers(views.count)) for row in rows
        ]
        if self._features is not None:
            return batch_of(*self._features.of(rows, numbers), rows)
        pixels, truths = views.of(rows, numbers)
        return batch_of(torch.from_numpy(pixels), truths, rows)

    def _viewed(self, rows: Sequence[int], epoch: int) -> DetectionBatch:
        """A batch of photos, in views of this epoch alone."""
        if self.augment is None:
            return batch_of(torch.from_numpy(self.inputs.pixels(rows)), [self.truths[row] for row in rows], rows)
        seeds = [derive(self.seed, "augment", epoch, row) for row in rows]
        pixels, truths = random_views(self.inputs, self.augment, rows, seeds)
        return batch_of(torch.from_numpy(pixels), truths, rows)

    def validation_batch(self, rows: Sequence[int]) -> DetectionBatch:
        """The batch of some validation photos, as they are."""
        kept = self._validation_features
        inputs = torch.from_numpy(self.inputs.pixels(rows)) if kept is None else kept.of(rows, [0] * len(rows))[0]
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
