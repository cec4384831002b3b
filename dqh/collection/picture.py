"""Queries with the pictures that a search found for them, as a PNG file."""

import io
import os
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from dqh.collection.artifact_note import absolute
from dqh.collection.searching import Answers
from dqh.data.photo_files import located, read_photo
from dqh.errors import BadImageError
from dqh.files import write_bytes
from dqh.index.store import Box, Hit
from dqh.ranking import Rank
from dqh.terminal import cut, shown, width

COLUMNS = 10
"""Answers shown in a line."""

ROWS = 40
"""Lines shown at most."""

_CELL = 1.5  # inches
_CAPTION = 0.62  # inches below a picture, three lines
_SIDE = 240  # pixels of the longer side
_LETTERS = 23  # that fit below a picture


def draw(answers: Answers) -> Figure:
    """A line for each of the first `ROWS` queries: the query with its box, and up to `COLUMNS` answers, nearest first.

    Below an answer: its labels, or what the object in its box is, cut at their end, the distance by code, and by
    features where these rank, the end of its path. An image that cannot be read any more leaves its place empty, with
    the reason.
    """
    lines = list(zip(answers.queries, answers.boxes, answers.found.hits, strict=True))[:ROWS]
    columns = 1 + min(COLUMNS, max(1, *(len(hits) for _, _, hits in lines)))
    size = (columns * _CELL, len(lines) * (_CELL + _CAPTION) + 0.1)
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 7}):
        figure = Figure(figsize=size, dpi=120, facecolor="white")
        axes = figure.subplots(len(lines), columns, squeeze=False)
        figure.subplots_adjust(0.005, _CAPTION / size[1], 0.995, 1 - 0.1 / size[1], 0.06, _CAPTION / _CELL)
        for axis in axes.flat:
            axis.set_axis_off()
        for line, (query, box, hits) in zip(axes, lines, strict=True):
            cell(line[0], located(query), box, f"query\n{_end(os.path.basename(query))}", edge="#c44e00")  # noqa: PTH119
            for axis, hit in zip(line[1:], hits, strict=False):
                cell(axis, absolute(hit.path, answers.root), hit.box, _caption(hit, answers.found.rank))
    return figure


def save(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, atomically."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # not in the font: a box is drawn
        figure.savefig(content, format="png")
    write_bytes(file, content.getvalue())


def cell(axis: Any, path: str, box: Box | None, caption: str, *, edge: str | None = None) -> None:
    """A picture on an axis, with a box in it and a caption below; the reason where it cannot be read any more.

    Args:
        axis: of matplotlib, whose own axes are off.
        path: of the picture.
        box: x0, y0, x1, y1, pixels; None for none.
        caption: up to three lines.
        edge: colour of a frame around the picture; None for none.
    """
    try:
        picture = read_photo(path)
    except BadImageError as error:
        axis.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")
        axis.text(0.5, 0.5, f"no picture:\n{_end(str(error))}", ha="center", va="center", color="#777777")
    else:
        scale = min(1.0, _SIDE / max(picture.size))
        small = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
        axis.imshow(np.asarray(small), interpolation="antialiased", extent=(0, small.width, small.height, 0))
        if box is not None:
            x0, y0, x1, y1 = (scale * value for value in box)
            axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="#ff2d00", linewidth=1.5))
    axis.set_anchor("S")
    if edge is not None:
        limits = (*axis.get_xlim(), *axis.get_ylim())
        corner = (min(limits[:2]), min(limits[2:]))
        sides = (abs(limits[1] - limits[0]), abs(limits[3] - limits[2]))
        axis.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=edge, linewidth=2.5))
    axis.text(0.5, -0.04, caption, transform=axis.transAxes, ha="center", va="top", linespacing=1.25)


def _caption(hit: Hit, rank: Rank) -> str:
    words = ", ".join(hit.labels) or "–" if hit.object is None else f"{hit.object} {hit.score:.2f}"
    labels = cut(shown(words), _LETTERS)
    fine = f" · fine {hit.distance:.4g}" if rank == "fine" else ""
    return f"{labels}\ncode {hit.code_distance:.4g}{fine}\n{_end(hit.path)}"


def _end(text: str) -> str:
    """The end of a text, which tells paths of one folder apart; what cannot be written shows as escapes."""
    line = shown(text)
    return line if width(line) <= _LETTERS else cut(line[::-1], _LETTERS)[::-1]
