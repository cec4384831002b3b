"""Which boxes of a first stage become proposals; that torch selects the same is in the tests of the network."""

import numpy as np
import pytest

from dqh.detection.proposals import FIELDS, Selection, select

BOXES = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 0.5, 20], [20, 20, 30, 30]], np.float32)
"""Box 0 lies on box 1 by .9."""

LOGITS = np.array([0.5, 1, 9, -2], np.float32)
ALL = Selection(candidates=1000, least_side=1.0, threshold=0.0, iou=0.7, most=4)


def test_the_surest_of_those_that_lie_on_each_other() -> None:
    proposals, objectness = select(BOXES, LOGITS, ALL)
    assert proposals.tolist() == [[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(objectness, [0.7311, 0.1192, 0, 0], atol=1e-4)
    assert (proposals.dtype, objectness.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"least_side": 0.0}, [[0, 0, 0.5, 20], [0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0]]),
        ({"iou": 0.95}, [[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 0, 0]]),
        ({"threshold": 0.5}, [[0, 0, 10, 10], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ({"candidates": 2}, [[0, 0, 10, 10], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ({"most": 1}, [[0, 0, 10, 10]]),
    ],
)
def test_each_setting(change: dict[str, float], wanted: list[list[float]]) -> None:
    proposals, objectness = select(BOXES, LOGITS, ALL._replace(**change))
    assert proposals.tolist() == wanted
    assert ((objectness > 0) == proposals.any(axis=1)).all()


def test_logits_of_any_size() -> None:
    _, objectness = select(BOXES[[0, 3]], np.array([1e4, -1e4], np.float32), ALL)
    assert objectness.tolist() == [1, 0, 0, 0]
    assert not select(BOXES[:0], LOGITS[:0], ALL)[1].any()


def test_every_field_has_a_check() -> None:
    assert list(FIELDS) == list(Selection._fields)
