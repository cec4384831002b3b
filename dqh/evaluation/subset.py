"""Some of the rows: few of them where all would take long, or those of classes that the training never saw.

The network before training is measured on a few thousand images. What is measured on fewer queries and items is no
number beside those of all: its row says how many they were, and is compared with the codes on the same ones alone.

A network that was trained to tell classes apart scores high on these very classes, without its codes being good for
others (Sablayrolles, Douze, Usunier and Jégou 2017, "How should we evaluate supervised hashing?"). So queries of unseen
classes search a database of unseen classes, and the rows stand beside those of all classes.

Q queries, N database items.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data import Roles
from dqh.evaluation.measure import PerQuery, Retrieved
from dqh.ranking.side import Labels, Side

SEED = 0


class Subset(NamedTuple):
    """Positions among queries and database items, (q,) and (n,) int64, ascending."""

    query: NDArray[np.int64]
    database: NDArray[np.int64]


class SubsetRows(NamedTuple):
    """What was measured on a subset.

    Attributes:
        searches: names of the rows.
        sizes: its queries and database items.
        main: the row of the trained codes alone on the same.
        limits: what the labels alone say of the scores, as `dqh.evaluation.limits` has it.
    """

    searches: tuple[str, ...]
    sizes: tuple[int, int]
    main: Retrieved
    limits: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For `metrics.json`: `searches`, `query`, `database`, `rows` with that of the codes alone, and `limits`."""
        sizes = dict(zip(("query", "database"), self.sizes, strict=True))
        return {"searches": list(self.searches), **sizes, "rows": self.main.rows, "limits": self.limits}

    def counterparts(self) -> Mapping[str, PerQuery]:
        """By row, the average precision of the trained codes on the same queries and items."""
        (scores,) = self.main.average_precision.values()
        return dict.fromkeys(self.searches, scores)


def drawn(count: int, most: int | None, *, seed: int = SEED) -> NDArray[np.int64]:
    """(n,) int64: at most so many positions out of `count`, ascending; all where they are no more.

    Drawn, since every tenth one of images that take turns by class would all be of one class.
    """
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def subset_of(queries: int, items: int, *, most: int | None) -> Subset | None:
    """At most so many queries, and as many items, of those that there are; None where that is all of them."""
    if most is None or max(queries, items) <= most:
        return None
    return Subset(drawn(queries, most), drawn(items, most))


def unseen_classes(labels: Labels, roles: Roles, *, classes: int) -> NDArray[np.bool_]:
    """(C,) bool: classes of queries that no train and no validation image has, of labels of all rows of the source."""

    def present(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        if labels.ndim == 2:
            return np.asarray(labels[rows].any(axis=0))
        return np.bincount(labels[rows], minlength=classes) > 0

    return present(roles.query) & ~present(np.concatenate([roles.train, roles.validation]))


def of_classes(labels: Labels, classes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) bool: the rows whose labels, (N,) or (N, C), have one of the `classes`, (C,) bool."""
    return np.asarray(labels[:, classes].any(axis=1) if labels.ndim == 2 else classes[labels])


def unseen_part(side: Side, unseen: NDArray[np.bool_]) -> Side:
    """The rows of a side that have one of the `unseen` (C,) classes; of several labels a row only these count."""
    rows = of_classes(side.labels, unseen)
    labels = side.labels[rows][:, unseen] if side.labels.ndim == 2 else side.labels[rows]
    return Side(side.codes[rows], side.embedding[rows], side.features[rows], labels)
