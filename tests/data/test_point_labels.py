"""Labels of points."""

import numpy as np
import pyarrow as pa

from dqh.data.point_labels import labels_of_classes, labels_of_lists, labels_of_texts

TEXTS = [("hat",), (), ("coat", "hat"), ("bag",)]


def test_all_sources_give_the_same_labels() -> None:
    own = labels_of_texts(TEXTS)
    assert own.names == ("bag", "coat", "hat")
    assert [own.of(row) for row in range(4)] == TEXTS
    lists = labels_of_lists(pa.array([list(labels) for labels in TEXTS], pa.list_(pa.string())))
    flags = np.array([[0, 0, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]], np.bool_)
    for other in (lists, labels_of_classes(flags, own.names)):
        assert other.names == own.names
        np.testing.assert_array_equal(other.rows, own.rows)
        np.testing.assert_array_equal(other.classes, own.classes)


def test_missing_lists_and_values_are_no_labels() -> None:
    labels = labels_of_lists(pa.array([None, [b"x", None], []], pa.list_(pa.binary())), lambda value: value.decode())
    assert [labels.of(row) for row in range(3)] == [(), ("x",), ()]
    assert labels_of_lists(pa.array([[], None], pa.list_(pa.string()))).names == ()
    assert labels_of_classes(np.array([1, 0]), ("a", "b")).of(0) == ("b",)
