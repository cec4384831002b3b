"""Classes that the training never saw: which they are, and the part of an experiment that has only them.

A network that was trained to tell classes apart scores high on these very classes, without its codes being good for
others (Sablayrolles, Douze, Usunier and Jégou 2017, "How should we evaluate supervised hashing?"). So queries of unseen
classes search a database of unseen classes, and the rows stand beside those of all classes.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.data import Roles
from dqh.ranking.side import Labels, Side


def unseen_classes(labels: Labels, roles: Roles, *, classes: int) -> NDArray[np.bool_]:
    """(C,) bool: classes of queries that no train and no validation image has, of labels of all rows of the source."""

    def present(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        if labels.ndim == 2:
            return np.asarray(labels[rows].any(axis=0))
        return np.bincount(labels[rows], minlength=classes) > 0

    return present(roles.query) & ~present(np.concatenate([roles.train, roles.validation]))


def unseen_part(side: Side, unseen: NDArray[np.bool_]) -> Side:
    """The rows of a side that have one of the `unseen` (C,) classes; of several labels a row only these count."""
    rows = side.labels[:, unseen].any(axis=1) if side.labels.ndim == 2 else unseen[side.labels]
    labels = side.labels[rows][:, unseen] if side.labels.ndim == 2 else side.labels[rows]
    return Side(side.codes[rows], side.embedding[rows], side.features[rows], labels)
