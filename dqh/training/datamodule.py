"""Batches for Lightning: an order that follows from (seed, epoch), augmented on the device where the network is.

Where several processes train, each gets its part of every batch; together the parts are the batch of one process.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.data import Augment, Batch, KeyedDraws, Prepared, Resident, room_on
from dqh.data.pinned import dense
from dqh.data.sides import may_be_photos
from dqh.errors import DataError
from dqh.training.module import TrainingBatch
from dqh.training.overfit import PASSES, few
from dqh.training.processes import count, rank
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
        passes: how often an epoch shows every training image, where it is not to overfit; each time by another view.
        processes: that will train, each with an equal part of a step.
        device_memory: training images live on the device up to this size, bytes; None for half of what is free there.

    Attributes:
        waited: seconds that the loop has waited for batches, those before a resume included.

    Raises:
        DataError: `overfit`, and no class has two training images; or fewer training images than processes.
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
        passes: int = 1,
        processes: int = 1,
        device_memory: int | None = None,
    ) -> None:
        super().__init__()
        self.prepared = data
        self.source = data.source
        self.store = data.store
        self.train = data.roles.train
        self.validation = data.roles.validation
        self.augment = augment if data.source.kind == "image" and overfit is None else None
        self.passes = passes
        if overfit is not None:
            self.train = self.validation = few(self.train, data.source.labels, overfit, seed=seed)
            self.passes = PASSES
        self.batch_size = min(batch_size, len(self.train)) // processes * processes
        if self.batch_size == 0:
            raise DataError(f"{processes} processes need as many train images, got {len(self.train)}")
        if self.batch_size < batch_size and overfit is None:
            logger.warning(
                "batch_size %d is more than there are: steps of %d of the %d images",
                *(batch_size, self.batch_size, len(self.train)),
            )
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.device_memory = device_memory
        self.waited = 0.0
        self.labels = torch.from_numpy(data.source.labels)
        self._labels_there = self.labels
        self._resident: Resident | None = None

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self.passes * len(self.train) // self.batch_size

    @property
    def size(self) -> int | None:
        """Side of the centre crop that leaves the store, pixels; None for whole images, from which views are drawn."""
        return self.store.spec.size if self.augment is None else None

    @property
    def views(self) -> str:
        """What is done to a training image before each step, in words."""
        spec = self.store.spec
        words = "" if self.augment is None else self.augment.words(spec.size, spec.resize)
        if words or spec.kind != "image":
            return words or "none"
        photos = may_be_photos(self.source)
        return "none; augment.flip=true mirrors, which suits photos" if photos else "none; augment.* sets them"

    def train_dataloader(self) -> "TrainingLoader":
        """The batches of the running epoch that are still to come; moves the images to the device where they fit."""
        if self.trainer is not None:
            self._move(self.trainer.strategy.root_device)
        return TrainingLoader(self)

    def val_dataloader(self) -> "list[Any] | ValidationLoader":
        """The validation images in order; an empty list where there are none."""
        return ValidationLoader(self) if len(self.validation) else []

    def teardown(self, stage: str) -> None:
        """Let go of what lies on the device."""
        self._resident, self._labels_there = None, self.labels

    def on_after_batch_transfer(self, batch: TrainingBatch, dataloader_idx: int) -> TrainingBatch:
        """Augment a training batch on the device it has just reached: the view of an image follows from its row."""
        if not self.trainer or not self.trainer.training or self.augment is None or len(batch.images) == 0:
            return batch
        place = [self.trainer.current_epoch]
        if self.passes > 1:
            done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
            place.append(done * self.batch_size // len(self.train))
        draws = KeyedDraws(derive(self.seed, "augment", *place), batch.rows)
        spec = self.store.spec
        return batch._replace(images=self.augment(batch.images, spec.size, draws=draws, mean=spec.mean))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(batches, batch_size) rows of one epoch, for all processes together."""
        rng = np.random.default_rng(derive(self.seed, "order", epoch))
        shuffled = np.concatenate([rng.permutation(self.train) for _ in range(self.passes)])
        return shuffled[: self.steps * self.batch_size].reshape(self.steps, self.batch_size)

    def batches(self, groups: NDArray[np.int64], device: torch.device) -> Iterator[TrainingBatch]:
        """Training batches of these rows: from the device, or on their way there ahead of the steps before them."""
        images = self.store if self._resident is None else self._resident
        read = map(self.labelled, images.batches(groups, size=self.size))
        whole = (filled(batch, groups.shape[1]) for batch in read) if count() > 1 else read
        on_its_way = device.type == "cuda" and self._resident is None
        yield from copied_ahead(whole, device) if on_its_way else whole

    def labelled(self, batch: Batch) -> TrainingBatch:
        """A batch with its labels, which are where it is."""
        labels = self.labels if batch.rows.device == self.labels.device else self._labels_there
        return TrainingBatch(batch.images, labels[batch.rows], batch.rows)

    def example(self, device: torch.device) -> Tensor:
        """Zeros in the form of the images that a step of this process sees."""
        spec, number = self.store.spec, self.batch_size // count()
        if spec.kind == "vector":
            return torch.zeros(number, spec.size, device=device)
        kind = torch.uint8 if self.augment is None else torch.float32
        images = torch.zeros(number, 3, spec.size, spec.size, dtype=kind, device=device)
        return images.contiguous(memory_format=torch.channels_last)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run adds to."""
        return {"waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there."""
        self.waited = float(state_dict["waited"])

    def _move(self, device: torch.device) -> None:
        """Let the training images live on the device, if it has room."""
        room = room_on(device) if self.device_memory is None else self.device_memory
        if device.type == "cpu" or self._resident is not None or len(self.train) * self.store.row_bytes > room:
            return
        self._resident = Resident(self.store, self.train, device=device)
        self._labels_there = self.labels.to(device)


def filled(batch: TrainingBatch, size: int) -> TrainingBatch:
    """A batch of `size` images: the first ones repeated where unusable ones left fewer, as processes need equal parts.

    Raises:
        DataError: not one is usable.
    """
    if len(batch.rows) == size:
        return batch
    if len(batch.rows) == 0:
        raise DataError(f"none of the {size} images of a step can be used; train in one process: trainer.devices=1")
    again = torch.arange(size, device=batch.rows.device) % len(batch.rows)
    return TrainingBatch(*(values[again] for values in batch))


def copied_ahead(batches: Iterable[TrainingBatch], device: torch.device) -> Iterator[TrainingBatch]:
    """The batches on a CUDA device, copied from pinned memory while it computes the steps before them."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    for batch in batches:
        with torch.cuda.stream(stream):
            moved = TrainingBatch(*(dense(values).to(device, non_blocking=True) for values in batch))
        current = torch.cuda.current_stream(device)
        current.wait_stream(stream)
        for values in moved:
            values.record_stream(current)
        yield moved


class Lag:
    """Keeps the host from running further ahead of a CUDA device than a few steps; the CPU is never ahead.

    Else a host that waits for the device would seem to wait for data, with dozens of batches on their way.

    Args:
        device: that computes the steps.
        steps: that it may have before it.
    """

    def __init__(self, device: torch.device, *, steps: int = 3) -> None:
        self._device = device
        self._steps = steps
        self._ends: deque[torch.cuda.Event] = deque()

    def bound(self) -> None:
        """Wait until the device has no more than `steps` steps before it. To be called after each."""
        if self._device.type != "cuda":
            return
        event: Any = torch.cuda.Event
        end = event(blocking=True)  # the host sleeps meanwhile: cores are for decoding
        end.record(torch.cuda.current_stream(self._device))
        self._ends.append(end)
        if len(self._ends) > self._steps:
            self._ends.popleft().synchronize()


class Ordered(Protocol):
    """What a `TrainingLoader` asks of the data module of a training."""

    trainer: Any
    batch_size: int
    waited: float

    @property
    def steps(self) -> int:
        """Batches an epoch."""

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(batches, batch_size) rows of one epoch, for all processes together."""

    def batches(self, groups: NDArray[np.int64], device: torch.device) -> Iterator[Any]:
        """The batches of these rows."""


class TrainingLoader:
    """Iterates over what is left of the epoch that Lightning's loop says it is in, so a resumed run finds its place."""

    def __init__(self, data: Ordered) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.steps

    def __iter__(self) -> Iterator[Any]:
        data, trainer = self.data, self.data.trainer
        assert trainer is not None
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        part = data.batch_size // count()
        groups = data.order(trainer.current_epoch)[done:, rank() * part : (rank() + 1) * part]
        device = trainer.strategy.root_device
        batches, lag = data.batches(groups, device), Lag(device)
        while True:
            lag.bound()
            asked = time.perf_counter()
            batch = next(batches, None)
            data.waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the place in the epoch is Lightning's. It is here because it marks this loader as resumable."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class ValidationLoader:
    """Iterates over the validation images, centre-cropped, in order; of several processes each has every n-th batch."""

    def __init__(self, data: HashDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        batches = -(-len(self.data.validation) // self.data.eval_batch_size)
        return -(-batches // count())

    def __iter__(self) -> Iterator[TrainingBatch]:
        data = self.data
        cuts = range(data.eval_batch_size, len(data.validation), data.eval_batch_size)
        groups = np.array_split(data.validation, cuts)[rank() :: count()]
        groups += [np.empty(0, np.int64)] * (len(self) - len(groups))  # all processes validate equally often
        yield from map(data.labelled, data.store.batches(groups, size=data.store.spec.size))
