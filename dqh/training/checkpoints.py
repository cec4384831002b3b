"""Checkpoints that resume a training, written whole or not at all, after every epoch and when a signal asks to stop."""

import logging
import math
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from dqh.errors import ConfigError, DqhError
from dqh.files import atomic_writer
from dqh.training.callbacks import FiniteLoss
from dqh.training.module import TrainingBatch
from dqh.training.processes import count, everyone, rank
from dqh.training.validation import Choice

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(DqhError):  # noqa: N818 - named after what happened; nothing went wrong
    """Training stopped because a signal asked for it; the last checkpoint is usable.

    Attributes:
        exit_status: 128 + the number of the signal, as shells count.
    """

    def __init__(self, number: int, checkpoint: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the state is in {checkpoint}")
        self.exit_status = 128 + number
        self.checkpoint = checkpoint

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int, Path]]:
        return Interrupted, (self.exit_status - 128, self.checkpoint)


class Checkpoints(Checkpoint):
    """Keeps `last.ckpt` after every epoch, and `best.ckpt` of the epoch that the monitored value chooses.

    Without a validation split, or where the value is the same in every epoch, that is the last one.

    Args:
        folder: where they go.
        monitor: the logged value that chooses the epoch.

    Attributes:
        choice: the epoch so far.
    """

    def __init__(self, folder: Path, *, monitor: str) -> None:
        self.folder = folder
        self.monitor = monitor
        self.choice = Choice()

    @property
    def last_path(self) -> Path:
        """Resumes the training."""
        return self.folder / "last.ckpt"

    @property
    def best_path(self) -> Path:
        """Has the weights that the artifact gets."""
        return self.folder / "best.ckpt"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write both."""
        epoch = trainer.current_epoch + 1
        self.choice = self.choice.after(epoch, self._value(trainer))
        trainer.save_checkpoint(self.last_path)
        if self.choice.epoch == epoch and rank() == 0:
            with atomic_writer(self.best_path) as file, self.last_path.open("rb") as last:
                shutil.copyfileobj(last, file)

    def _value(self, trainer: pl.Trainer) -> float:
        """The monitored value; NaN where nothing is validated."""
        validated = [name for name in trainer.callback_metrics if name.startswith("val/")]
        if not validated:
            return math.nan
        if self.monitor not in validated:
            raise ConfigError(
                f"trainer.monitor: {self.monitor} is not measured with these data and this method; "
                f"choose one of {', '.join(validated)}"
            )
        return float(trainer.callback_metrics[self.monitor])

    def state_dict(self) -> dict[str, Any]:
        """The choice so far."""
        value, epoch, least = self.choice
        return {"best": (value, epoch), "least": least}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there; a checkpoint that does not have the lowest value knows of a lower one, or of none."""
        value, epoch = state_dict["best"]
        value = float(value) if math.isfinite(value) else math.nan
        self.choice = Choice(value, int(epoch), float(state_dict.get("least", value if epoch == 1 else -math.inf)))


def require_resumable(path: Path) -> None:
    """Raise `ConfigError` unless `path` is a whole checkpoint, with the `best.ckpt` that it speaks of beside it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        _, epoch = content["callbacks"][Checkpoints.__name__]["best"]
        for part in ("state_dict", "optimizer_states", "loops", "pytorch-lightning_version"):
            content[part]
    except Exception as error:  # the parser raises a dozen types on a broken file
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(f"resume: {path} cannot be read as a checkpoint of a run: {first}") from error
    best = path.parent / "best.ckpt"
    if epoch > 0:
        try:
            torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
        except FileNotFoundError as error:
            raise ConfigError(f"resume: {best} is missing; keep both checkpoints of a run together") from error
        except Exception as error:  # as above
            raise ConfigError(f"resume: {best} is damaged; take it from a backup or start a new run") from error


class StopOnSignal(Callback):
    """On SIGTERM or SIGINT finishes the step, writes `last.ckpt` and raises `Interrupted`; a second one ends at once.

    A signal in the last step of an epoch waits for its validation and the checkpoint that follows. Several processes
    stop at the same step: they ask each other every `every` steps and between epochs.
    """

    def __init__(self, checkpoints: Checkpoints, losses: FiniteLoss, *, every: int = 50) -> None:
        self.checkpoints = checkpoints
        self.losses = losses
        self.every = every
        self._received = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Around the training: gives the signals back in the end. Outside the main thread nothing is listened to.

        Raises:
            Interrupted: a signal came when the training was over.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self._received:
            raise Interrupted(self._received, self.checkpoints.last_path)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals from Lightning's own handler, which would end the training without a checkpoint."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._receive)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Stop here, unless the epoch is about to end."""
        ask = count() == 1 or (batch_idx + 1) % self.every == 0
        if ask and batch_idx + 1 < trainer.num_training_batches and (number := self._agreed()):
            self.losses.check()
            trainer.save_checkpoint(self.checkpoints.last_path)
            raise Interrupted(number, self.checkpoints.last_path)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop here, right after the checkpoint of the last epoch."""
        if trainer.current_epoch > 0 and (number := self._agreed()):
            raise Interrupted(number, self.checkpoints.last_path)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop here, right after the checkpoint of the very last epoch."""
        if number := self._agreed():
            raise Interrupted(number, self.checkpoints.last_path)

    def _agreed(self) -> int:
        """The number of a signal that some process has received; 0 for none."""
        return max(everyone(self._received))

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received:
            os._exit(128 + number)
        self._received = number
        if rank() == 0:
            logger.warning("%s: finishing the step, then writing a checkpoint", signal.Signals(number).name)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are either old or new, never half-written."""

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside `path`, flush to disk, rename."""
        with atomic_writer(Path(path)) as file:
            torch.save(checkpoint, file)
