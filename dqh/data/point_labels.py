"""Labels of points, any number a point, as pairs of a point and a class.

N points, P pairs.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class PointLabels(NamedTuple):
    """Which labels points have.

    Attributes:
        rows: (P,) int64, ascending, the point of each pair.
        classes: (P,) int64.
        names: of the classes.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    names: tuple[str, ...]

    def of(self, row: int) -> tuple[str, ...]:
        """The labels of a point."""
        first, last = np.searchsorted(self.rows, [row, row + 1])
        return tuple(self.names[number] for number in self.classes[first:last])


def labels_of_classes(labels: NDArray[np.int64] | NDArray[np.bool_], names: tuple[str, ...]) -> PointLabels:
    """Labels from (N,) classes, or (N, C) bool."""
    if labels.ndim == 2:
        rows, classes = np.nonzero(labels)
        return PointLabels(rows.astype(np.int64), classes.astype(np.int64), names)
    return PointLabels(np.arange(len(labels)), np.asarray(labels, np.int64), names)


def labels_of_texts(texts: Iterable[tuple[str, ...]]) -> PointLabels:
    """Labels from those of each point, in order.

    Example:
        >>> labels_of_texts([("hat",), (), ("coat", "hat")])[:2]
        (array([0, 2, 2]), array([1, 0, 1]))
    """
    own = list(texts)
    names = sorted(set().union(*own))
    numbers = {name: number for number, name in enumerate(names)}
    rows = np.repeat(np.arange(len(own)), [len(labels) for labels in own])
    classes = [numbers[name] for labels in own for name in labels]
    return PointLabels(rows, np.array(classes, np.int64), tuple(names))


def labels_of_lists(lists: Any, text: Callable[[Any], str] = str) -> PointLabels:
    """Labels from an array of Arrow that holds a list a point, and what makes a text of what it holds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    values = lists.flatten()
    good = np.asarray(values.is_valid())
    coded = values.drop_null().dictionary_encode() if len(values) else pa.array([], values.type).dictionary_encode()
    rows = np.repeat(np.arange(len(lengths)), lengths)[good]
    names = [text(value) for value in coded.dictionary.to_pylist()]
    order = sorted(range(len(names)), key=names.__getitem__)
    ranks = np.empty(len(names), np.int64)
    ranks[order] = np.arange(len(names))
    classes = ranks[coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)]
    return PointLabels(rows, classes, tuple(names[number] for number in order))
