"""Photos as a lens saw them: objects, words, colours, how much of the answer is of each source, and the results.

Each photo has a block: on the left the photo with the boxes of its objects, the dominant one thick; beside it its words
and colours, and a bar of the ratios; on the right the first results, each with the sources that name it.
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
from dqh.discovery.blend import Result
from dqh.discovery.blend_rules import SOURCES
from dqh.discovery.lens_answer import LensAnswer
from dqh.errors import BadImageError
from dqh.terminal import cut, shown

COLOURS = dict(zip(SOURCES, ("#1f77b4", "#d62728", "#2ca02c"), strict=True))
"""Of the sources."""

SHORT = dict(zip(SOURCES, ("V", "O", "I"), strict=True))
"""What the sources are called below a result."""

COLUMNS, LINES = 7, 2
"""Results of a photo that are drawn."""

PHOTOS = 10
"""That are drawn."""

_CELL, _KNOWN, _PHOTO = 1.4, 2.4, 2.9
"""Inches: a result, what is known, and the photo."""

_CAPTION = 0.36
"""Inches below a result."""

_LETTERS = 22
_SIDE = 640  # pixels of the longer side


def draw_answers(answers: Sequence[LensAnswer], root: str) -> Figure:
    """The first `PHOTOS` photos with what was found for them, by their paths.

    Args:
        answers: at least one.
        root: folder that the paths of results are relative to.
    """
    drawn = answers[:PHOTOS]
    height = LINES * (_CELL + _CAPTION) + 0.15
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 7}):
        size = (_PHOTO + _KNOWN + COLUMNS * _CELL, len(drawn) * height)
        figure = Figure(figsize=size, dpi=120, facecolor="white")
        parts: Any = figure.subfigures(len(drawn), 1, squeeze=False)
        for part, answer in zip(parts[:, 0], drawn, strict=True):
            _draw(part, answer, root, height)
    return figure


def _draw(part: Any, answer: LensAnswer, root: str, height: float) -> None:
    """One photo."""
    edges = {"left": 0.01, "right": 0.99, "bottom": _CAPTION / height, "top": 1 - 0.08 / height}
    widths = [_PHOTO, _KNOWN, *[_CELL] * COLUMNS]
    grid = part.add_gridspec(LINES, 2 + COLUMNS, width_ratios=widths, hspace=_CAPTION / _CELL, wspace=0.06, **edges)
    _photo(part.add_subplot(grid[:, 0]), answer)
    _known(part.add_subplot(grid[:, 1]), answer)
    for place in range(LINES * COLUMNS):
        axis = part.add_subplot(grid[place // COLUMNS, 2 + place % COLUMNS])
        axis.set_axis_off()
        if place < len(answer.results):
            result = answer.results[place]
            own = COLOURS[result.named[0].source]
            cell(axis, absolute(result.path, root), result.hit.box, _caption(place + 1, result), edge=own)
        elif place == 0:
            axis.text(0, 0.5, cut(shown(answer.note), 90), va="center")


def _photo(axis: Any, answer: LensAnswer) -> None:
    axis.set_axis_off()
    seen = answer.understanding
    try:
        image = read_photo(located(seen.photo))
    except BadImageError as error:
        axis.text(0.5, 0.5, f"no picture:\n{cut(shown(str(error)), 40)}", ha="center", va="center", color="#777777")
        return
    width, height = seen.size
    scale = min(1.0, _SIDE / max(width, height))
    small = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    axis.imshow(np.asarray(small), extent=(0, width, height, 0), interpolation="antialiased")
    axis.set_anchor("N")
    for own in reversed(seen.objects):  # the surest last, above all others
        x0, y0, x1, y1 = own.box
        line = 2.8 if own == seen.dominant else 1.0
        edge = COLOURS["object_search"]
        axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=edge, linewidth=line))
        if own.name is not None:
            text = f"{cut(shown(own.name), _LETTERS)} {own.score:.2f}"
            box = {"facecolor": edge, "edgecolor": "none", "pad": 1.0}
            axis.text(x0, y0, text, color="white", va="top", fontsize=6, bbox=box, clip_on=True)


def _known(axis: Any, answer: LensAnswer) -> None:
    """Words, category, colours and ratios, from above."""
    axis.set_axis_off()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    seen = answer.understanding
    words = [
        f"{cut(shown(word), _LETTERS)}  {f'{share:.0%} of answers' if confidence is None else f'{confidence:.2f}'}"
        for word, share, confidence in seen.annotations[:5]
    ]
    axis.text(0.04, 1.0, "\n".join(words) or "no words", va="top", fontsize=8, linespacing=1.35)
    if seen.category is not None:
        category = f"category: {cut(shown(seen.category.name), _LETTERS)} {seen.category.confidence:.2f}"
        axis.text(0.04, 0.56, category, va="center", color="#555555")
    left = 0.04
    for colour in seen.colours:
        axis.add_patch(Rectangle((left, 0.44), 0.9 * colour.share, 0.07, facecolor=colour.hex, edgecolor="#999999"))
        left += 0.9 * colour.share
    names = ", ".join(colour.name for colour in seen.colours)
    axis.text(0.04, 0.41, cut(names, 46), va="top", color="#555555", fontsize=6)
    left = 0.04
    for source in answer.sources:
        wide = 0.9 * source.ratio
        axis.add_patch(Rectangle((left, 0.25), wide, 0.08, facecolor=COLOURS[source.name]))
        left += wide
    for place, source in enumerate(answer.sources):
        told = f"{source.ratio:.0%}" if source.asked else "not asked"
        text = f"{SHORT[source.name]}  {source.name.replace('_', ' ')}  {told}"
        axis.text(0.04, 0.22 - 0.075 * place, text, va="top", color=COLOURS[source.name], fontweight="bold")


def _caption(rank: int, result: Result) -> str:
    """What a result is called, and by whom it is named at which rank."""
    hit = result.hit
    called = ", ".join(hit.labels or tuple(tag.word for tag in hit.tags)) or hit.object or "–"
    named = " ".join(f"{SHORT[naming.source]}{naming.rank}" for naming in result.named)
    return f"{rank}. {cut(shown(called), _LETTERS - 4)}\n{named} · {result.score:.3f}"
