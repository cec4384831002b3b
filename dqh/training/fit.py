"""One training run: Lightning's trainer with our callbacks, from settings to the weights of the best epoch."""

import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from pytorch_lightning.profilers import Profiler

from dqh.errors import ConfigError
from dqh.evaluation import torch_device
from dqh.training.callbacks import FiniteLoss, StepSeeds, UsableImages
from dqh.training.checkpoints import AtomicCheckpointIO, Checkpoints, StopOnSignal
from dqh.training.datamodule import HashDataModule
from dqh.training.history import History, Progress
from dqh.training.loggers import LoggerName, LogRows, hyperparameters, opened, require_installed
from dqh.training.module import HashModule
from dqh.training.overfit import LEAST, StopWhenLearnt
from dqh.training.profile import Operators, Profile, Validation
from dqh.training.refit import Refit

logger = logging.getLogger(__name__)

Monitor = Literal["val/mAP", "val/accuracy"]


@dataclass(frozen=True)
class Fit:
    """How long, in which portions and on what to train.

    Args:
        epochs: passes over the training images.
        batch_size: images a step.
        eval_batch_size: images a batch of validation and encoding.
        device: `auto` for CUDA where there is one, else the CPU.
        precision: of training and validation; what the artifact encodes is computed in float32.
        monitor: which value of the validation images chooses the epoch, highest first.
        gradient_clip: largest L2 norm of the gradient; None for no limit.
        threads: of torch on the CPU; None for torch's own choice.
        memory_gb: decoded images are kept in memory up to this size, larger sets are decoded again and again, GB.
        workers: processes that decode; None for one a CPU up to 8, and none for small sets.
        loggers: `tensorboard`, `wandb`: who gets the rows of `metrics.csv` too.
        profile: whether to tell in the end where the time went.
        overfit: a number of training images to learn by heart, without augmentation and measured on themselves, as a
            check that the network can learn; an epoch shows them ten times, the training ends at `train/mAP` .99.

    Raises:
        ValueError: a number below 1 or a limit that is not positive.
        ConfigError: a precision that the device does not have, or a logger whose package is not installed.
    """

    epochs: int = 20
    batch_size: int = 128
    eval_batch_size: int = 512
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    monitor: Monitor = "val/mAP"
    gradient_clip: float | None = None
    threads: int | None = None
    memory_gb: float = 4.0
    workers: int | None = None
    loggers: tuple[LoggerName, ...] = ()
    profile: bool = False
    overfit: int | None = None

    def __post_init__(self) -> None:
        counts = ("epochs", "batch_size", "eval_batch_size", "threads")
        given = {name: getattr(self, name) for name in counts if getattr(self, name) is not None}
        wrong = [f"{name} at least 1, got {value}" for name, value in given.items() if value < 1]
        if not 0 <= self.memory_gb < math.inf or (self.workers or 0) < 0:
            wrong.append(f"memory_gb and workers at least 0, got {self.memory_gb} and {self.workers}")
        if self.gradient_clip is not None and not 0 < self.gradient_clip < math.inf:
            wrong.append(f"gradient_clip above 0 or null, got {self.gradient_clip}")
        if self.overfit is not None and self.overfit < LEAST:
            wrong.append(f"overfit at least {LEAST} or null, got {self.overfit}")
        if wrong:
            raise ValueError(f"wanted {'; '.join(wrong)}")
        require_installed(self.loggers)
        if torch_device(self.device).type == "cpu" and self.precision == "16-mixed":
            raise ConfigError("precision: 16-mixed needs a CUDA device; use 32-true or bf16-mixed on the CPU")


@dataclass(frozen=True)
class Trained:
    """Facts of a training, for `metrics.json`.

    Attributes:
        epochs: that there were.
        best_epoch: whose weights were taken, counted from 1.
        chosen_by: the value that chose it.
        best_score: that value; None where nothing was measured.
        seconds: of all training loops.
        wall_seconds: of this call, with validation and checkpoints.
        images_per_s: over `seconds`.
        device: in words.
        threads: of torch.
        precision: as in `Fit`.
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
    images_per_s: float
    device: str
    threads: int
    precision: str
    eval_batch_size: int
    parameters: int
    overfit: int | None
    history: Sequence[Mapping[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)


def fit(
    module: HashModule,
    data: HashDataModule,
    *,
    settings: Fit,
    folder: Path,
    seed: int,
    resume: Path | None = None,
    profiler: Profiler | None = None,
) -> Trained:
    """Train, and leave the module with the weights of the best epoch.

    Args:
        module: the network to train, on the CPU.
        data: its images.
        settings: how.
        folder: of the run; gets `metrics.csv` and `checkpoints/`, and what the loggers write.
        seed: of every random draw.
        resume: a `last.ckpt` of this run to continue from.
        profiler: takes the time; None for none.

    Raises:
        NonFiniteLossError: the loss is infinite or not a number.
        Interrupted: SIGTERM or SIGINT came; `last.ckpt` is written.
        TooManyBadImagesError: more images than the source allows cannot be used.
        ConfigError: `settings.monitor` is not measured, or W&B does not accept the run.
    """
    history = History(folder / "metrics.csv", validated_on="val" if settings.overfit is None else "train")
    checkpoints = Checkpoints(folder / "checkpoints", monitor=settings.monitor)
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    losses = FiniteLoss(data.source)
    stop = StopOnSignal(checkpoints, losses)
    callbacks = [
        *([Validation(profiler), Operators(profiler)] if isinstance(profiler, Profile) else []),
        StepSeeds(seed),
        losses,
        Refit(data.store, data.prepared.roles.train, batch_size=settings.eval_batch_size, seed=seed),
        UsableImages(data.prepared),
        history,
        Progress(history),
    ]
    if settings.overfit is not None:
        callbacks.append(StopWhenLearnt())
        logger.warning(
            "overfit: trains on %d images and measures on the same; what the evaluation finds is no result",
            len(data.train),
        )
    if data.store.spec.kind == "image":
        module.to(memory_format=torch.channels_last)
    started = time.perf_counter()
    with opened(settings.loggers, folder, profiler=profiler) as loggers, stop.listening(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        values = hyperparameters(module, data.source.name, settings=settings, seed=seed)
        rows = LogRows(loggers, history, hyperparameters=values, best=lambda: checkpoints.best[0])
        trainer = _trainer(settings, [*callbacks, rows, stop, checkpoints], folder=folder, profiler=profiler)
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    best = torch.load(checkpoints.best_path, map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    module.cpu().eval()
    return _facts(module, data, settings, history=history, best=checkpoints.best, wall=time.perf_counter() - started)


def _facts(
    module: HashModule, data: HashDataModule, settings: Fit, *, history: History, best: tuple[float, int], wall: float
) -> Trained:
    seconds = sum(row["seconds"] for row in history.rows)
    images = sum(row["images_per_s"] * row["seconds"] for row in history.rows)
    device = torch_device(settings.device)
    score, epoch = best
    monitor = settings.monitor if settings.overfit is None else settings.monitor.replace("val/", "train/")
    return Trained(
        epochs=len(history.rows),
        best_epoch=epoch,
        chosen_by=monitor if len(data.validation) else "last epoch (no validation images)",
        best_score=score if math.isfinite(score) else None,
        seconds=round(seconds, 1),
        wall_seconds=round(wall, 1),
        images_per_s=round(images / max(seconds, 1e-9), 1),
        device=torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        threads=torch.get_num_threads(),
        precision=settings.precision,
        eval_batch_size=settings.eval_batch_size,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        overfit=None if settings.overfit is None else len(data.train),
        history=[
            {name: value if math.isfinite(value) else None for name, value in row.items()} for row in history.rows
        ],
    )


def _trainer(settings: Fit, callbacks: list[Callback], *, folder: Path, profiler: Profiler | None) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return pl.Trainer(
        max_epochs=settings.epochs,
        accelerator="gpu" if torch_device(settings.device).type == "cuda" else "cpu",
        devices=1,
        precision=settings.precision,
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        profiler=profiler,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
