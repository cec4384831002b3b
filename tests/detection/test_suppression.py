"""Non-maximum suppression against hand-worked numbers, nested loops and torchvision."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms

from dqh.detection.suppression import overlaps, suppress

Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def drawn(seed: int, *, many: int = 60, classes: int = 3, steps: int = 1000) -> Arrays:
    """Boxes that overlap a lot; scores are multiples of 1 / `steps`, so that few steps give ties."""
    draws = np.random.default_rng(seed)
    corners, sides = draws.uniform(0, 40, (many, 2)), draws.uniform(1, 30, (many, 2))
    scores = draws.integers(0, steps, many) / steps
    boxes = np.concatenate([corners, corners + sides], axis=1)
    return boxes.astype(np.float32), scores.astype(np.float32), draws.integers(0, classes, many)


def naive(boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.int64], iou: float) -> list[int]:
    left = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    stay: list[int] = []
    for row in left:
        if all(classes[row] != classes[other] or overlap(boxes[row], boxes[other]) <= iou for other in stay):
            stay.append(row)
    return stay


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    (a, b, c, d), (e, f, g, h) = one.tolist(), other.tolist()
    across, down = min(c, g) - max(a, e), min(d, h) - max(b, f)
    shared = max(across, 0.0) * max(down, 0.0)
    return shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared)


def test_hand_worked() -> None:
    """0 and 1 share 80 of 100 pixels, .8; 1 and 2 share 5 · 10 = 50 of 80 + 100 - 50 = 130 pixels, .385.

    So 0, the surest, takes 1 away, and 1, which would not have taken 2, does not matter any more. 3 is as 0, of another
    class, and 4 is far away.
    """
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 8], [0, 3, 10, 13], [0, 0, 10, 10], [50, 50, 60, 60]])
    classes = np.array([0, 0, 0, 1, 0])
    scores = np.float32([0.9, 0.8, 0.7, 0.6, 0.95])
    assert suppress(boxes, scores, classes, iou=0.6, most=9).tolist() == [4, 0, 2, 3]
    # 0 and 2 share 70 of 130 pixels, .538
    assert suppress(boxes, scores, classes, iou=0.5, most=9).tolist() == [4, 0, 3]
    assert suppress(boxes, scores, classes, iou=0.5, most=2).tolist() == [4, 0]


@pytest.mark.parametrize(("iou", "rows"), [(0.5, [0, 1]), (0.4999, [0])])
def test_an_overlap_of_exactly_the_limit_stays(iou: float, rows: list[int]) -> None:
    """2 of 4 pixels."""
    boxes = np.float32([[0, 0, 2, 2], [0, 0, 2, 1]])
    assert suppress(boxes, np.float32([0.9, 0.8]), np.array([0, 0]), iou=iou, most=9).tolist() == rows


@pytest.mark.parametrize("steps", [1000, 3])
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.65, 1.0])
def test_it_is_what_nested_loops_give(iou: float, steps: int) -> None:
    for seed in range(20):
        boxes, scores, classes = drawn(seed, steps=steps)
        wanted = naive(boxes, scores, classes, iou)
        assert suppress(boxes, scores, classes, iou=iou, most=len(scores)).tolist() == wanted
        assert suppress(boxes, scores, classes, iou=iou, most=5).tolist() == wanted[:5]


@pytest.mark.parametrize("steps", [1000, 3])
def test_it_is_what_torchvision_gives(steps: int) -> None:
    """Of several classes torchvision leaves equal scores in any order, so that these are compared as sets."""
    for seed in range(20):
        boxes, scores, classes = drawn(seed, many=300, steps=steps)
        rows = suppress(boxes, scores, classes, iou=0.45, most=300)
        wanted = batched_nms(torch.tensor(boxes), torch.tensor(scores), torch.tensor(classes), 0.45)
        assert scores[rows].tolist() == scores[wanted.numpy()].tolist()
        assert set(rows.tolist()) == set(wanted.tolist())


def test_no_boxes() -> None:
    rows = suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), iou=0.5, most=9)
    assert (rows.dtype, rows.shape) == (np.int64, (0,))


def test_what_is_given_stays_as_it_is() -> None:
    given = drawn(0)
    before = [array.copy() for array in given]
    suppress(*given, iou=0.5, most=9)
    assert all(np.array_equal(array, old) for array, old in zip(given, before, strict=True))


def test_empty_boxes_share_nothing() -> None:
    assert overlaps(np.zeros(4), np.array([[0.0, 0, 0, 0], [0, 0, 1, 1]])).tolist() == [0, 0]
