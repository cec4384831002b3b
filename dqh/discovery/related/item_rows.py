"""Numbers of pairs of items, of which few have any: rows of items that have others beside them.

I items; row i has places `starts[i]` … `starts[i + 1]` of n columns and values, its columns rising.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ItemRows(NamedTuple):
    """A sparse matrix (I, I) with several numbers in each place that has some.

    Attributes:
        starts: (I + 1,) int64.
        columns: (n,) int64, items, rising within a row.
        values: (n, v) float64.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]

    def row(self, item: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The columns of a row, and their values (m, v); none of an item below 0."""
        start, end = (self.starts[item], self.starts[item + 1]) if item >= 0 else (0, 0)
        return self.columns[start:end], self.values[start:end]

    def beside(self, item: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m, v) values of m columns of a row, 0 where it has none; items below 0 have none."""
        columns, values = self.row(item)
        out = np.zeros((len(others), self.values.shape[1]))
        if len(columns):
            places = np.searchsorted(columns, others).clip(max=len(columns) - 1)
            has = columns[places] == others
            out[has] = values[places[has]]
        return out


def item_rows(
    rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64], *, items: int
) -> ItemRows:
    """The sums of values (m, v) by row and column, both (m,) numbers from 0 to I − 1.

    Example:
        >>> pairs = item_rows(np.array([1, 1, 0]), np.array([2, 2, 1]), np.array([[1.0], [2.0], [5.0]]), items=3)
        >>> pairs.starts.tolist(), pairs.columns.tolist(), pairs.values.tolist()
        ([0, 1, 2, 2], [1, 2], [[5.0], [3.0]])
    """
    keys, number = np.unique(rows * items + columns, return_inverse=True)
    summed = [sums(number, column, len(keys)) for column in values.T]
    starts = np.searchsorted(keys, np.arange(items + 1) * items)
    return ItemRows(starts.astype(np.int64), keys % max(items, 1), np.stack(summed, axis=1))


def sums(numbers: NDArray[np.int64], values: NDArray[Any], count: int) -> NDArray[np.float64]:
    """(count,) float64, the sums of values (m,) of each of the numbers 0 … count − 1."""
    return np.bincount(numbers, values, count).astype(np.float64)
