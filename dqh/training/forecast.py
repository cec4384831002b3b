"""About how long a whole run will take, told once an epoch has shown how fast it is."""

import logging
from typing import NamedTuple

import pytorch_lightning as pl
from pytorch_lightning import Callback

from dqh.training.history import History, ProgressLine
from dqh.training.processes import rank

logger = logging.getLogger(__name__)

FORWARD = 3.0
"""Images that a network encodes while it trains on one: the way back takes about twice as long as the way forth."""

PAIR_SECONDS = 1e-8
"""What a row of the evaluation takes for a query and an item: benchmarks/results/metrics-cpu.md, `retrieve`."""

PAGE_SECONDS = 5.0
"""Intervals, curves, pictures and files."""


class Sequel(NamedTuple):
    """What comes after a training.

    Attributes:
        without_h: whether as long a training without H follows.
        limit_minutes: of this training, beyond which that one is left out; None for no limit.
        images: that networks encode, each as often as one does, and its mirror image as another.
        without_h_images: that the network without H encodes.
        pairs: (query, item) pairs that are compared, in all rows.
        baselines: that are fitted.
    """

    without_h: bool = False
    limit_minutes: float | None = None
    images: int = 0
    without_h_images: int = 0
    pairs: int = 0
    baselines: tuple[str, ...] = ()


class Pace(NamedTuple):
    """How fast a training is.

    Attributes:
        left: seconds of it that are left.
        whole: seconds of all of it, with validation.
        loops: seconds of all of it, without.
        images_per_s: trained on.
    """

    left: float
    whole: float
    loops: float
    images_per_s: float


def forecast(pace: Pace, sequel: Sequel) -> str:
    """What is left of a run, in one line.

    Example:
        >>> print(forecast(Pace(540, 600, 590, 100.0), Sequel(images=36_000, pairs=10**9)))
        about 11 min to go: 9 min training, 2 min encoding, 15 s measuring
    """
    long = sequel.limit_minutes is not None and pace.loops > 60 * sequel.limit_minutes
    again = sequel.without_h and not long
    images = sequel.images + (sequel.without_h_images if again else 0)
    parts = {
        "training": pace.left,
        "training without H": pace.whole if again else 0.0,
        "encoding": images / (FORWARD * max(pace.images_per_s, 1e-9)),
        "measuring": sequel.pairs * PAIR_SECONDS + PAGE_SECONDS,
    }
    told = [f"{duration(seconds)} {what}" for what, seconds in parts.items() if seconds >= 0.5]
    line = f"about {duration(sum(parts.values()))} to go: {', '.join(told)}"
    if sequel.baselines:
        line += f"; fitting {', '.join(sequel.baselines)} comes on top"
    if sequel.without_h and long:
        line += (
            f"; no training without H, as this one takes over {sequel.limit_minutes:g} min (without_h=softmax has it)"
        )
    return line


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as exact as a forecast can be.

    Example:
        >>> duration(7.4), duration(100), duration(5400), duration(20_000)
        ('7 s', '2 min', '90 min', '5.6 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


class Forecast(Callback):
    """Tells about how long the whole run will take, after the first whole epoch of a call.

    Args:
        history: where speed is read from.
        progress: where the time left is read from.
        sequel: what comes after the training.
    """

    def __init__(self, history: History, progress: ProgressLine, sequel: Sequel) -> None:
        self.history = history
        self.progress = progress
        self.sequel = sequel
        self._told = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell, once."""
        if self._told or rank() > 0:
            return
        self._told = True
        rows, epochs = self.history.rows, trainer.max_epochs or 0
        step = self.progress.seconds_a_step(trainer)
        steps = int(trainer.estimated_stepping_batches)
        loops = sum(row["seconds"] for row in rows) * epochs / len(rows)
        pace = Pace(step * (steps - trainer.global_step), step * steps, loops, self.history.speed())
        logger.info("%s", forecast(pace, self.sequel))
