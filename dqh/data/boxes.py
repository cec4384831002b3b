"""Boxes of photos: what is marked in one, how boxes are clipped to it, and how much two of them overlap.

A box is x0, y0, x1, y1: its edges in pixels of the upright photo, from the outer corner of the first pixel, so that the
whole of a photo of W × H is 0, 0, W, H and the area is (x1 − x0) (y1 − y0). K boxes of a photo.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Boxes(NamedTuple):
    """What is marked in one photo; nothing of it where K is 0.

    Attributes:
        boxes: (K, 4) float32, x0, y0, x1, y1 in pixels of the upright photo, clipped to it, none of them empty.
        classes: (K,) int64, numbers of the source's classes.
        difficult: (K,) bool, whether a box is marked as difficult, or as one around a crowd: whoever finds it is not
            wrong, whoever does not misses nothing.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    difficult: NDArray[np.bool_]


def no_boxes() -> Boxes:
    """Those of a photo in which nothing is marked."""
    return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def clip(boxes: NDArray[np.float64], *, width: int, height: int) -> tuple[NDArray[np.float32], list[str]]:
    """(K, 4) boxes cut to a photo, and why each of them cannot be used, "" where it can.

    Args:
        boxes: (K, 4), edges in pixels, of any values.
        width: of the upright photo, pixels.
        height: of the upright photo, pixels.

    Example:
        >>> clip(np.array([[-5.0, 2.0, 30.0, 8.0], [50.0, 0.0, 60.0, 9.0]]), width=40, height=10)[1]
        ['', 'nothing of it lies in the photo of 40 × 10 pixels: 50, 0, 60, 9']
    """
    with np.errstate(invalid="ignore"):
        cut = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
    pairs = zip(boxes.tolist(), cut.tolist(), strict=True)
    return cut, [_fault(box, inside, width=width, height=height) for box, inside in pairs]


def square_around(box: Sequence[float] | NDArray[Any], *, width: int, height: int) -> tuple[int, int, int, int]:
    """The square around a box, as far as a photo goes: x0, y0, x1, y1, whole pixels, at least one each way.

    A network sees the centre square of an image: of a long box no more than its middle. So the shorter side is brought
    to the length of the longer one, to both sides alike; where the square would leave the photo it is moved inside, and
    cut where it is larger.

    Args:
        box: x0, y0, x1, y1, pixels; it may reach beyond the photo.
        width: of the upright photo, pixels.
        height: of the upright photo, pixels.

    Example:
        >>> square_around([0, 10, 20, 70], width=100, height=100), square_around([0, 5, 80, 25], width=80, height=40)
        ((0, 10, 60, 70), (0, 0, 80, 40))
    """
    low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
    side, photo = (high - low).max(), np.array([width, height], np.float64)
    return whole_pixels(np.clip((low + high - side) / 2, 0, np.maximum(photo - side, 0)), side, photo)


def whole_pixels(
    start: NDArray[np.float64], sides: NDArray[np.float64] | float, photo: NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of a part of a photo: rounded, cut to it, at least one pixel each way.

    Args:
        start: (2,) x0, y0.
        sides: (2,) width and height of the part, or one for both.
        photo: (2,) width and height of the photo.
    """
    first = np.clip(np.rint(start), 0, photo - 1).astype(int)
    last = np.clip(np.rint(start + sides), first + 1, photo).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _fault(box: list[float], inside: list[float], *, width: int, height: int) -> str:
    """Why a box cannot be used, by itself and by what of it lies in the photo; "" where it can."""
    spelt = ", ".join(f"{value:.6g}" for value in box)
    if not np.isfinite(box).all():
        return f"a coordinate is no finite number: {spelt}"
    if box[2] <= box[0] or box[3] <= box[1]:
        return f"no area, as it ends before it begins: {spelt}; wanted x0 < x1 and y0 < y1"
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return f"nothing of it lies in the photo of {width} × {height} pixels: {spelt}"
    return ""


def area(boxes: NDArray[Any]) -> NDArray[np.float64]:
    """(K,) areas of (K, 4) boxes, square pixels."""
    sides = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersection(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """(A, B) square pixels that (A, 4) and (B, 4) boxes share."""
    low = np.maximum(one[:, None, :2].astype(np.float64), other[None, :, :2])
    high = np.minimum(one[:, None, 2:].astype(np.float64), other[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def iou(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """(A, B) intersection over union of (A, 4) and (B, 4) boxes, none of them empty, 0 … 1.

    Example:
        >>> iou(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4]])).round(3).tolist()
        [[1.0, 0.333, 0.0]]
    """
    shared = intersection(one, other)
    return np.asarray(shared / (area(one)[:, None] + area(other)[None, :] - shared))
