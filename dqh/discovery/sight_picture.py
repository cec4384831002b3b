"""Photos that were looked at, with their dots, the words of each and its answers, as a figure.

Each photo has a number on every object whose dot is shown, and a small cross on those that the filter hides; beside it
is a line a number: its words, and the nearest answers with their boxes.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from dqh.collection.artifact_note import absolute
from dqh.collection.picture import cell
from dqh.data.photo_files import located, read_photo
from dqh.discovery.flashlight import Sight, Spot
from dqh.errors import BadImageError
from dqh.index.store import Hit
from dqh.ranking import Rank
from dqh.terminal import cut, shown

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b")
"""Of the numbers, one after the other and again."""

COLUMNS, LINES = 6, 8
"""Answers of an object, and objects of a photo, that are drawn."""

PHOTOS = 10
"""That are drawn."""

_CELL, _WORDS, _PHOTO = 1.4, 1.4, 2.9
"""Inches: a line and an answer, the words, and the photo."""

_CAPTION = 0.36
"""Inches below an answer."""

_LETTERS = 22
_SIDE = 640  # pixels of the longer side


def draw_sights(sights: Sequence[Sight], root: str, *, rank: Rank = "fine") -> Figure:
    """The first `PHOTOS` photos that were looked at, by their paths.

    Args:
        sights: at least one.
        root: folder that the paths of answers are relative to.
        rank: what orders the answers.
    """
    drawn = sights[:PHOTOS]
    heights = [max(2, min(LINES, len(_shown(sight)))) * _CELL + 0.25 for sight in drawn]
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 7}):
        figure = Figure(figsize=(_PHOTO + _WORDS + COLUMNS * _CELL, sum(heights)), dpi=120, facecolor="white")
        parts: Any = figure.subfigures(len(drawn), 1, height_ratios=heights, squeeze=False)
        for part, sight, height in zip(parts[:, 0], drawn, heights, strict=True):
            _draw(part, sight, root, rank, lines=round((height - 0.25) / _CELL))
    return figure


def _shown(sight: Sight) -> list[Spot]:
    return [spot for spot in sight.spots if spot.shown]


def _draw(part: Any, sight: Sight, root: str, rank: Rank, *, lines: int) -> None:
    """One photo with its lines."""
    widths = [_PHOTO, _WORDS, *[_CELL] * COLUMNS]
    height = lines * _CELL
    edges = {"left": 0.01, "right": 0.99, "bottom": _CAPTION / height, "top": 1 - 0.08 / height}
    grid = part.add_gridspec(lines, 2 + COLUMNS, width_ratios=widths, hspace=0.36, wspace=0.06, **edges)
    spots = _shown(sight)[:LINES]
    _photo(part.add_subplot(grid[:, 0]), sight, spots)
    for line in range(lines):
        axes = [part.add_subplot(grid[line, column]) for column in range(1, 2 + COLUMNS)]
        for axis in axes:
            axis.set_axis_off()
        if line < len(spots):
            _line(axes, line, spots[line], root, rank)
        elif line == 0:
            axes[0].text(0, 0.5, cut(shown(sight.note or "no dot is shown"), 90), va="center")


def _photo(axis: Any, sight: Sight, spots: Sequence[Spot]) -> None:
    axis.set_axis_off()
    try:
        image = read_photo(located(sight.photo))
    except BadImageError as error:
        axis.text(0.5, 0.5, f"no picture:\n{cut(shown(str(error)), 40)}", ha="center", va="center", color="#777777")
        return
    width, height = sight.size
    scale = min(1.0, _SIDE / max(width, height))
    small = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    axis.imshow(np.asarray(small), extent=(0, width, height, 0), interpolation="antialiased")
    for spot in sight.spots:
        if not spot.shown:
            axis.plot(*spot.dot, marker="x", color="white", markersize=5, markeredgewidth=2.5)
            axis.plot(*spot.dot, marker="x", color="#555555", markersize=5, markeredgewidth=1)
    for number, spot in enumerate(spots):
        x0, y0, x1, y1 = spot.box
        colour = COLOURS[number % len(COLOURS)]
        axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2))
        axis.plot(*spot.dot, marker="o", color=colour, markersize=13, markeredgecolor="white", markeredgewidth=1.5)
        axis.text(*spot.dot, str(number + 1), color="white", ha="center", va="center", fontsize=8, fontweight="bold")


def _line(axes: Sequence[Any], number: int, spot: Spot, root: str, rank: Rank) -> None:
    """The words of an object and its answers."""
    colour = COLOURS[number % len(COLOURS)]
    words = [
        f"{cut(shown(word), _LETTERS)}  {f'{share:.0%}' if confidence is None else f'{confidence:.2f}'}"
        for word, share, confidence in spot.words[:5]
    ]
    seen = "" if spot.object is None else f"seen as {cut(shown(spot.object), _LETTERS)} {spot.score:.2f}"
    axes[0].text(0.02, 0.95, str(number + 1), color=colour, fontsize=11, fontweight="bold", va="top")
    axes[0].text(0.16, 0.95, "\n".join(words) or "no words", va="top", fontsize=8, linespacing=1.4)
    axes[0].text(0.16, 0.0, seen, va="bottom", color="#777777")
    for axis, hit in zip(axes[1:], spot.hits, strict=False):
        cell(axis, absolute(hit.path, root), hit.box, _caption(hit, rank))


def _caption(hit: Hit, rank: Rank) -> str:
    """What an answer is called, and how far away it is."""
    words = ", ".join(hit.labels) or hit.object or "–"
    distance = f"fine {hit.distance:.4g}" if rank == "fine" else f"code {hit.code_distance:.4g}"
    return f"{cut(shown(words), _LETTERS)}\n{distance}"
