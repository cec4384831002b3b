import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dqh.data.boxes import area, clip, intersection, iou, no_boxes


def test_boxes_are_cut_to_the_photo():
    """Of 40 × 10: one reaches over two edges, one is the whole, one lies inside."""
    boxes = np.array([[-5.0, 2.0, 30.0, 18.0], [0, 0, 40, 10], [1.5, 2.5, 3.5, 4.5]])
    cut, faults = clip(boxes, width=40, height=10)
    assert cut.dtype == np.float32
    assert cut.tolist() == [[0, 2, 30, 10], [0, 0, 40, 10], [1.5, 2.5, 3.5, 4.5]]
    assert faults == ["", "", ""]
    assert boxes[0, 0] == -5  # the input stays


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ([3, 1, 3, 5], "no area, as it ends before it begins: 3, 1, 3, 5; wanted x0 < x1 and y0 < y1"),
        ([3, 5, 9, 1], "no area"),
        ([-9, 0, 0, 5], r"nothing of it lies in the photo of 40 × 10 pixels: -9, 0, 0, 5"),
        ([0, 10, 5, 12], "nothing of it lies in the photo"),
        ([np.nan, 0, 5, 5], "a coordinate is no finite number: nan, 0, 5, 5"),
        ([0, 0, np.inf, 5], "a coordinate is no finite number: 0, 0, inf, 5"),
        ([7, 0, 7 + 1e-9, 5], "nothing of it lies"),  # not in float32
    ],
)
def test_what_no_box_is_left_of(box, fault):
    _, faults = clip(np.array([box, [1, 1, 2, 2]], dtype=np.float64), width=40, height=10)
    assert faults[0].startswith(fault)
    assert faults[1] == ""


@given(arrays(np.float64, (3, 4), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_what_is_kept_lies_in_the_photo_and_has_an_area(boxes):
    cut, faults = clip(boxes, width=40, height=10)
    good = cut[[not fault for fault in faults]]
    assert (area(good) > 0).all()
    assert ((good >= 0) & (good <= [40, 10, 40, 10])).all()


def test_overlaps_by_hand():
    """4 × 4 against itself, shifted by half (8 of 24), beside it, and a quarter of it (4 of 16)."""
    one = np.array([[0, 0, 4, 4]], np.float32)
    other = np.array([[0, 0, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4], [1, 1, 3, 3]], np.float32)
    assert area(other).tolist() == [16, 16, 16, 4]
    assert intersection(one, other).tolist() == [[16, 8, 0, 4]]
    np.testing.assert_allclose(iou(one, other), [[1, 1 / 3, 0, 1 / 4]])
    np.testing.assert_allclose(iou(other, one), iou(one, other).T)


def test_no_boxes_overlap_nothing():
    nothing = no_boxes()
    assert [part.shape for part in nothing] == [(0, 4), (0,), (0,)]
    assert [part.dtype for part in nothing] == [np.float32, np.int64, np.bool_]
    assert iou(nothing.boxes, np.ones((2, 4))).shape == (0, 2)
