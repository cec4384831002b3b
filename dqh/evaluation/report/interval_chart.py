"""Values with their intervals on one common scale, as an HTML list: name, meaning, dot and bar, numbers.

No picture but boxes placed by percent: it reflows on a phone, and a screen reader finds the numbers as text.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from dqh.pages import fill

STEPS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MOST_STEPS = 5


class Mark(NamedTuple):
    """One line of an interval chart; all texts are plain.

    Attributes:
        name: what the value belongs to.
        meaning: one sentence for a newcomer, or "".
        value: where the dot stands; None for a line without a dot.
        text: the value as shown.
        low: lower end of the bar, or None.
        high: upper end of the bar, or None.
        span: the interval as shown.
        verdict: what follows from it, or bounds it, in a line of its own.
        series: number of the page's series colour, 0 for the colour of the text.
        hollow: whether the dot is hollow, as of rows that are there for comparison.
        square: whether the dot is a square, because another has its colour.
    """

    name: str
    meaning: str
    value: float | None
    text: str
    low: float | None = None
    high: float | None = None
    span: str = ""
    verdict: str = ""
    series: int = 0
    hollow: bool = False
    square: bool = False


def interval_chart(groups: Sequence[tuple[str, Sequence[Mark]]], *, axis: str, signed: bool = False) -> Markup | None:
    """Marks on a common scale, in groups with a heading each.

    Headings are "" for none. Signed values are differences, with 0 marked on the scale; others are within 0 … 1. None
    where no mark has a value.
    """
    marks = [mark for _, group in groups for mark in group]
    values = [number for mark in marks for number in (mark.value, mark.low, mark.high) if number is not None]
    if not values:
        return None
    low, high, step = scale([*values, 0.0] if signed else values, signed=signed)
    count = round((high - low) / step)
    ticks = [
        (f"{100 * place / count:.4g}%", _tick(low + place * step, step, signed=signed)) for place in range(count + 1)
    ]
    return fill(
        "interval_chart",
        groups=groups,
        axis=axis,
        signed=signed,
        ticks=ticks,
        percent=lambda value: f"{100 * (value - low) / (high - low):.4g}%",
    )


def scale(values: Sequence[float], *, signed: bool = False) -> tuple[float, float, float]:
    """Ends and step of a scale around values: whole steps, at most five, within 0 … 1 unless signed.

    Example:
        >>> scale([0.62, 0.97]), scale([0.9912, 0.9987]), scale([-0.02, 0.31], signed=True)
        ((0.6, 1.0, 0.1), (0.99, 1.0, 0.002), (-0.1, 0.4, 0.1))
    """
    low, high = min(values), max(values)
    for step in STEPS:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if first == last:
            first, last = first - 1, last + 1
        if not signed:
            first, last = max(first, 0), min(last, round(1 / step))
        if last - first <= MOST_STEPS:
            break
    return round(first * step, 6), round(last * step, 6), step


def _tick(value: float, step: float, *, signed: bool) -> str:
    decimals = max(1, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:+.{decimals}f}" if signed and abs(value) > step / 2 else f"{abs(value):.{decimals}f}"
    return text.replace("-", "−")
