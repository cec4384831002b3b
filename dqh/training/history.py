"""What a training tells while it runs: a row of numbers an epoch, and progress with speed and time left."""

import csv
import io
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor

from dqh.files import write_text
from dqh.training.module import TrainingBatch
from dqh.training.processes import count, everyone, rank

_TOLD = ("train/loss", "train/accuracy", "train/mAP")


class History(Callback):
    """One row an epoch: mean losses, learning rate, validation, images/s. Writes `metrics.csv` after each.

    Args:
        path: of `metrics.csv`.
        validated_on: `train` where the validation images are the training images: what is measured on them is then
            called `train/mAP`; the loss of a row stays the one of the steps.

    Attributes:
        rows: epoch → columns, oldest first; restored from checkpoints.
    """

    def __init__(self, path: Path, *, validated_on: Literal["val", "train"] = "val") -> None:
        self.path = path
        self.validated_on = validated_on
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._images = 0.0
        self._seconds = 0.0
        self._mark = 0.0
        self._rate = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the last epoch's sums."""
        self._sums, self._images, self._seconds = {}, 0.0, 0.0
        self._mark = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._mark = time.perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Note the rate of the step: the schedule moves on right after it."""
        self._rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Add a batch to the epoch's sums, on the device where its losses are."""
        if outputs:  # empty for a batch without a single good image
            size = len(batch.rows)
            self._images += size
            for name, value in outputs.items():
                total = self._sums.get(name, torch.zeros((), dtype=torch.float64, device=value.device))
                self._sums[name] = total.to(value.device).add_(value.detach(), alpha=size)
        if batch_idx + 1 == trainer.num_training_batches and any(total.is_cuda for total in self._sums.values()):
            torch.cuda.synchronize()  # the seconds of an epoch are those of its kernels too
        now = time.perf_counter()
        self._seconds += now - self._mark
        self._mark = now

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the time of the validation out of images/s."""
        self._mark = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the row of this epoch and write the file."""
        parts = everyone({name: value.item() for name, value in self._sums.items()} | {"": self._images})
        images = sum(part.pop("") for part in parts)
        names = dict.fromkeys(name for part in parts for name in part)
        sums = {f"train/{name}": sum(part.get(name, 0.0) for part in parts) / max(1.0, images) for name in names}
        metrics = {
            name.replace("val/", f"{self.validated_on}/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                "lr": self._rate,
                **(sums | metrics | sums),  # where both have a name, what the steps had
                "images_per_s": round(self.speed(), 1),
                "seconds": round(self._seconds, 3),
            }
        )
        if rank() > 0:
            return
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    def speed(self) -> float:
        """Images a second over the running epoch, of all processes, validation left out."""
        return count() * self._images / max(self._seconds, 1e-9)

    def state_dict(self) -> dict[str, Any]:
        """The rows, and the sums of all processes over an epoch that is not over."""
        parts = everyone((self._images, {name: value.cpu() for name, value in self._sums.items()}))
        names = dict.fromkeys(name for _, part in parts for name in part)
        sums = {name: sum(part[name] for _, part in parts if name in part) for name in names}
        return {"rows": self.rows, "sums": sums, "images": sum(own for own, _ in parts), "seconds": self._seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there, each process with its share, however many there were."""
        self.rows, self._seconds = list(state_dict["rows"]), state_dict["seconds"]
        self._sums = {name: value / count() for name, value in state_dict["sums"].items()}
        self._images = state_dict["images"] / count()


class ProgressLine(Callback):
    """Tells epoch, loss, images/s and the time left: a line that renews itself on a terminal, else a line now and then.

    Args:
        history: where speed and losses are read from.
        stream: where to write; None for stderr.
        every: seconds between two lines where `stream` is no terminal; each epoch's end is told in any case.
    """

    def __init__(self, history: History, *, stream: TextIO | None = None, every: float = 30.0) -> None:
        self.history = history
        self.stream = sys.stderr if stream is None else stream
        self.every = every
        self.live = self.stream.isatty()
        self._told = 0.0
        self._begun = (0.0, 0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember where the clock and the steps stand, for the time left."""
        self._begun = (time.perf_counter(), trainer.global_step)
        self._told = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Tell, if it is time."""
        now = time.perf_counter()
        if rank() > 0:
            return
        if now - self._told < (0.5 if self.live else self.every):
            return
        self._told = now
        share = f"{100 * (batch_idx + 1) / trainer.num_training_batches:.0f} %"
        self._write(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} {share} {self._speed(trainer)}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the epoch's numbers."""
        if rank() > 0:
            return
        row = self.history.rows[-1]
        told = [f"{name} {row[name]:.4f}" for name in row if name.startswith("val/") or name in _TOLD]
        line = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} {' '.join(told)} {self._speed(trainer)}"
        self._write(line, last=True)
        self._told = time.perf_counter()

    def seconds_a_step(self, trainer: pl.Trainer) -> float:
        """Mean of this call so far, validation and checkpoints included."""
        begun, first = self._begun
        return (time.perf_counter() - begun) / max(1, trainer.global_step - first)

    def _speed(self, trainer: pl.Trainer) -> str:
        left = (int(trainer.estimated_stepping_batches) - trainer.global_step) * self.seconds_a_step(trainer)
        return f"{self.history.speed():,.0f} images/s ETA {_clock(left)}"

    def _write(self, line: str, *, last: bool = False) -> None:
        end = "\n" if last else ""
        with suppress(OSError):  # nobody reads stderr any more: the training goes on
            self.stream.write(f"\r\x1b[K{line}{end}" if self.live else f"{line}\n")
            self.stream.flush()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
