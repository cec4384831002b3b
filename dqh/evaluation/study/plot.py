"""The picture of a feature study: a line a tap, a mark a form, the metric to the right; as an SVG file of its own."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dqh.evaluation.measure import Row
from dqh.evaluation.report.plots import COLOURS, INK, PAPER, RULE, svg
from dqh.evaluation.report.table import format_cell

_MARKS = (("raw", "L2", "o"), ("raw", "L1", "D"), ("> 0", "Hamming", "s"), ("> median", "Hamming", "^"))
_APART = 0.14  # two marks of a line, lines are 1 apart
_WIDTH = 7.6  # inches
_STYLE = (
    "<style>svg{color-scheme:light dark;--paper:#fff;--rule:#dde1e6;color:#191d22;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{--paper:#14171b;--rule:#323942;color:#e7eaee;"
    "--series-1:#56b0e8;--series-2:#f0873f;--series-3:#2fc596;--series-4:#dd8fbd}}</style>"
)

Place = tuple[object, ...]


def dot_plot(rows: Sequence[Row], *, metric: str, random_order: float | None = None, about: str = "") -> str:
    """The metric of every form at every tap, and the bytes of an image raw and as bits.

    An SVG document, light or dark as the viewer prefers; what a `random_order` scores is a line, `about` stands below.
    """
    lines = _lines(rows)

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        handles = _draw_marks(axis, rows, lines, metric=metric)
        if random_order is not None:
            dashed = axis.axvline(random_order, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), label="random order")
            handles.append(dashed)
        axis.set_title(f"{metric} by layer and form")
        axis.set_xlim(0, min(1.0, 1.2 * max(float(row[metric]) for row in rows)))
        _label_lines(axis, rows, lines)
        axis.set_xlabel(about, loc="left", fontsize=9, labelpad=8)
        figure.legend(handles=handles, loc="outside lower left", ncols=5, columnspacing=1.5, handlelength=1.6)

    return _document(
        svg(draw, "study", label=f"{metric} by layer and form", height=1.5 + 0.27 * len(lines), width=_WIDTH)
    )


def _lines(rows: Sequence[Row]) -> list[Place]:
    """From top to bottom: (network, weights), then (network, weights, tap) for each of its taps."""
    lines: dict[Place, None] = {}
    for row in rows:
        lines |= {(row["network"], row["weights"]): None, (row["network"], row["weights"], row["tap"]): None}
    return list(lines)


def _draw_marks(axis: Axes, rows: Sequence[Row], lines: Sequence[Place], *, metric: str) -> list[Line2D]:
    """Marks, a stroke from the lowest to the highest of each line, and the value of the best one."""
    values_of: dict[int, list[float]] = {}
    handles = []
    for place, (form, distance, mark) in enumerate(_MARKS):
        chosen = [row for row in rows if (row["form"], row["distance"]) == (form, distance)]
        at = [lines.index((row["network"], row["weights"], row["tap"])) for row in chosen]
        values = [float(row[metric]) for row in chosen]
        for line, value in zip(at, values, strict=True):
            values_of.setdefault(line, []).append(value)
        (marks,) = axis.plot(
            values,
            [line + _APART * (place - 1.5) for line in at],
            mark,
            color=COLOURS[place],
            markersize=6,
            label=f"bits, {form}" if distance == "Hamming" else f"{form}, {distance}",
        )
        handles.append(marks)
    for line, values in values_of.items():
        axis.plot([0, max(values)], [line, line], color=RULE, linewidth=5, solid_capstyle="butt", zorder=0)
    best = max(values_of, key=lambda line: max(values_of[line]))
    value = max(values_of[best])
    axis.annotate(
        format_cell(metric, value), (value, best), (9, 0), textcoords="offset points", va="center", weight="bold"
    )
    return handles


def _label_lines(axis: Axes, rows: Sequence[Row], lines: Sequence[Place]) -> None:
    """Networks and taps to the left, bytes to the right."""
    every = range(len(lines))
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.set_yticks(every, [str(line[2]) if len(line) == 3 else "" for line in lines])
    for place, line in enumerate(lines):
        if len(line) == 2:
            axis.text(0, place, _heading(line), va="center", weight="bold", bbox={"color": PAPER, "pad": 1})
    sizes: dict[Place, dict[object, None]] = {}
    for row in rows:
        sizes.setdefault((row["network"], row["weights"], row["tap"]), {})[row["bytes_per_item"]] = None
    right = axis.secondary_yaxis("right")
    right.set_yticks(every, [" → ".join(f"{size:,}" for size in sizes.get(line, ())) or " " for line in lines])
    for side in (axis, right):
        side.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.spines["left"].set_visible(False)
    right.spines["right"].set_visible(False)
    axis.text(1, 1, "bytes an image,\nraw → bits", transform=axis.transAxes, fontsize=9, va="bottom")


def _heading(line: Place) -> str:
    return str(line[0]) if line[1] == "none" else f"{line[0]}, {line[1]}{' weights' if line[1] == 'random' else ''}"


def _document(picture: str) -> str:
    """An SVG file of an inline element: with its namespace, colours of its own, and paper below."""
    start, _, body = picture.partition(">")
    start = start.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f'{start}>{_STYLE}<rect width="100%" height="100%" fill="var(--paper)"/>{body}\n'
