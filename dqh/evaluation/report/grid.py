"""Queries with the pictures that a search found for them, as an HTML table for a report."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from dqh.evaluation.report.table import finite, format_value, significant
from dqh.pages import fill

RESULTS = 10  # results shown right of a query
SHOWN = 80  # longer side of a picture on the page, CSS pixels, about
EXACT = 48  # pictures up to this side are kept pixel by pixel
BUDGET = 1_400_000  # characters of all pictures together, so that a report stays under 3 MB
GROUPS = {
    "best": "Best queries: found most completely",
    "typical": "Typical queries: around the median",
    "worst": "Worst queries: found least, where to look for what goes wrong",
}


class GridResult(NamedTuple):
    """One database item in the answer to a query, with the names of its classes and its id in the data set.

    The image is (3, H, W) uint8 RGB, or None where there is no picture; the distance is in the unit of the `Grid`.
    """

    image: NDArray[np.uint8] | None
    label: str
    distance: float
    relevant: bool
    id: str


class GridRow(NamedTuple):
    """A query and its answer, nearest first, of which the first 10 are shown; the score is its average precision.

    The image is as in `GridResult`; the group is "best", "typical" or "worst", "" for none.
    """

    image: NDArray[np.uint8] | None
    label: str
    id: str
    results: Sequence[GridResult]
    group: str = ""
    score: float | None = None


class Grid(NamedTuple):
    """Some queries with their answers, by one way of searching, the unit of its distances, and how they were chosen.

    Without rows the report has no grid.
    """

    rows: Sequence[GridRow] = ()
    search: str = ""
    unit: str = ""
    selection: str = ""


class _Picture(NamedTuple):
    """A picture on the page: data URI ("" for none), CSS pixels, whether it is shown pixel by pixel, texts."""

    source: str
    width: int
    height: int
    pixels: bool
    alt: str
    tip: str


class _Query(NamedTuple):
    picture: _Picture
    label: str
    hits: str
    score: str


class _Answer(NamedTuple):
    picture: _Picture
    label: str
    distance: str
    relevant: bool


def render_grid(grid: Grid) -> Markup | None:
    """The grid as a `<table>`, a row a query; None where there is no picture at all.

    Rows with a group stand together under its heading: best, typical, worst, then the others. Small pictures
    are enlarged by a whole factor, large ones shrunk to 128 pixels, or less where there are many.
    """
    pictures = [row.image for row in grid.rows]
    pictures += [result.image for row in grid.rows for result in row.results[:RESULTS]]
    sizes = [_shown_size(image) for image in pictures if image is not None]
    if not sizes:
        return None
    side = _side_within_budget(pictures)
    unit = f" {grid.unit}" if grid.unit else ""
    groups = [
        (GROUPS.get(name, name), [_line(row, side, unit=unit) for row in grid.rows if row.group == name])
        for name in dict.fromkeys([*GROUPS, *(row.group for row in grid.rows)])
    ]
    return fill(
        "grid",
        side=max(width for width, _ in sizes) + 6,
        ranks=max(len(row.results[:RESULTS]) for row in grid.rows),
        groups=[(heading, lines) for heading, lines in groups if lines],
    )


def _line(row: GridRow, side: int, *, unit: str) -> tuple[_Query, list[_Answer]]:
    results = row.results[:RESULTS]
    hits = sum(result.relevant for result in results)
    asked = _picture(row.image, side, alt=f"query, {row.label}", tip=f"{row.label} · {row.id}")
    short_unit = unit if len(unit) <= 5 else ""
    answers = []
    for result in results:
        word, distance = "relevant" if result.relevant else "not relevant", _distance(result.distance)
        alt = f"{result.label}, {word}, distance {distance}{unit}"
        answer = _picture(result.image, side, alt=alt, tip=f"{result.label} · {result.id}")
        answers.append(_Answer(answer, result.label, f"{distance}{short_unit}", result.relevant))
    return _Query(asked, row.label, f"{hits} of {len(results)} ✓", _score(row.score)), answers


def _score(score: float | None) -> str:
    number = finite(score)
    return "" if number is None else f"AP {number:.3f}"


def _distance(distance: float) -> str:
    number = finite(distance)
    if number is None:
        return format_value(distance)
    return f"{number:,.0f}" if number.is_integer() else significant(number, 3)


def _picture(image: NDArray[np.uint8] | None, side: int, *, alt: str, tip: str) -> _Picture:
    if image is None:
        return _Picture("", 0, 0, pixels=False, alt=alt, tip=tip)
    width, height = _shown_size(image)
    return _Picture(_data_uri(image, side), width, height, pixels=max(image.shape) <= EXACT, alt=alt, tip=tip)


def _shown_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height on the page: small pictures are enlarged by a whole factor, so that all pixels stay square."""
    _, height, width = image.shape
    scale = SHOWN / max(height, width)
    if max(height, width) <= EXACT:
        scale = max(1, round(scale))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _side_within_budget(pictures: Sequence[NDArray[np.uint8] | None]) -> int:
    """The largest side at which all pictures together keep the page small, or the smallest side there is."""
    for side in (128, 96, 64):
        if sum(len(_data_uri(image, side)) for image in pictures if image is not None) <= BUDGET:
            return side
    return EXACT


def _data_uri(image: NDArray[np.uint8], side: int) -> str:
    """The picture as a data URI: PNG, pixel by pixel, up to `EXACT`; larger ones shrunk to `side`, as JPEG."""
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1)))
    file = io.BytesIO()
    if max(picture.size) <= EXACT:
        picture.save(file, "PNG", optimize=True)
        kind = "png"
    else:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        picture.save(file, "JPEG", quality=82)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
