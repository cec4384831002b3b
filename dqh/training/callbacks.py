"""Around every step: seeds that follow from its position, losses that must be finite, images that can be used."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor

from dqh.data import Prepared, Source
from dqh.errors import NonFiniteLossError
from dqh.training.module import TrainingBatch
from dqh.training.seeds import derive


class StepSeeds(Callback):
    """Seeds torch's global generators before every step from (seed, epoch, step): dropout repeats after a resume."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed."""
        torch.manual_seed(derive(self.seed, "step", trainer.current_epoch, batch_idx))


class FiniteLoss(Callback):
    """Stops at the first loss that is not finite, naming the step and the samples.

    On the CPU each step is checked; on a device losses stay there and are read every `every` steps, so that the loop
    does not wait for them.
    """

    def __init__(self, source: Source, *, every: int = 50) -> None:
        self.source = source
        self.every = every
        self._recent: list[tuple[int, int, Tensor, Tensor]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: TrainingBatch, batch_idx: int
    ) -> None:
        """Record, and check when it is time."""
        if not outputs:  # a batch without a single good image
            return
        self._recent.append((trainer.global_step, trainer.current_epoch + 1, outputs["loss"].detach(), batch.rows))
        if pl_module.device.type == "cpu" or len(self._recent) >= self.every:
            self.check()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what is left, before the validation meets its consequences."""
        self.check()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what is left, before a checkpoint is written."""
        self.check()

    def check(self) -> None:
        """Raise `NonFiniteLossError` for the first recorded loss that is not finite."""
        if not self._recent:
            return
        finite = torch.isfinite(torch.stack([loss for _, _, loss, _ in self._recent])).tolist()
        recent, self._recent = self._recent, []
        for (step, epoch, loss, rows), good in zip(recent, finite, strict=True):
            if not good:
                ids = [str(self.source.ids[row]) for row in rows.tolist()]
                raise NonFiniteLossError(
                    f"the loss became {loss.item()} at step {step} (epoch {epoch}); lower optimizer.lr, or look at "
                    f"these {len(ids)} samples: {', '.join(ids)}"
                )


class UsableImages(Callback):
    """Stops after an epoch in which too many images turned out to be unusable, where they are decoded on the way."""

    def __init__(self, data: Prepared) -> None:
        self.data = data
        self._known = len(data.store.skipped)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """List them and check their number, if there are more than before."""
        if len(self.data.store.skipped) > self._known:
            self._known = self.data.report_skipped()
