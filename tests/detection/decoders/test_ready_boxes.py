"""Boxes and scores of a fixed number: which become objects, and what is refused."""

import numpy as np
import pytest

from dqh.detection.decoders.ready_boxes import DECODER, MOST_CANDIDATES

BOXES = np.array([[[0, 0, 4, 4], [1, 1, 3, 3], [2, 2, 9, 9]]], np.float32)
SCORES = np.array([[[0.9, 0.1], [0.5, 0.6], [0.2, 0.3]]], np.float32)


def decoded(outputs=(BOXES, SCORES), classes: int = 2, threshold: float = 0.5):
    return DECODER.decode(outputs, height=16, width=16, classes=classes, threshold=threshold)


def test_a_box_is_an_object_of_every_class_that_it_is_sure_enough_of() -> None:
    objects = decoded()
    assert objects.classes.tolist() == [0, 0, 1]
    assert objects.boxes.tolist() == [[0, 0, 4, 4], [1, 1, 3, 3], [1, 1, 3, 3]]
    np.testing.assert_array_equal(objects.scores, np.float32([0.9, 0.5, 0.6]))
    assert len(decoded(threshold=0.95).scores) == 0
    assert len(decoded(threshold=0.0).scores) == 6


def test_of_too_many_the_surest_stay_in_their_order() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((1, MOST_CANDIDATES, 2), np.float32)
    objects = decoded((np.zeros((1, MOST_CANDIDATES, 4), np.float32), scores), threshold=0.0)
    assert len(objects.scores) == MOST_CANDIDATES
    wanted = np.sort(scores.ravel())[-MOST_CANDIDATES:]
    np.testing.assert_array_equal(np.sort(objects.scores), wanted)


@pytest.mark.parametrize(
    ("outputs", "classes", "message"),
    [
        ((BOXES,), 2, r"its outputs are float32 \(1, 3, 4\), wanted float32 \(1, n, 4\) boxes and \(1, n, 2\) scores"),
        ((SCORES, BOXES), 2, "wanted float32"),
        ((BOXES, SCORES[:, :2]), 2, "wanted float32"),
        ((BOXES.astype(np.float64), SCORES), 2, "its outputs are float64"),
        ((BOXES, SCORES), 3, "its scores are of 2 classes, but 3 classes are named"),
        ((BOXES * np.float32(np.nan), SCORES), 2, "numbers that are not finite"),
        ((BOXES, SCORES * 2), 2, "a score of 1.8, wanted 0 … 1"),
    ],
)
def test_other_outputs_are_refused(outputs, classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decoded(outputs, classes)


def test_any_size_may_be() -> None:
    assert DECODER.size_problem(290, 300) is None
