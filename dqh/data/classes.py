"""Classes from what names them: the distinct values, in order, however far apart their numbers are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.errors import DataError

ADVICE = "leave these rows out, or give them a number of their own"
"""Of rows with a negative number, which often stands for `no class`."""


def number_classes(values: NDArray[Any] | Sequence[str], *, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The class of each row from 0, and the names of the classes: their own, or their number as text.

    Args:
        values: (N,) integers of any size, or texts, which need no array: one long name would make all of it long.
        where: what they are of, for the error.

    Returns:
        (N,) int64 labels of 0 … C - 1, and C names, ordered as numbers or as texts are. Nothing is made of numbers that
        no row has.

    Raises:
        DataError: a number is negative.

    Example:
        >>> number_classes(np.array([90_007, 7, 90_007]), where="labels.npy")
        (array([1, 0, 1]), ('7', '90007'))
    """
    if not isinstance(values, np.ndarray):
        names = sorted(set(values))
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers[value] for value in values], dtype=np.int64), tuple(names)
    kinds, labels = np.unique(values, return_inverse=True)
    if len(kinds) and kinds.dtype.kind not in "US" and kinds[0] < 0:
        raise DataError(f"{where}: labels must be at least 0, got {kinds[0]}; {ADVICE}")
    return labels.astype(np.int64), tuple(map(str, kinds.tolist()))
