"""The output of YOLOX as boxes; the arithmetic of the anchors is in `tests.detection.conftest`."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.detection.decoders.yolox import DECODER
from dqh.detection.detections import Objects
from tests.detection.conftest import LARGE, MIDDLE, SMALL, THREE, head


def decode(*outputs: NDArray[Any], threshold: float = 0.25, classes: int = 2) -> Objects:
    return DECODER.decode(outputs, height=64, width=64, classes=classes, threshold=threshold)


def test_hand_worked() -> None:
    boxes, scores, classes = decode(head(THREE))
    assert np.allclose(boxes, [[12, 6, 28, 14], [8, 8, 24, 24], [16, 16, 48, 48]], rtol=0, atol=1e-5)  # exp(log 2)
    assert np.allclose(scores, [0.4, 0.5, 0.75], rtol=1e-6)
    assert classes.tolist() == [0, 1, 0]
    assert (boxes.dtype, scores.dtype, classes.dtype) == (np.float32, np.float32, np.int64)


@pytest.mark.parametrize(("threshold", "many"), [(0.0, 84), (0.4, 3), (0.41, 2), (0.5, 2), (0.76, 0), (1.0, 0)])
def test_a_score_of_the_threshold_is_enough(threshold: float, many: int) -> None:
    assert len(decode(head(THREE), threshold=threshold).scores) == many


def test_every_anchor_has_its_place() -> None:
    """A box of every anchor around its cell's corner, against the loops over grids, rows and columns."""
    output = head(dict.fromkeys(range(84), (0, 0, 0, 0, 1, 1, 0)))
    wanted = [
        [column * stride - stride / 2, row * stride - stride / 2, (column + 0.5) * stride, (row + 0.5) * stride]
        for stride in (8, 16, 32)
        for row in range(64 // stride)
        for column in range(64 // stride)
    ]
    assert decode(output).boxes.tolist() == wanted


def test_an_input_that_is_wider_than_high() -> None:
    """32 × 64: 4 · 8 + 2 · 4 + 1 · 2 = 42 anchors; the last one is column 1 of the cells of 32."""
    output = head({41: LARGE, 9: SMALL}, anchors=42)
    boxes = DECODER.decode([output], height=32, width=64, classes=2, threshold=0.25).boxes
    # anchor 9 is row 1, column 1 of the cells of 8: as anchor 10 of 64 × 64, 8 pixels to the left
    assert np.allclose(boxes, [[4, 6, 20, 14], [16, -16, 48, 16]], rtol=0, atol=1e-5)


def test_of_equal_classes_the_first_is_taken() -> None:
    assert decode(head({0: (0, 0, 0, 0, 1, 0.5, 0.5)})).classes.tolist() == [0]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], r"it has 0 outputs, nothing, wanted one of float32 \(1, 84, 7\)"),
        ([head({}), head({})], r"it has 2 outputs, float32 \(1, 84, 7\) and float32 \(1, 84, 7\), wanted one"),
        ([head({}).astype(np.float64)], r"its output is float64 \(1, 84, 7\), wanted one of float32 \(1, 84, 7\)"),
        ([head({})[0]], r"its output is float32 \(84, 7\), wanted one of float32 \(1, 84, 7\)"),
        (
            [head({}, anchors=85)],
            r"float32 \(1, 85, 7\), wanted one of float32 \(1, 84, 7\): 84 anchors, of strides 8, ",
        ),
        ([head({}, classes=80)], r"float32 \(1, 84, 85\), which is 80 classes, but 2 classes are named"),
        ([head({}, classes=1)], r"which is 1 class, but 2 classes are named"),
        ([head({}, classes=0)], r"float32 \(1, 84, 5\), wanted one of"),
        ([head({3: (np.nan, 0, 0, 0, 0, 0, 0)})], r"numbers that are not finite"),
        ([head({3: (0, 0, 0, 0, 7, 0, 0)})], r"a score of 7, wanted 0 … 1: it was exported without the sigmoid"),
        ([head({3: (0, 0, 0, 0, 0, 0, -2.5)})], r"a score of -2.5, wanted 0 … 1"),
        ([head({3: (0, 0, 200, 0, 1, 1, 0)})], r"boxes that are larger than any number"),
    ],
)
def test_what_is_no_output_of_yolox(outputs: list[NDArray[Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(*outputs)


def test_the_box_of_an_anchor_that_is_not_sure_may_be_anything() -> None:
    assert len(decode(head({3: (0, 0, 200, 0, 0.1, 1, 0), 69: MIDDLE})).scores) == 1


@pytest.mark.parametrize(("height", "width"), [(416, 416), (32, 640)])
def test_sizes_of_an_input(height: int, width: int) -> None:
    assert DECODER.size_problem(height, width) is None
    assert "a multiple of 32 pixels, got 33 × 64" in str(DECODER.size_problem(33, 64))
