"""One training run: Lightning's trainer with our callbacks, from settings to the weights of the best epoch."""

import logging
import math
import os
import time
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Callback
from pytorch_lightning.profilers import Profiler
from pytorch_lightning.strategies import DDPStrategy

from dqh.errors import ConfigError
from dqh.evaluation import torch_device
from dqh.files import make_folders
from dqh.training.batch_norm import share_batch_norm
from dqh.training.callbacks import FiniteLoss, StepSeeds, UsableImages
from dqh.training.checkpoints import AtomicCheckpointIO, Checkpoints, Interrupted, StopOnSignal
from dqh.training.compute import Precision, Setting, WarmUp, can_compile, precision_of, tf32, warn_of_slow_format
from dqh.training.datamodule import HashDataModule
from dqh.training.forecast import Forecast, Sequel
from dqh.training.history import History, ProgressLine
from dqh.training.launch import in_processes
from dqh.training.loggers import LoggerName, LogRows, hyperparameters, opened, require_installed
from dqh.training.module import HashModule
from dqh.training.overfit import LEAST, StopWhenLearnt
from dqh.training.profile import Operators, Profile, Validation
from dqh.training.refit import Refit
from dqh.training.trained import Trained, facts_of
from dqh.training.validation import LAST, answerable, cannot_choose

logger = logging.getLogger(__name__)

Monitor = Literal["val/mAP", "val/accuracy"]

LEAST_BATCH = 32
"""Images of a step that are not halved for the sake of `least_batches`."""


@dataclass(frozen=True)
class Fit:
    """How long, in which portions and on what to train.

    Args:
        epochs: passes over the training images; after each, validation images are measured.
        least_steps: steps to be taken at least: where images are few, an epoch is as many passes over them (`passes`).
        head_steps: steps that the layers behind the backbone take alone, on features that are computed once: before the
            training, and once more after it, where validation images choose with or without (see `head_steps.py`). The
            training between them is in evaluation mode: batch statistics stay as they came, noise and dropout belong to
            these steps alone.
        batch_size: images a step.
        least_batches: steps that one pass over the training images takes at least: where they are too few,
            `batch_size` is halved as often as it needs, down to `LEAST_BATCH` (`for_images`).
        eval_batch_size: images a batch of validation and encoding.
        device: `auto` for CUDA where there is one, else the CPU.
        devices: CUDA devices, or processes on the CPU, that train together; each has an equal part of every batch.
        precision: of training and validation; `auto` for bf16-mixed on CUDA and 32-true on the CPU, `bf16-where-fast`
            for bf16-mixed on CPUs with instructions for it too. What the artifact encodes is computed in float32.
        compile: whether torch compiles the network; None for on CUDA, where it finds triton and a C compiler. Where
            that fails, the training goes on without.
        monitor: which value of the validation images chooses the epoch, highest first; the last epoch where it is the
            same in all.
        gradient_clip: largest L2 norm of the gradient; None for no limit.
        threads: of torch on the CPU; None for torch's own choice, and for one to train on vectors.
        memory_gb: decoded images are kept in memory up to this size, larger sets are decoded again and again, GB.
        device_memory_gb: decoded images live on the CUDA device up to this size, GB, and reach it a batch at a time
            beyond; None for half of what is free there.
        workers: processes that decode; None for one a CPU up to 16, and none for small sets.
        loggers: `tensorboard`, `wandb`: who gets the rows of `metrics.csv` too.
        profile: whether to tell in the end where the time went.
        overfit: a number of training images to learn by heart, without augmentation and measured on themselves, as a
            check that the network can learn; an epoch shows them ten times, the training ends at `train/mAP` .99.

    Raises:
        ValueError: a number below 1 or a limit that is not positive.
        ConfigError: a precision or a number of devices that there is not, a batch that does not divide by it, or a
            logger whose package is not installed.
    """

    epochs: int = 20
    least_steps: int = 0
    head_steps: int = 0
    batch_size: int = 128
    least_batches: int = 1
    eval_batch_size: int = 512
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    precision: Setting = "auto"
    compile: bool | None = None
    monitor: Monitor = "val/mAP"
    gradient_clip: float | None = None
    threads: int | None = None
    memory_gb: float = 4.0
    device_memory_gb: float | None = None
    workers: int | None = None
    loggers: tuple[LoggerName, ...] = ()
    profile: bool = False
    overfit: int | None = None

    @property
    def head_begins(self) -> bool:
        """Whether steps of the layers behind the backbone come before the training."""
        return self.head_steps > 0 and self.overfit is None

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("epochs", "batch_size", "least_batches", "eval_batch_size", "devices", "threads"), 1)
        counts |= dict.fromkeys(("least_steps", "head_steps"), 0)
        given = {name: getattr(self, name) for name in counts if getattr(self, name) is not None}
        wrong = [
            f"{name} at least {counts[name]}, got {value}" for name, value in given.items() if value < counts[name]
        ]
        if not 0 <= self.memory_gb < math.inf or (self.workers or 0) < 0:
            wrong.append(f"memory_gb and workers at least 0, got {self.memory_gb} and {self.workers}")
        if self.device_memory_gb is not None and not 0 <= self.device_memory_gb < math.inf:
            wrong.append(f"device_memory_gb at least 0 or null, got {self.device_memory_gb}")
        if self.gradient_clip is not None and not 0 < self.gradient_clip < math.inf:
            wrong.append(f"gradient_clip above 0 or null, got {self.gradient_clip}")
        if self.overfit is not None and self.overfit < LEAST:
            wrong.append(f"overfit at least {LEAST} or null, got {self.overfit}")
        if wrong:
            raise ValueError(f"wanted {'; '.join(wrong)}")
        require_installed(self.loggers)
        problems = []
        on_cuda = torch_device(self.device).type == "cuda"
        if not on_cuda and self.precision == "16-mixed":
            problems.append("precision: 16-mixed needs a CUDA device; use 32-true or bf16-where-fast on the CPU")
        if on_cuda and self.devices > torch.cuda.device_count():
            problems.append(f"devices: got {self.devices}, this machine has {torch.cuda.device_count()}")
        if self.batch_size % self.devices:
            problems.append(
                f"batch_size: {self.batch_size} images do not divide by {self.devices} devices; take others"
            )
        if self.profile and self.devices > 1:
            problems.append(f"profile: looks at one process, got {self.devices} devices; take one for it")
        if problems:
            raise ConfigError(problems)

    @property
    def number_format(self) -> Precision:
        """What `precision` stands for on the device."""
        return precision_of(self.precision, torch_device(self.device))

    def for_images(self, images: int) -> "Fit":
        """The same, with a `batch_size` of which so many training images fill `least_batches`.

        Raises:
            ConfigError: it does not divide by the number of devices.

        Example:
            >>> [Fit(batch_size=1024, least_batches=8).for_images(n).batch_size for n in (98_000, 2_000, 100)]
            [1024, 128, 32]
        """
        size = self.batch_size
        while size >= 2 * LEAST_BATCH and images < self.least_batches * size:
            size //= 2
        return self if self.least_batches == 1 else replace(self, batch_size=size)

    def passes(self, images: int) -> int:
        """How often an epoch shows so many training images, at least 1, so that there are `least_steps`."""
        return max(1, -(-self.least_steps // (self.epochs * max(1, images // self.batch_size))))


class Job(NamedTuple):
    """What each of several processes is told.

    Attributes:
        module: the network to train.
        data: its images.
        settings: how.
        folder: of the run.
        seed: of every random draw.
        resume: a checkpoint to continue from, or None.
        sequel: what comes after it, or None.
    """

    module: HashModule
    data: HashDataModule
    settings: Fit
    folder: Path
    seed: int
    resume: Path | None
    sequel: Sequel | None = None


def fit(
    module: HashModule,
    data: HashDataModule,
    *,
    settings: Fit,
    folder: Path,
    seed: int,
    resume: Path | None = None,
    sequel: Sequel | None = None,
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
        sequel: what comes after it: the first epoch tells about how long all of it will take; None: it does not.
        profiler: takes the time; None for none.

    Raises:
        NonFiniteLossError: the loss is infinite or not a number.
        Interrupted: SIGTERM or SIGINT came; `last.ckpt` is written.
        TooManyBadImagesError: more images than the source allows cannot be used.
        ConfigError: `settings.monitor` is not measured, or W&B does not accept the run.
        DqhError: one of several processes died.
    """
    job = Job(module, data, settings, folder, seed, resume, sequel)
    _tell_of_validation(data, settings)
    trained = _fit(job, profiler=profiler) if settings.devices == 1 else _fit_together(job)
    best = torch.load(folder / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    module.cpu().eval()
    if trained.chosen_by.startswith(LAST) and len(data.validation):
        logger.warning("kept the weights of the %s", trained.chosen_by)
    share = 100 * trained.waiting_seconds / max(trained.seconds, 1e-9)
    logger.info(
        "trained for %.1f s at %.0f images/s, %.1f %% of it waiting for data; %.1f s in all",
        *(trained.seconds, trained.images_per_s, share, trained.wall_seconds),
    )
    return trained


def _tell_of_validation(data: HashDataModule, settings: Fit) -> None:
    """Say what the labels of the validation images make of their mAP: the same in every epoch, or below 1."""
    count = len(data.validation)
    if count == 0:
        return
    labels = data.labels[data.validation]
    reason, answers = cannot_choose(labels), answerable(labels)
    if 0 < answers < count:
        logger.info(
            "val/mAP is %.4f at most: %d of %d validation images have no relevant other",
            *(answers / count, count - answers, count),
        )
    if reason and settings.monitor == "val/mAP" and settings.epochs > 1:
        logger.warning(
            "val/mAP cannot choose the epoch: of the validation images %s; the last one will be kept (trainer.monitor "
            "names another value, split.validation another number of images)",
            reason,
        )


def _fit_together(job: Job) -> Trained:
    last = job.folder / "checkpoints" / "last.ckpt"
    logger.info("training in %d processes", job.settings.devices)
    try:
        return in_processes(_fit_part, partial(_shared, job), count=job.settings.devices)
    except SystemExit as stopped:
        if not last.is_file():
            raise
        raise Interrupted(int(stopped.code or 0) - 128, last) from stopped


def _shared(job: Job, folder: Path) -> Job:
    """The job in a form that several processes can be sent."""
    job.data.store.share(folder / "images.npy")
    return job


def _fit_part(job: Job) -> Trained:
    """The part of one of several processes."""
    share_batch_norm(job.module)
    if torch_device(job.settings.device).type == "cpu":
        torch.set_num_threads(job.settings.threads or max(1, torch.get_num_threads() // job.settings.devices))
    return _fit(job)


def _fit(job: Job, *, profiler: Profiler | None = None) -> Trained:
    module, data, settings, folder, seed, resume, sequel = job
    history = History(folder / "metrics.csv", validated_on="val" if settings.overfit is None else "train")
    progress = ProgressLine(history)
    checkpoints = Checkpoints(folder / "checkpoints", monitor=settings.monitor)
    make_folders(checkpoints.folder)
    losses = FiniteLoss(data.source)
    stop = StopOnSignal(checkpoints, losses)
    device = torch_device(settings.device)
    compiling = can_compile(device) if settings.compile is None else settings.compile
    warm_up = WarmUp(data.example, compiling=compiling)
    callbacks = [
        *([Validation(profiler), Operators(profiler)] if isinstance(profiler, Profile) else []),
        warm_up,
        StepSeeds(seed),
        losses,
        Refit(data.store, data.prepared.roles.train, batch_size=settings.eval_batch_size, seed=seed),
        UsableImages(data.prepared),
        history,
        progress,
        *([] if sequel is None else [Forecast(history, progress, sequel)]),
    ]
    if settings.overfit is not None:
        callbacks.append(StopWhenLearnt())
        logger.warning(
            "overfit: trains on %d images and measures on the same; what the evaluation finds is no result",
            len(data.train),
        )
    warn_of_slow_format(settings.number_format, device)
    started = time.perf_counter()
    named = settings.loggers if int(os.environ.get("LOCAL_RANK", 0)) == 0 or settings.devices == 1 else ()
    fast = tf32(device.type == "cuda" and settings.number_format == "32-true")
    with opened(named, folder, profiler=profiler) as loggers, stop.listening(), warnings.catch_warnings(), fast:
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        values = hyperparameters(module, data.source.name, settings=settings, seed=seed)
        rows = LogRows(loggers, history, hyperparameters=values, best=lambda: checkpoints.choice.value)
        told = [*callbacks, rows, stop, checkpoints]
        trainer = _trainer(settings, told, folder=folder, profiler=profiler, unused=module.others_follow)
        module.train(not settings.head_begins)
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    wall = time.perf_counter() - started
    return facts_of(module, data, settings, history=history, choice=checkpoints.choice, warm_up=warm_up, wall=wall)


def _trainer(
    settings: Fit, callbacks: list[Callback], *, folder: Path, profiler: Profiler | None, unused: bool
) -> pl.Trainer:
    """Lightning's trainer; `unused`: whether some weights get no gradient."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    on_cuda, together = torch_device(settings.device).type == "cuda", settings.devices > 1
    # statistics are shared by the batch normalisations themselves; no buffer has to follow the first process
    several = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True, find_unused_parameters=unused)
    return pl.Trainer(
        max_epochs=settings.epochs,
        accelerator="gpu" if on_cuda else "cpu",
        devices=settings.devices,
        strategy=several if together else "auto",
        precision=settings.number_format,
        benchmark=on_cuda,
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        profiler=profiler,
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
