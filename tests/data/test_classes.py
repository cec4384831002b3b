import numpy as np
import pytest

from dqh.data.classes import number_classes
from dqh.errors import DataError


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.uint64, ">i4", object])
def test_distinct_numbers_are_the_classes(kind):
    values = np.array([7, 1, 200, 1], dtype=kind)
    labels, names = number_classes(values, where="x")
    assert (labels.tolist(), names) == ([1, 0, 2, 0], ("1", "7", "200"))
    assert labels.dtype == np.int64


def test_numbers_are_ordered_as_numbers_and_texts_as_texts():
    assert number_classes(np.array([10, 9, 2**63], np.uint64), where="x")[1] == ("9", "10", str(2**63))
    assert number_classes(np.array(["9", "10", "-1"]), where="x")[1] == ("-1", "10", "9")


def test_negative_numbers_are_refused():
    with pytest.raises(DataError, match=r"labels\.npy: labels must be at least 0, got -1; leave these rows out"):
        number_classes(np.array([0, -1]), where="labels.npy")
