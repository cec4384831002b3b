"""The objects of several photos in one answer."""

import numpy as np

from dqh.detection.detections import Objects, detections_of


def objects(*scores: float) -> Objects:
    many = len(scores)
    boxes = np.arange(4 * many, dtype=np.float32).reshape(many, 4)
    return Objects(boxes, np.float32(scores), np.arange(many))


def test_what_is_not_valid_says_so() -> None:
    boxes, scores, classes, valid = detections_of([objects(0.9, 0.5), objects(), objects(0.3)], 3)
    assert valid.tolist() == [[True, True, False], [False] * 3, [True, False, False]]
    assert classes.tolist() == [[0, 1, -1], [-1, -1, -1], [0, -1, -1]]
    assert np.array_equal(scores, np.float32([[0.9, 0.5, 0], [0, 0, 0], [0.3, 0, 0]]))
    assert boxes[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 0, 0, 0]]
    assert [array.dtype.name for array in (boxes, scores, classes, valid)] == ["float32", "float32", "int64", "bool"]


def test_no_photos() -> None:
    assert [array.shape for array in detections_of([], 3)] == [(0, 3, 4), (0, 3), (0, 3), (0, 3)]


def test_rows_are_taken_together() -> None:
    taken = objects(0.9, 0.5, 0.1).take(np.array([2, 0]))
    assert np.array_equal(taken.scores, np.float32([0.1, 0.9]))
    assert (taken.classes.tolist(), taken.boxes[0].tolist()) == ([2, 0], [8, 9, 10, 11])
