"""Batches for Lightning: an order that follows from (seed, epoch), augmented on the device where the network is."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from dqh.data import Augment, Batch, Prepared
from dqh.training.module import TrainingBatch
from dqh.training.overfit import PASSES, few
from dqh.training.seeds import derive

logger = logging.getLogger(__name__)


class HashDataModule(pl.LightningDataModule):
    """The training and validation images of one run.

    Args:
        data: the images with their roles; without validation images the last epoch is taken.
        augment: random views of training images; None to show each centre as it is.
        batch_size: images a step; an epoch leaves out the rest that does not fill a batch.
        eval_batch_size: images a validation batch.
        seed: of order and augmentation.
        overfit: train on so many of the training images only, without augmentation, and validate on the same; an epoch
            shows them `PASSES` times.

    Raises:
        DataError: `overfit`, and no class has two training images.
    """

    def __init__(
        self,
        data: Prepared,
        *,
        augment: Augment | None,
        batch_size: int,
        eval_batch_size: int,
        seed: int,
        overfit: int | None = None,
    ) -> None:
        super().__init__()
        self.prepared = data
        self.source = data.source
        self.store = data.store
        self.train = data.roles.train
        self.validation = data.roles.validation
        self.augment = augment if data.source.kind == "image" and overfit is None else None
        self.passes = 1
        if overfit is not None:
            self.train = self.validation = few(self.train, data.source.labels, overfit, seed=seed)
            self.passes = PASSES
        self.batch_size = min(batch_size, len(self.train))
        if self.batch_size < batch_size and overfit is None:
            logger.warning("batch_size %d is more than there are: steps of all %d images", batch_size, len(self.train))
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.labels = torch.from_numpy(data.source.labels)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self.passes * len(self.train) // self.batch_size

    def train_dataloader(self) -> "TrainingLoader":
        """The batches of the running epoch that are still to come."""
        return TrainingLoader(self)

    def val_dataloader(self) -> "list[Any] | ValidationLoader":
        """The validation images in order; an empty list where there are none."""
        return ValidationLoader(self) if len(self.validation) else []

    def on_after_batch_transfer(self, batch: TrainingBatch, dataloader_idx: int) -> TrainingBatch:
        """Augment a training batch on the device it has just reached."""
        if not self.trainer or not self.trainer.training or self.augment is None or len(batch.images) == 0:
            return batch
        position = (self.trainer.current_epoch, self.trainer.fit_loop.epoch_loop.batch_idx + 1)
        generator = torch.Generator().manual_seed(derive(self.seed, "augment", *position))
        spec = self.store.spec
        return batch._replace(images=self.augment(batch.images, spec.size, generator=generator, mean=spec.mean))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(batches, batch_size) rows of one epoch."""
        rng = np.random.default_rng(derive(self.seed, "order", epoch))
        shuffled = np.concatenate([rng.permutation(self.train) for _ in range(self.passes)])
        return shuffled[: self.steps * self.batch_size].reshape(self.steps, self.batch_size)

    def labelled(self, batch: Batch) -> TrainingBatch:
        """A store's batch with its labels."""
        return TrainingBatch(batch.images, self.labels[batch.rows], batch.rows)


class TrainingLoader:
    """Iterates over what is left of the epoch that Lightning's loop says it is in, so a resumed run finds its place."""

    def __init__(self, data: HashDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.steps

    def __iter__(self) -> Iterator[TrainingBatch]:
        data, trainer = self.data, self.data.trainer
        assert trainer is not None
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        size = data.store.spec.size if data.augment is None else None
        yield from map(data.labelled, data.store.batches(data.order(trainer.current_epoch)[done:], size=size))

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the place in the epoch is Lightning's. It is here because it marks this loader as resumable."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class ValidationLoader:
    """Iterates over the validation images, centre-cropped, in order."""

    def __init__(self, data: HashDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return -(-len(self.data.validation) // self.data.eval_batch_size)

    def __iter__(self) -> Iterator[TrainingBatch]:
        data = self.data
        groups = np.array_split(
            data.validation, range(data.eval_batch_size, len(data.validation), data.eval_batch_size)
        )
        yield from map(data.labelled, data.store.batches(groups, size=data.store.spec.size))
