"""Kept answers compared with others: row by row, and where rows have changed places."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.detection.golden_inputs import GOLDEN, TOLERANCE, GoldenInputs, read_golden
from dqh.errors import DetectorError

SIZE = 8
BOXES = np.array([[[0, 0, 4, 4], [2, 2, 8, 8], [1, 1, 3, 3], [5, 0, 6, 1]]], np.float32)
SCORES = np.array([[[0.9, 0.05], [0.1, 0.6], [0.3, 0.3], [0.01, 0.02]]], np.float32)
KEPT = GoldenInputs(np.zeros((1, 3, SIZE, SIZE), np.uint8), BOXES, SCORES)


def compared(boxes: NDArray[np.float32] = BOXES, scores: NDArray[np.float32] = SCORES, kept: GoldenInputs = KEPT):
    return kept.compared(boxes, scores, size=SIZE)


def test_equal_answers_hold() -> None:
    assert compared() == (1, 0, 0)
    assert compared().holds


def test_small_differences_are_told_as_they_are() -> None:
    verdict = compared(BOXES + np.float32(0.004), SCORES - np.float32(0.0002))
    assert verdict.box_error == pytest.approx(0.004 / SIZE, rel=1e-3)
    assert verdict.score_error == pytest.approx(0.0002, rel=1e-2)
    assert verdict.holds


def test_rows_may_change_places() -> None:
    order = [2, 0, 3, 1]
    verdict = compared(BOXES[:, order], SCORES[:, order] + np.float32(0.0001))
    assert verdict.holds
    assert verdict.score_error == pytest.approx(0.0001, rel=1e-2)


@pytest.mark.parametrize(
    ("row", "box", "score"),
    [(0, 0.5, 0.0), (1, 0.0, 0.1), (2, 3.0, 0.2)],
)
def test_a_row_that_nothing_is_like_is_told(row: int, box: float, score: float) -> None:
    """Of kept rows that are not answered, and of answers that are not kept."""
    boxes, scores = BOXES.copy(), SCORES.copy()
    boxes[0, row] += np.float32(box)
    scores[0, row] += np.float32(score)
    other = GoldenInputs(KEPT.inputs, boxes, scores)
    for verdict in (compared(boxes, scores), compared(kept=other)):
        assert not verdict.holds
        assert max(verdict.box_error, verdict.score_error) > TOLERANCE


def test_a_row_that_is_said_twice_takes_the_place_of_another() -> None:
    boxes, scores = BOXES.copy(), SCORES.copy()
    boxes[0, 1], scores[0, 1] = boxes[0, 0], scores[0, 0]
    assert not compared(boxes, scores).holds


def test_rows_that_nobody_is_sure_of_are_compared_where_no_other_is_there() -> None:
    unsure = KEPT._replace(scores=SCORES * np.float32(0.05))
    assert compared(BOXES, unsure.scores, kept=unsure).holds
    assert not compared(BOXES + np.float32(1), unsure.scores, kept=unsure).holds


def test_a_row_of_little_score_does_not_count_beside_sure_ones() -> None:
    boxes = BOXES.copy()
    boxes[0, 3] = 7
    assert compared(boxes).holds


def test_other_shapes_are_refused() -> None:
    with pytest.raises(DetectorError, match=r"answers of shapes \(1, 3, 4\) and \(1, 4, 2\), kept are \(1, 4, 4\)"):
        compared(BOXES[:, :3])


def test_each_input_is_asked_alone() -> None:
    kept = KEPT._replace(
        inputs=np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1) * np.ones((2, 3, SIZE, SIZE), np.uint8)
    )
    boxes, scores = kept.answers(lambda images: (BOXES + images.mean(), SCORES + 0 * images[:, 0, :1, :1]))
    assert (boxes[1] - boxes[0] == 1).all()
    assert scores.shape == (2, 4, 2)


def npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def test_what_is_kept_is_read() -> None:
    files = dict(zip(GOLDEN, map(npy, KEPT), strict=True))
    read = read_golden(files.__getitem__, size=SIZE, where="folder")
    assert all((one == other).all() for one, other in zip(read, KEPT, strict=True))
    with pytest.raises(DetectorError, match=r"folder/golden/inputs.npy is \(1, 3, 8, 8\), wanted \(N, 3, 9, 9\)"):
        read_golden(files.__getitem__, size=9, where="folder")
    with pytest.raises(DetectorError, match=r"folder: golden/boxes.npy holds float64, wanted float32"):
        read_golden((files | {GOLDEN[1]: npy(BOXES.astype(np.float64))}).__getitem__, size=SIZE, where="folder")
