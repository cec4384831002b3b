"""Random draws of rows, even over the classes where each row has one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.errors import DataError


def draw(
    rows: NDArray[np.int64],
    labels: NDArray[Any],
    count: int,
    rng: np.random.Generator,
    *,
    what: str,
    limits: NDArray[np.int64] | None = None,
    even: bool = True,
) -> NDArray[np.int64]:
    """`count` of `rows`, ascending.

    With one label a row, classes get equal shares, as far as they have enough rows; what does not divide goes to
    classes at random. With several labels a row, or without `even`, the draw is uniform.

    Args:
        rows: (n,) what to draw from.
        labels: (N,) int64 or (N, C) bool labels of all rows.
        count: how many.
        rng: source of randomness.
        what: the role drawn, which names its number in the error.
        limits: (C,) how many each class among `rows` may give, in the order of the classes, `count` at most in all;
            None: all. For one label a row.
        even: whether classes get equal shares.

    Raises:
        DataError: `count` is more than there are.
    """
    if count > len(rows):
        raise DataError(f"{what}: {count} images wanted, {len(rows)} are left to draw from; lower split.{what}")
    if labels.ndim == 2 or not even:
        return np.sort(rng.choice(rows, size=count, replace=False))
    kinds, sizes = np.unique(labels[rows], return_counts=True)
    shares = even_shares(sizes if limits is None else limits, count, rng)
    return np.sort(
        np.concatenate(
            [np.zeros(0, dtype=np.int64)]
            + [rng.permutation(rows[labels[rows] == kind])[:share] for kind, share in zip(kinds, shares, strict=True)]
        )
    )


def even_shares(sizes: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many to take of each class: as equal as the sizes allow, the remainder to classes at random.

    Args:
        sizes: (C,) number of rows of each class.
        count: how many to take in all, at most the sum of `sizes`.
        rng: decides who gets one more.

    Returns:
        (C,) shares that sum to `count`, each at most its size.

    Example:
        >>> even_shares(np.array([2, 10, 10]), 12, np.random.default_rng(0)).tolist()
        [2, 5, 5]
    """
    # The largest level such that the sum of min(size, level) is at most count, then one more to some below it.
    low, high = 0, int(sizes.max(initial=0))
    while low < high:
        level = (low + high + 1) // 2
        if np.minimum(sizes, level).sum() <= count:
            low = level
        else:
            high = level - 1
    shares = np.minimum(sizes, low)
    more = rng.permutation(np.flatnonzero(sizes > low))[: count - shares.sum()]
    shares[more] += 1
    return shares


def split_classes(labels: NDArray[Any], counts: Sequence[int], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Exactly `counts[i]` rows of every class for each i, then all other rows, each ascending; labels are (N,)."""
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(len(counts) + 1)]
    for kind in np.unique(labels):
        order = rng.permutation(np.flatnonzero(labels == kind))
        for part, rows in zip(parts, np.split(order, np.cumsum(counts)), strict=True):
            part.append(rows)
    return [np.sort(np.concatenate(part)) for part in parts]
