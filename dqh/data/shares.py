"""Shares of a collection for queries and validation: what a class of each size may give, and the draws of it.

| images of a class | queries            | validation                                   | left to train on |
|-------------------|--------------------|----------------------------------------------|------------------|
| 1                 | none               | none                                         | 1                |
| 2, 3              | at most 1          | none                                         | at least 1       |
| 4, 5              | at most 2          | 2 of four that are left, else none           | at least 2       |
| 6 and more        | at most a third    | at least 2, at most half of what is left     | at least a third |

So every query keeps an image of its class in the database, and validation images have one of theirs beside them. A
label of images with several is treated as a class: an image is drawn only where each of its labels allows it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.draws import draw
from dqh.errors import DataError

QUERY_SHARE, VALIDATION_SHARE = 0.15, 0.12
MOST = 1000
"""Most images that a share takes."""

SERVED_IN_FULL = 6
"""Images of a class that gives queries and validation images, and keeps some to train on."""

_LEAST_TO_VALIDATE = 20  # images; below, validation would take more than a fifth
_LEAST_VALIDATION = 4  # two of each of two classes: else every ranking is right


def most_queries(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many queries classes may give: half of a class below six images, else a third.

    Example:
        >>> most_queries(np.array([0, 1, 2, 3, 4, 5, 6, 120])).tolist()
        [0, 0, 1, 1, 2, 2, 2, 40]
    """
    return np.asarray(np.where(sizes < SERVED_IN_FULL, sizes // 2, sizes // 3))


def most_validation(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many validation images classes of such sizes, without queries, may give: half of four and more, else none.

    Example:
        >>> most_validation(np.array([1, 3, 4, 5, 6, 80])).tolist()
        [0, 0, 2, 2, 3, 40]
    """
    return np.asarray(np.where(sizes >= 4, sizes // 2, 0))


def share_of_queries(
    labels: NDArray[Any], rng: np.random.Generator, *, name: str, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Rows of the queries, ascending: 15 % of all, at least one, at most 1,000, as even over the classes as may be.

    `among` are the rows that may be queries, None for all; `name` is of the source.

    Raises:
        DataError: no class has two images, one of them among those.
    """
    count = min(MOST, max(1, round(QUERY_SHARE * len(labels))))
    rows = np.arange(len(labels), dtype=np.int64) if among is None else among
    if labels.ndim == 2:
        limits = most_queries(labels.sum(axis=0))
        query = _draw_within(rows, labels, count, rng, limits=limits)
        classes = int(labels.any(axis=0).sum())
    else:
        kinds, sizes = np.unique(labels, return_counts=True)
        able, available = np.unique(labels[rows], return_counts=True)
        limits, classes = np.minimum(most_queries(sizes)[np.isin(kinds, able)], available), len(kinds)
        query = draw(rows, labels, min(count, int(limits.sum())), rng, what="query", limits=limits)
    if len(query) == 0:
        raise DataError(
            f"{name} has {len(labels)} images in {classes} classes"
            f"{'' if among is None else f', {len(among)} of them not trained on,'} and cannot be split: a query needs "
            "another image of its class in the database; the least are 3 images, 2 of them in one class"
        )
    return query


def share_of_validation(rows: NDArray[np.int64], labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows that choose the epoch, ascending: 12 % of `rows`, at least four, at most 1,000, two or more of a class.

    Returns:
        None of fewer than 20 rows, or where fewer than two classes can spare two images: nothing could be told apart.
    """
    nothing = np.zeros(0, dtype=np.int64)
    if len(rows) < _LEAST_TO_VALIDATE:
        return nothing
    count = min(MOST, max(_LEAST_VALIDATION, round(VALIDATION_SHARE * len(rows))))
    if labels.ndim == 2:
        limits = most_validation(labels[rows].sum(axis=0))
        chosen = _draw_within(rows, labels, count, rng, limits=limits)
        shared = labels[chosen].sum(axis=0) > 1
        chosen = chosen[(labels[chosen] & shared).any(axis=1)]  # the others have nothing relevant beside them
        return chosen if len(chosen) >= _LEAST_VALIDATION else nothing
    _, sizes = np.unique(labels[rows], return_counts=True)
    limits = most_validation(sizes)
    if np.count_nonzero(limits) < 2:
        return nothing
    return _draw_pairs(rows, labels, count, rng, limits=limits)


def _draw_pairs(
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
    *,
    limits: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Up to `count` of `rows`, ascending, as even over the classes as may be, two or more of each class that is drawn.

    `limits` are 0 or at least 2; one less comes where the last one would be alone.
    """
    able = np.flatnonzero(limits)
    if count < 2 * len(able):
        pairs = rng.choice(able, count // 2, replace=False)
        limits, count = np.zeros_like(limits), 2 * len(pairs)
        limits[pairs] = 2
    return draw(rows, labels, min(count, int(limits.sum())), rng, what="validation", limits=limits)


def _draw_within(
    rows: NDArray[np.int64],
    labels: NDArray[np.bool_],
    count: int,
    rng: np.random.Generator,
    *,
    limits: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Up to `count` of `rows` that have labels, ascending, so that no label is drawn more often than its limit."""
    room = limits.copy()
    chosen: list[int] = []
    for row in rng.permutation(rows[labels[rows].any(axis=1)]):
        if len(chosen) == count:
            break
        if (room[labels[row]] > 0).all():
            room[labels[row]] -= 1
            chosen.append(int(row))
    return np.sort(np.array(chosen, dtype=np.int64))
