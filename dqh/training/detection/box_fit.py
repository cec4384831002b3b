"""The loop around the training of a detector: that of Lightning, with the callbacks that hashes have too."""

import logging
import math
import time
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Callback

from dqh.errors import ConfigError
from dqh.evaluation import torch_device
from dqh.files import make_folders
from dqh.training.callbacks import FiniteLoss, StepSeeds
from dqh.training.checkpoints import AtomicCheckpointIO, Checkpoints, StopOnSignal
from dqh.training.compute import warn_of_slow_format
from dqh.training.detection.box_datamodule import DetectionDataModule
from dqh.training.detection.detection_module import DetectionModule
from dqh.training.fit import Fit
from dqh.training.history import History, ProgressLine
from dqh.training.loggers import LogRows, hyperparameters, opened
from dqh.training.trained import Trained, in_words
from dqh.training.validation import LAST

logger = logging.getLogger(__name__)

_OF_CODES = {
    "least_steps": 0,
    "head_steps": 0,
    "devices": 1,
    "overfit": None,
    "profile": False,
    "device_memory_gb": None,
    "monitor": "val/mAP",
}
"""Settings that the training of a detector does not have, and what they are where nobody gives them."""


def require_settings(settings: Fit) -> None:
    """Raise `ConfigError` where something is set that the training of a detector does not have."""
    problems = [
        f"trainer.{name}: a detector has none, got {getattr(settings, name)}; leave it out"
        for name, value in _OF_CODES.items()
        if getattr(settings, name) != value
    ]
    if settings.compile:
        problems.append("trainer.compile: a detector is not compiled, got true; leave it out")
    if problems:
        raise ConfigError(problems)


def fit(
    module: DetectionModule,
    data: DetectionDataModule,
    *,
    settings: Fit,
    folder: Path,
    seed: int,
    resume: Path | None = None,
) -> Trained:
    """Train, and leave the module with the weights of the best epoch.

    Args:
        module: the network to train, on the CPU.
        data: its photos, or what a frozen trunk makes of them.
        settings: how.
        folder: of the run; gets `metrics.csv` and `checkpoints/`, and what the loggers write.
        seed: of every random draw.
        resume: a `last.ckpt` of this run to continue from.

    Raises:
        NonFiniteLossError: the loss, or what the network proposes, is infinite or not a number.
        Interrupted: SIGTERM or SIGINT came; `last.ckpt` is written.
        ConfigError: W&B does not accept the run.
    """
    history = History(folder / "metrics.csv")
    checkpoints = Checkpoints(folder / "checkpoints", monitor=settings.monitor)
    make_folders(checkpoints.folder)
    losses = FiniteLoss(data.source)
    stop = StopOnSignal(checkpoints, losses)
    callbacks: list[Callback] = [StepSeeds(seed), losses, history, ProgressLine(history)]
    warn_of_slow_format(settings.number_format, torch_device(settings.device))
    started = time.perf_counter()
    with opened(settings.loggers, folder) as loggers, stop.listening(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        values = hyperparameters(module, data.source.name, settings=settings, seed=seed)
        rows = LogRows(loggers, history, hyperparameters=values, best=lambda: checkpoints.choice.value)
        trainer = _trainer(settings, [*callbacks, rows, stop, checkpoints], folder=folder)
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    wall = time.perf_counter() - started
    best = torch.load(checkpoints.best_path, map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    module.cpu().eval()
    seconds = sum(row["seconds"] for row in history.rows)
    photos = sum(row["images_per_s"] * row["seconds"] for row in history.rows)
    choice = checkpoints.choice
    trained = Trained(
        epochs=len(history.rows),
        best_epoch=choice.epoch,
        chosen_by=choice.reason(settings.monitor, epochs=len(history.rows))
        if len(data.validation)
        else f"{LAST} (no validation images)",
        best_score=choice.value if math.isfinite(choice.value) else None,
        seconds=round(seconds, 1),
        wall_seconds=round(wall, 1),
        warm_up_seconds=0.0,
        waiting_seconds=round(data.waited, 2),
        images_per_s=round(photos / max(seconds, 1e-9), 1),
        device=in_words(torch_device(settings.device)),
        devices=1,
        threads=torch.get_num_threads(),
        precision=settings.number_format,
        compiled=False,
        eval_batch_size=settings.eval_batch_size,
        parameters=sum(weight.numel() for weight in module.parameters()),
        overfit=None,
        history=[
            {name: value if math.isfinite(value) else None for name, value in row.items()} for row in history.rows
        ],
    )
    logger.info(
        "trained for %.1f s at %.0f images/s, %.1f %% of it waiting for data; %.1f s in all",
        *(seconds, trained.images_per_s, 100 * data.waited / max(seconds, 1e-9), wall),
    )
    return trained


def _trainer(settings: Fit, callbacks: list[Callback], *, folder: Path) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    on_cuda = torch_device(settings.device).type == "cuda"
    return pl.Trainer(
        max_epochs=settings.epochs,
        accelerator="gpu" if on_cuda else "cpu",
        devices=1,
        precision=settings.number_format,
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
