"""A check that a network can learn at all: a few training images, shown again and again, measured on themselves."""

import itertools
import logging
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning import Callback

from dqh.errors import DataError
from dqh.training.processes import rank

logger = logging.getLogger(__name__)

LEARNT = 0.99
"""The mAP of the images among themselves at which the check is passed."""

PASSES = 10
"""How often an epoch shows each image: validating and saving after every step or two would take most of the time."""

LEAST = 4
"""The fewest images: two classes of two."""


def few(rows: NDArray[np.int64], labels: NDArray[Any], count: int, *, seed: int) -> NDArray[np.int64]:
    """Some rows for a network to learn by heart, each with others that are relevant for it.

    As many classes are drawn as can have three rows each, the largest first; they take turns in choosing a row at
    random. Where rows have several labels, a class is here a set of labels that a row has exactly, and the sets drawn
    are disjoint: relevance then divides the rows into groups, as with one label, and a perfect order can be learnt.

    Args:
        rows: (n,) what to choose from.
        labels: (N,) int64 or (N, C) bool labels of all rows.
        count: how many, at least `LEAST`; fewer come out where the drawn classes have no more.
        seed: of the draws.

    Returns:
        (k,) int64, ascending, k ≤ count.

    Raises:
        DataError: no class has two rows.

    Example:
        >>> labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
        >>> labels[few(np.arange(9), labels, 6, seed=0)]
        array([0, 0, 0, 0, 1, 1])
    """
    rng = np.random.default_rng(seed)
    kinds, kind, sizes = np.unique(labels[rows], axis=0, return_inverse=True, return_counts=True)
    kind = kind.reshape(-1)  # some versions of NumPy keep the axis
    sets = kinds if labels.ndim == 2 else np.eye(len(kinds), dtype=bool)
    taken = np.zeros(sets.shape[1], dtype=bool)
    drawn: list[int] = []
    shuffled = rng.permutation(len(kinds))
    for candidate in shuffled[np.argsort(-sizes[shuffled], kind="stable")].tolist():
        usable = sizes[candidate] > 1 and sets[candidate].any() and not (sets[candidate] & taken).any()
        if usable and len(drawn) < max(2, count // 3):
            drawn.append(candidate)
            taken |= sets[candidate]
    if not drawn:
        raise DataError("trainer.overfit needs a class with at least two train images; there is none")
    queues = [rng.permutation(np.flatnonzero(kind == value)) for value in drawn]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*queues))
    return np.sort(rows[[place for place in turns if place is not None][:count]])


class StopWhenLearnt(Callback):
    """Ends the training with the epoch in which the images find each other, and says how it came out."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the mAP."""
        trainer.should_stop = _value(trainer) >= LEARNT

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell."""
        if rank() > 0:
            return
        value, epochs = _value(trainer), trainer.current_epoch
        if value >= LEARNT:
            logger.info("overfit: train/mAP %.4f after %d epochs: this network can learn these images", value, epochs)
        else:
            logger.warning(
                "overfit: train/mAP only %.4f after %d epochs, wanted %.2f: look at labels, loss and optimizer.lr",
                *(value, epochs, LEARNT),
            )


def _value(trainer: pl.Trainer) -> float:
    return float(trainer.callback_metrics["val/mAP"])
