"""Queries with the pictures that a search found for them, as an HTML table for a report."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.evaluation.report.markup import escape
from dqh.evaluation.report.table import finite, format_value, significant

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
    """One database item in the answer to a query.

    Attributes:
        image: (3, H, W) uint8 RGB, or None where there is no picture.
        label: the name of its class or classes.
        distance: from the query, in the unit of the `Grid`.
        relevant: whether it counts as relevant for the query.
        id: of the item in its data set.
    """

    image: NDArray[np.uint8] | None
    label: str
    distance: float
    relevant: bool
    id: str


class GridRow(NamedTuple):
    """A query and its answer, nearest first.

    Attributes:
        image: (3, H, W) uint8 RGB, or None where there is no picture.
        label: the name of the query's class or classes.
        id: of the query in its data set.
        results: the nearest database items; the first 10 are shown.
        group: "best", "typical" or "worst"; "" for none.
        score: average precision of the query, or None.
    """

    image: NDArray[np.uint8] | None
    label: str
    id: str
    results: Sequence[GridResult]
    group: str = ""
    score: float | None = None


class Grid(NamedTuple):
    """Some queries with their answers.

    Attributes:
        rows: one a query; none leaves the grid out of the report.
        search: the way of searching that answered, as named in the rows of the metrics.
        unit: of the distances, such as "bits".
        selection: how these queries were chosen, such as "the first query of each class".
    """

    rows: Sequence[GridRow] = ()
    search: str = ""
    unit: str = ""
    selection: str = ""


def render_grid(grid: Grid) -> str | None:
    """The grid as a `<table>`, a row a query, every text escaped; None where there is no picture at all.

    Rows with a group stand together under its heading: best, typical, worst, then the others. Small pictures
    are enlarged by a whole factor, large ones shrunk to 128 pixels, or less where there are many.
    """
    pictures = [row.image for row in grid.rows]
    pictures += [result.image for row in grid.rows for result in row.results[:RESULTS]]
    sizes = [_shown_size(image) for image in pictures if image is not None]
    if not sizes:
        return None
    side = _side_within_budget(pictures)
    ranks = range(1, 1 + max(len(row.results[:RESULTS]) for row in grid.rows))
    head = "".join(f'<th scope="col">{rank}</th>' for rank in ranks)
    unit = f" {grid.unit}" if grid.unit else ""
    names = dict.fromkeys([*GROUPS, *(row.group for row in grid.rows)])
    bodies = []
    for name in names:
        lines = [_grid_row(row, side, unit=unit) for row in grid.rows if row.group == name]
        if lines and name:
            heading = f'<th scope="rowgroup" colspan="{len(ranks) + 1}"><b>{escape(GROUPS.get(name, name))}</b></th>'
            lines.insert(0, f'<tr class="group">{heading}</tr>')
        bodies += [f"<tbody>{chr(10).join(lines)}</tbody>"] if lines else []
    return (
        f'<table class="grid" style="--side: {max(width for width, _ in sizes) + 6}px">'
        f'<thead><tr><th scope="col">query</th>{head}</tr></thead>{"".join(bodies)}</table>'
    )


def _grid_row(row: GridRow, side: int, *, unit: str) -> str:
    results = row.results[:RESULTS]
    hits = sum(result.relevant for result in results)
    cells = [
        f'<th scope="row">{_picture(row.image, side, alt=f"query, {row.label}", tip=f"{row.label} · {row.id}")}'
        f'<small>{escape(row.label)}</small><small class="label">{hits} of {len(results)} ✓</small>'
        f"{_score(row.score)}</th>"
    ]
    short_unit = escape(unit) if len(unit) <= 5 else ""
    for result in results:
        kind, sign, word = ("hit", "✓", "relevant") if result.relevant else ("miss", "✗", "not relevant")
        distance = _distance(result.distance)
        alt = f"{result.label}, {word}, distance {distance}{unit}"
        cells.append(
            f'<td class="{kind}">{_picture(result.image, side, alt=alt, tip=f"{result.label} · {result.id}")}'
            f"<small><b>{sign}</b> {distance}{short_unit}</small>"
            f'<small class="label">{escape(result.label)}</small></td>'
        )
    return f"<tr>{''.join(cells)}</tr>"


def _score(score: float | None) -> str:
    number = finite(score)
    return "" if number is None else f'<small class="label">AP {number:.3f}</small>'


def _distance(distance: float) -> str:
    number = finite(distance)
    if number is None:
        return format_value(distance)
    return f"{number:,.0f}" if number.is_integer() else significant(number, 3)


def _picture(image: NDArray[np.uint8] | None, side: int, *, alt: str, tip: str) -> str:
    if image is None:
        return f'<div class="frame" title="{escape(tip)}"><div class="blank">no picture</div></div>'
    width, height = _shown_size(image)
    pixels = ' class="pixels"' if max(image.shape) <= EXACT else ""
    return (
        f'<div class="frame"><img{pixels} src="{_data_uri(image, side)}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}" title="{escape(tip)}"></div>'
    )


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
