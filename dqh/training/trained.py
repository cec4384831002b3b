"""What a training that has ended was: the facts that its artifact and `metrics.json` keep."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from dqh.evaluation import torch_device
from dqh.plural import counted
from dqh.training.compute import WarmUp
from dqh.training.datamodule import HashDataModule
from dqh.training.history import History
from dqh.training.module import HashModule
from dqh.training.validation import LAST, Choice

if TYPE_CHECKING:
    from dqh.training.fit import Fit


@dataclass(frozen=True)
class Trained:
    """Facts of a training, for `metrics.json`.

    Attributes:
        epochs: that there were.
        best_epoch: whose weights were taken, counted from 1.
        chosen_by: the value that chose it, or why the last epoch was taken.
        best_score: the value of that epoch; None where nothing was measured.
        seconds: of all training loops.
        wall_seconds: of this call, with validation and checkpoints.
        warm_up_seconds: before the first step of this call, in which the network was compiled.
        waiting_seconds: of `seconds` in which the loop waited for batches.
        images_per_s: over `seconds`.
        device: in words.
        devices: that trained together.
        threads: of torch; in an artifact those of the evaluation that follows.
        precision: number format, as in `Fit` but for `auto`.
        compiled: whether torch compiled the network.
        eval_batch_size: as in `Fit`.
        parameters: numbers in the network.
        overfit: how many images were learnt by heart; None for a training that deserves the name.
        history: the rows of `metrics.csv`; None in place of NaN and infinity.
    """

    epochs: int
    best_epoch: int
    chosen_by: str
    best_score: float | None
    seconds: float
    wall_seconds: float
    warm_up_seconds: float
    waiting_seconds: float
    images_per_s: float
    device: str
    devices: int
    threads: int
    precision: str
    compiled: bool
    eval_batch_size: int
    parameters: int
    overfit: int | None
    history: Sequence[Mapping[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)


def facts_of(
    module: HashModule,
    data: HashDataModule,
    settings: "Fit",
    *,
    history: History,
    choice: Choice,
    warm_up: WarmUp,
    wall: float,
) -> Trained:
    """What a training that has ended was, for `metrics.json`.

    Args:
        module: the network.
        data: what it was trained on.
        settings: how.
        history: of its epochs.
        choice: of the epoch.
        warm_up: before its first step.
        wall: seconds of it all.
    """
    seconds = sum(row["seconds"] for row in history.rows)
    images = sum(row["images_per_s"] * row["seconds"] for row in history.rows)
    device = torch_device(settings.device)
    monitor = settings.monitor if settings.overfit is None else settings.monitor.replace("val/", "train/")
    nothing = f"{LAST} (no validation images)"
    return Trained(
        epochs=len(history.rows),
        best_epoch=choice.epoch,
        chosen_by=choice.reason(monitor, epochs=len(history.rows)) if len(data.validation) else nothing,
        best_score=choice.value if math.isfinite(choice.value) else None,
        seconds=round(seconds, 1),
        wall_seconds=round(wall, 1),
        warm_up_seconds=round(warm_up.seconds, 1),
        waiting_seconds=round(data.waited, 2),
        images_per_s=round(images / max(seconds, 1e-9), 1),
        device=in_words(device),
        devices=settings.devices,
        threads=torch.get_num_threads(),
        precision=settings.number_format,
        compiled=warm_up.compiled,
        eval_batch_size=settings.eval_batch_size,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        overfit=None if settings.overfit is None else len(data.train),
        history=[
            {name: value if math.isfinite(value) else None for name, value in row.items()} for row in history.rows
        ],
    )


def in_words(device: torch.device) -> str:
    """Which device that is; of a CPU with the threads that torch now has there."""
    on_cuda = device.type == "cuda"
    return torch.cuda.get_device_name() if on_cuda else f"cpu, {counted(torch.get_num_threads(), 'thread')}"
