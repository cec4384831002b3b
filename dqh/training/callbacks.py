"""Around every step: seeds that follow from its position, losses that must be finite, images that can be used."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor

from dqh.data import Prepared, Source
from dqh.errors import NonFiniteLossError
from dqh.training.module import TrainingBatch
from dqh.training.processes import count, everyone, rank
from dqh.training.seeds import derive


class StepSeeds(Callback):
    """Seeds torch's global generators before every step from (seed, epoch, step): dropout repeats after a resume."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed; each process otherwise."""
        own = (rank(),) if rank() else ()
        seed = derive(self.seed, "step", trainer.current_epoch, batch_idx, *own)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats a stack for each device not in use
        if pl_module.device.type == "cuda":
            torch.cuda.manual_seed(seed)


class FiniteLoss(Callback):
    """Stops at the first loss that is not finite, naming the step and the samples.

    One process on the CPU checks each step; on a device losses stay there and are read every `every` steps, so that the
    loop does not wait for them. Several processes then ask each other, and all stop.
    """

    def __init__(self, source: Source, *, every: int = 50) -> None:
        self.source = source
        self.every = every
        self._recent: list[tuple[int, int, Tensor, Tensor]] = []
        self._steps = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Record, and check when it is time."""
        if outputs:  # empty for a batch without a single good image
            self._recent.append((trainer.global_step, trainer.current_epoch + 1, outputs["loss"].detach(), batch.rows))
        self._steps += 1
        if (pl_module.device.type == "cpu" and count() == 1) or self._steps % self.every == 0:
            self.check()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what is left, before the validation meets its consequences."""
        self.check()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what is left, before a checkpoint is written."""
        self.check()

    def check(self) -> None:
        """Raise `NonFiniteLossError` for the first recorded loss that is not finite, in whichever process it is."""
        bad = [report for report in everyone(self._first_bad()) if report is not None]
        if bad:
            step, epoch, loss, _ = min(bad)
            ids = [str(self.source.ids[row]) for report in bad if report[0] == step for row in report[3]]
            raise NonFiniteLossError(
                f"the loss became {loss} at step {step} (epoch {epoch}); lower optimizer.lr, or look at these "
                f"{len(ids)} samples: {', '.join(ids)}"
            )

    def _first_bad(self) -> tuple[int, int, str, list[int]] | None:
        """Step, epoch, value and rows of the first recorded loss of this process that is not finite."""
        recent, self._recent = self._recent, []
        finite = torch.isfinite(torch.stack([loss for _, _, loss, _ in recent])).tolist() if recent else []
        for (step, epoch, loss, rows), good in zip(recent, finite, strict=True):
            if not good:
                return step, epoch, str(loss.item()), rows.tolist()
        return None


class UsableImages(Callback):
    """Stops after an epoch in which too many images turned out to be unusable, where they are decoded on the way."""

    def __init__(self, data: Prepared) -> None:
        self.data = data
        self._known = len(data.store.skipped)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """List them and check their number, if there are more than before; the first process writes the list."""
        for skipped in everyone(self.data.store.skipped):
            self.data.store.skipped.update(skipped)
        if len(self.data.store.skipped) > self._known:
            self.data.report_skipped(write=rank() == 0)
            self._known = len(self.data.store.skipped)
