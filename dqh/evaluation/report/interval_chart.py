"""Values with their intervals on one common scale, as an HTML list: name, meaning, dot and bar, numbers.

No picture but boxes placed by percent: it reflows on a phone, and a screen reader finds the numbers as text.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from dqh.evaluation.report.markup import escape

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
        span: the interval, or another remark, as shown.
        series: number of the page's series colour, 0 for the colour of the text.
        apart: whether the dot is hollow, as of rows that are there for comparison.
        square: whether the dot is a square, because another has its colour.
    """

    name: str
    meaning: str
    value: float | None
    text: str
    low: float | None = None
    high: float | None = None
    span: str = ""
    series: int = 0
    apart: bool = False
    square: bool = False


def interval_chart(groups: Sequence[tuple[str, Sequence[Mark]]], *, axis: str, signed: bool = False) -> str | None:
    """Marks on a common scale, in groups with a heading each.

    Args:
        groups: headings, "" for none, and their marks.
        axis: what the scale measures.
        signed: whether the values are differences: the scale has 0 on it, marked. Others are within 0 … 1.

    Returns:
        HTML, or None where no mark has a value.
    """
    marks = [mark for _, group in groups for mark in group]
    values = [number for mark in marks for number in (mark.value, mark.low, mark.high) if number is not None]
    if not values:
        return None
    low, high, step = scale([*values, 0.0] if signed else values, signed=signed)
    count = round((high - low) / step)
    origin = f' style="--origin: {_percent(0, low, high)}"' if signed else ""
    ticks = "".join(
        f'<span style="left: {100 * place / count:.4g}%">{_tick(low + place * step, step, signed=signed)}</span>'
        for place in range(count + 1)
    )
    lines = []
    for heading, group in groups:
        lines += [f'<li class="heading">{escape(heading)}</li>'] if heading and group else []
        lines += [_line(mark, low, high) for mark in group]
    return (
        f'<div class="chart{" signed" if signed else ""}"{origin}><ul style="--steps: {count}">{"".join(lines)}</ul>'
        f'<div class="axis" aria-hidden="true"><p>{ticks}</p><b>{escape(axis)}</b></div></div>'
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


def _line(mark: Mark, low: float, high: float) -> str:
    colour = f' style="--colour: var(--series-{mark.series})"' if mark.series else ""
    bar = ""
    if mark.low is not None and mark.high is not None:
        left, right = _percent(mark.low, low, high), _percent(mark.high, low, high)
        bar = f'<i style="left: {left}; right: calc(100% - {right})"></i>'
    if mark.value is not None:
        bar += f'<b style="left: {_percent(mark.value, low, high)}"></b>'
    kind = ("apart" if mark.apart else "own") + (" square" if mark.square else "")
    meaning = f'<span class="meaning">{escape(mark.meaning)}</span>' if mark.meaning else ""
    return (
        f'<li class="{kind}"{colour}><span class="name">{escape(mark.name)}</span>{meaning}'
        f'<span class="bar" aria-hidden="true">{bar}</span>'
        f'<span class="value">{escape(mark.text)}<small>{escape(mark.span)}</small></span></li>'
    )


def _percent(value: float, low: float, high: float) -> str:
    return f"{100 * (value - low) / (high - low):.4g}%"


def _tick(value: float, step: float, *, signed: bool) -> str:
    decimals = max(1, -math.floor(math.log10(step) + 1e-9))
    text = f"{value:+.{decimals}f}" if signed and abs(value) > step / 2 else f"{abs(value):.{decimals}f}"
    return text.replace("-", "−")
