"""Boxes and dots as shares of an image, 0 … 1, and as pixels of it."""

import math

from dqh.index.store import Box
from dqh.service.refusals import RequestError

_DIGITS = 6


def shares(box: Box, size: tuple[int, int]) -> Box:
    """Pixels as shares of an image of `size`, width × height.

    Example:
        >>> shares((10, 0, 30, 40), (40, 80))
        (0.25, 0.0, 0.75, 0.5)
    """
    x0, y0, x1, y1 = (
        round(min(1.0, max(0.0, value / side)), _DIGITS) for value, side in zip(box, size * 2, strict=True)
    )
    return x0, y0, x1, y1


def pixels(box: Box, size: tuple[int, int]) -> Box:
    """Shares as whole pixels, at least one each way.

    Example:
        >>> pixels((0.25, 0.0, 0.75, 0.001), (40, 80))
        (10.0, 0.0, 30.0, 1.0)
    """
    x0, y0, x1, y1 = (float(round(value * side)) for value, side in zip(box, size * 2, strict=True))
    width, height = size
    x0, y0 = min(x0, width - 1.0), min(y0, height - 1.0)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def parse_box(text: str) -> Box:
    """The box in `x0,y0,x1,y1`; RequestError (400) where it is none."""
    x0, y0, x1, y1 = _numbers(text, 4)
    if not (x0 < x1 and y0 < y1):
        raise RequestError(400, f"box must have x0 < x1 and y0 < y1, got {text[:80]}")
    return x0, y0, x1, y1


def parse_dot(text: str) -> tuple[float, float]:
    """The dot in `x,y`; RequestError (400) where it is none."""
    x, y = _numbers(text, 2)
    return x, y


def _numbers(text: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise RequestError(
            400, f"wanted {count} numbers between commas, shares of the image from 0 to 1, got {text[:80]}"
        )
    return values
