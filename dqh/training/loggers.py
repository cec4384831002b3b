"""TensorBoard and Weights & Biases beside `metrics.csv`: the same numbers, in the run folder.

They hang on the history, not on Lightning's trainer: they get what the file gets, and a run with them is the same run
as one without.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytorch_lightning as pl
from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.profilers import PassThroughProfiler, Profiler
from pytorch_lightning.utilities import rank_zero

from dqh.config import flatten
from dqh.conveniences import convenience
from dqh.errors import ConfigError
from dqh.training.history import History
from dqh.training.optimizer import Optimizer

if TYPE_CHECKING:
    from dqh.training.fit import Fit

LoggerName = Literal["tensorboard", "wandb"]
Scalar = bool | int | float | str


class Trainable(Protocol):
    """What trains, as loggers are told of it.

    Attributes:
        about: plain values that tell it from others.
        optimizer: how its weights move.
    """

    optimizer: Optimizer

    @property
    def about(self) -> Mapping[str, Any]:
        """By name, in the order in which they are told."""


def require_installed(names: Sequence[LoggerName]) -> None:
    """Raise `ConfigError` unless the packages of these loggers are there; their names are those of the packages."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise ConfigError(
            [
                f"loggers: {name} is not installed; install it: pip install {name} (in a clone: uv sync --inexact "
                f"--extra {name})"
                for name in missing
            ]
        )


@contextmanager
def opened(names: Sequence[LoggerName], folder: Path, *, profiler: Profiler | None = None) -> Iterator[list[Logger]]:
    """Loggers that write into `folder`, closed with the block; a second time they continue what is there.

    For one process of a training: each that opens some, writes.

    Args:
        names: which; one named twice counts once.
        folder: of the run; gets `tensorboard/` and `wandb/`.
        profiler: of the run, if it has one.

    Raises:
        ConfigError: W&B does not accept the run.
    """
    profiler = profiler or PassThroughProfiler()
    with _as_first_process():
        with profiler.profile("loggers"):
            loggers = [_OPENERS[name](folder) for name in dict.fromkeys(names)]
        status = "failed"
        try:
            yield loggers
            status = "success"
        finally:
            with profiler.profile("loggers"):
                for logger in loggers:
                    with convenience(f"loggers: {_name(logger)}"):
                        logger.finalize(status)
                        if isinstance(logger, WandbLogger):
                            logger.experiment.finish(exit_code=int(status == "failed"))


@contextmanager
def _as_first_process() -> Iterator[None]:
    """Lightning takes its rank from what a scheduler left in the environment, and above 0 its loggers are silent."""
    of_lightning: Any = rank_zero
    before, of_lightning.rank_zero_only.rank = of_lightning.rank_zero_only.rank, 0
    try:
        yield
    finally:
        of_lightning.rank_zero_only.rank = before


class LogRows(Callback):
    """Hands every row of the history to the loggers, and the settings of the run.

    Args:
        loggers: open ones.
        history: stands before this among the callbacks.
        hyperparameters: plain values.
        best: the highest value so far of what chooses the epoch, for TensorBoard's table of runs.
    """

    def __init__(
        self,
        loggers: Sequence[Logger],
        history: History,
        *,
        hyperparameters: Mapping[str, Scalar],
        best: Callable[[], float],
    ) -> None:
        self.loggers = list(loggers)
        self.history = history
        self.hyperparameters = dict(hyperparameters)
        self.best = best

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the settings."""
        self._tell(lambda logger: logger.log_hyperparams(self.hyperparameters))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's row."""
        row = self.history.rows[-1]

        def log(logger: Logger) -> None:
            logger.log_metrics(row, step=int(row["step"]))
            logger.save()

        self._tell(log)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the settings once more for TensorBoard, which lists them beside a result only."""

        def log(logger: Logger) -> None:
            if isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(self.hyperparameters, {"best": self.best()}, step=trainer.global_step)

        self._tell(log)

    def _tell(self, log: Callable[[Logger], None]) -> None:
        """Log to all of them; one that fails is told nothing more."""
        for logger in list(self.loggers):
            with ExitStack() as failed, convenience(f"loggers: {_name(logger)}"):
                failed.callback(self.loggers.remove, logger)
                log(logger)
                failed.pop_all()


def log_results(
    names: Sequence[LoggerName],
    folder: Path,
    *,
    rows: Sequence[Mapping[str, Any]],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Log the numbers of an evaluation as `final/<search>/<column>`, at the last step of the training.

    Args:
        names: which loggers; those of the training.
        folder: of the run.
        rows: as in `metrics.json`.
        history: rows of `metrics.csv`; none where nothing was trained.
    """
    values = {
        f"final/{row['search']}/{column}": value
        for row in rows
        for column, value in row.items()
        if isinstance(value, int | float)
    }
    with opened(names, folder) as loggers:
        for logger in loggers:
            logger.log_metrics(values, step=int(history[-1]["step"]) if history else 0)


def hyperparameters(module: Trainable, data: str, *, settings: "Fit", seed: int) -> dict[str, Scalar]:
    """What tells runs from one another, as plain values; all of it is in `config.yaml`.

    Args:
        module: the network.
        data: name of the source.
        settings: of the training.
        seed: of the run.
    """
    groups = flatten({"trainer": asdict(settings), "optimizer": asdict(module.optimizer)})
    values = {**module.about, "data": data, "seed": seed, **groups}
    return {name: value if isinstance(value, Scalar) else json.dumps(value) for name, value in values.items()}


def _name(logger: Logger) -> str:
    return "tensorboard" if isinstance(logger, TensorBoardLogger) else "wandb"


def _tensorboard(folder: Path) -> Logger:
    return TensorBoardLogger(save_dir=folder, name="tensorboard", version="", default_hp_metric=False)


def _wandb(folder: Path) -> Logger:
    """Online where the user is logged in or asks by WANDB_MODE, else offline."""
    import wandb

    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "wandb"))  # else its own logs lie in the home folder
    earlier = sorted((folder / "wandb").glob("*run-*-*"))  # [offline-]run-<date>_<time>-<id>
    try:
        mode = "online" if wandb.login(prompt=False, verify=False) else "offline"
        logger = WandbLogger(
            save_dir=folder,
            name=f"{folder.parent.name}_{folder.name}",
            project=os.environ.get("WANDB_PROJECT", "dqh"),
            id=earlier[-1].name.rpartition("-")[2] if earlier else None,
            mode=None if "WANDB_MODE" in os.environ else mode,
            settings=wandb.Settings(console="off"),  # leaves stdout and stderr as they are
        )
        _ = logger.experiment  # begins the run
    except wandb.errors.Error as error:
        raise ConfigError(f"trainer.loggers: wandb says: {error}; WANDB_MODE=offline keeps the run here") from error
    return logger


_OPENERS: Mapping[LoggerName, Callable[[Path], Logger]] = {"tensorboard": _tensorboard, "wandb": _wandb}
