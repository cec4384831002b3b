"""The curves of a report as inline SVG: learning, precision at k, precision against recall.

An SVG from here belongs inside an HTML page: it has no XML header, its text and axes take the page's text colour
(`currentColor`), each series takes the page's `--series-1`, `--series-2` … where the page defines them, and every id
starts with the `name` of the picture. The same numbers give the same text.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import LineStyleType

from dqh.evaluation.report.table import finite

# Okabe and Ito's colours, told apart by all common kinds of colour vision, the yellow left out (unreadable on white).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
FURTHER = ("#332288", "#882255", "#999933", "#661100")
"""Paul Tol's indigo, wine, olive and brown, for rows beyond the first seven."""
SERIES = (*COLOURS, *FURTHER)
DASHES: tuple[LineStyleType, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
WIDTH, HEIGHT = 5.2, 3.9  # inches; one inch is 72 units of the SVG
LINE = 1.9  # points
CAPPED = 0.9995
"""A perfect ranking's precision from which its line would lie on the frame."""
EQUAL = 1e-9
"""Values that differ by less are equal up to rounding."""

# Matplotlib knows no CSS: these colours stand for what `_inline` writes in their place.
INK, RULE, PAPER, MUTED = "#010203", "#040506", "#070809", "#0a0b0c"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 9,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "font.size": 11,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "dqh",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.size": 0,
}

Points = list[tuple[float, float]]


class Look(NamedTuple):
    """How the row at a place among others is marked; no two of 44 places look alike in a picture, of 22 in a table.

    Attributes:
        colour: of `SERIES`.
        number: of the page's series colour, from 1.
        dashes: of a line.
        square: whether a dot or swatch is a square, because its colour is that of an earlier row.
    """

    colour: str
    number: int
    dashes: LineStyleType
    square: bool


def look(place: int) -> Look:
    """The look of the row at a place, counted from 0."""
    number = place % len(SERIES)
    return Look(SERIES[number], number + 1, DASHES[place % len(DASHES)], place % (2 * len(SERIES)) >= len(SERIES))


def learning_curve(
    history: Sequence[Mapping[str, object]], best_epoch: float | None = None, *, name: str = "learning"
) -> str | None:
    """Training loss and validation metric over the epochs, one above the other, the best epoch marked.

    The validation metric is the first of mAP, accuracy and other `val/…` (losses aside) that has a number; without a
    `best_epoch` its first maximum is marked. None where there is nothing to draw, as of the other pictures.
    """
    loss = points_of(history, "train/loss")
    metric = validation_metric(history)
    scores = points_of(history, metric) if metric else []
    panels = [("Training loss", loss)] if loss else []
    if metric:
        best = best_point(scores, best_epoch)
        measured, _, name_of_metric = metric.partition("/")
        title = f"{'Validation' if measured == 'val' else 'Training'} {name_of_metric}"
        values = [value for _, value in scores]
        if len(values) > 1 and max(values) - min(values) < EQUAL:
            title += f", {values[0]:.4f} in every epoch"
        elif best:
            title += f", best {best[1]:.4f} at epoch {best[0]:g}"
        panels.append((title, scores))
    if not panels:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for place, (axis, (title, points)) in enumerate(zip(axes, panels, strict=True)):
            line(axis, points, colour=COLOURS[place])
            axis.set_title(title)
            axis.yaxis.set_major_locator(MaxNLocator(4))
            axis.margins(y=0.12)
            if metric and best:
                axis.axvline(best[0], color=INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        if metric and best:
            axes[-1].plot([best[0]], [best[1]], "o", color=COLOURS[1], markersize=8, fillstyle="none", mew=1.8)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True))

    return svg(draw, name, label="Learning curve: " + ", ".join(title for title, _ in panels))


def validation_metric(history: Sequence[Mapping[str, object]]) -> str | None:
    """The key of the validation metric that `learning_curve` shows, or None where no row has one."""
    keys = {key for row in history for key in row if key.startswith("val/")}
    others = sorted(key for key in keys if not any(low in key for low in ("loss", "error", "excess")))  # good when low
    on_train = ("train/mAP", "train/accuracy")  # what a run measures that learns a few images by heart
    return next((key for key in ("val/mAP", "val/accuracy", *others, *on_train) if points_of(history, key)), None)


def best_point(points: Points, epoch: float | None) -> tuple[float, float] | None:
    """The point of `epoch`, the first highest point where `epoch` is None, or None where no point is there."""
    if epoch is not None:
        return next((point for point in points if point[0] == epoch), None)
    return max(points, key=lambda point: point[1], default=None)


def precision_curves(
    curves: Mapping[str, Mapping[str, object]],
    *,
    thin: Collection[str] = (),
    parts: Mapping[str, str] = MappingProxyType({}),
    limits: Mapping[str, object] | None = None,
    name: str = "precision",
) -> str | None:
    """Precision among the k nearest against k, one line a way of searching.

    Points of `precision_at_k` without a finite number are left out; k is on a logarithmic axis where it spans more than
    a factor of 50; `thin` searches have a thin line, and `parts` has a note for the legend on those that were measured
    on part of the images. By the `limits` of `metrics.json` the picture ends at twice the most relevant items that a
    query has, and shows the precision of a perfect ranking where that is below 1.
    """
    lines = {search: pairs_of(content, "precision_at_k", "k") for search, content in curves.items()}
    last = last_k(limits or {}, [k for points in lines.values() for k, _ in points])
    lines = {search: [point for point in points if point[0] <= last] for search, points in lines.items()}
    ks = [k for points in lines.values() for k, _ in points]

    def dress(axis: Axes) -> dict[str, Line2D]:
        k_axis(axis, ks)
        axis.set_ylabel("precision at k")
        axis.set_ylim(*_limits([precision for points in lines.values() for _, precision in points]))
        return draw_cap(axis, limits or {}, first=min(ks), last=last)

    return _line_chart(lines, dress, thin=thin, parts=parts, name=name, title="Precision at k")


def last_k(limits: Mapping[str, object], ks: Sequence[float]) -> float:
    """The k at which a curve of precision may end: the first of `ks` from twice the most relevant items of a query on.

    Beyond, every curve is the same fall: hits that no longer come, over k.
    """
    relevant = limits.get("relevant")
    most = finite(relevant.get("most")) if isinstance(relevant, Mapping) else None
    return min((k for k in ks if most and k >= max(10, 2 * most)), default=max(ks, default=0))


def k_axis(axis: Axes, ks: Sequence[float]) -> None:
    """Numbers of items on the x axis, on a logarithmic scale where they span more than a factor of 50."""
    if min(ks) > 0 and max(ks) > 50 * min(ks):
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(10))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:,.0f}" if k == round(k) else ""))
    axis.set_xlabel("k, nearest items looked at")


def draw_cap(axis: Axes, limits: Mapping[str, object], *, first: float, last: float) -> dict[str, Line2D]:
    """The precision at k of a perfect ranking, dotted, where it is below 1 within these k, by name for a legend."""
    points = [point for point in pairs_of(limits, "precision_at_k", "k") if first <= point[0] <= last]
    if not points or min(precision for _, precision in points) > CAPPED:
        return {}
    (cap,) = axis.plot(*zip(*points, strict=True), color=MUTED, linewidth=1.4, linestyle=(0, (1, 1.4)), zorder=1)
    return {"perfect ranking": cap}


def precision_recall(
    curves: Mapping[str, Mapping[str, object]],
    *,
    thin: Collection[str] = (),
    parts: Mapping[str, str] = MappingProxyType({}),
    name: str = "recall",
) -> str | None:
    """Precision against recall, both from 0 to 1, one line a way of searching.

    As `precision_curves`, of `precision_recall`.
    """
    lines = {search: pairs_of(content, "precision_recall", "recall") for search, content in curves.items()}

    def dress(axis: Axes) -> dict[str, Line2D]:
        axis.set_xlabel("recall")
        axis.set_ylabel("precision")
        axis.set_xlim(0, 1.02)
        axis.set_ylim(0, 1.04)
        return {}

    return _line_chart(lines, dress, thin=thin, parts=parts, name=name, title="Precision against recall")


def _line_chart(
    lines: Mapping[str, Points],
    dress: Callable[[Axes], dict[str, Line2D]],
    *,
    thin: Collection[str],
    parts: Mapping[str, str],
    name: str,
    title: str,
) -> str | None:
    drawn = [(place, search, points) for place, (search, points) in enumerate(lines.items()) if points]
    names = [f"{search} ({parts[search]})" if parts.get(search) else search for _, search, _ in drawn]
    if not drawn:
        return None

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        handles = [numbered_line(axis, points, place, thin=search in thin) for place, search, points in drawn]
        axis.set_title(title)
        further = dress(axis)
        figure.legend([*handles, *further.values()], [*names, *further], loc="outside lower left", ncols=2)

    legend_lines = math.ceil((len(drawn) + 1) / 2)
    label = f"{title}: {', '.join(names)}"
    return svg(draw, name, label=label, height=HEIGHT + 0.24 * (legend_lines - 1))


def line(axis: Axes, points: Points, *, colour: str, dashes: LineStyleType = "-", width: float = LINE) -> Line2D:
    """A line through points, which are marked where they are few."""
    (line,) = axis.plot(
        [x for x, _ in points],
        [y for _, y in points],
        color=colour,
        linestyle=dashes,
        linewidth=width,
        marker="o" if len(points) <= 12 else "",
        markersize=4,
    )
    return line


def numbered_line(axis: Axes, points: Points, place: int, *, thin: bool) -> Line2D:
    """A line in the colour and dashes of its place among others."""
    own = look(place)
    return line(axis, points, colour=own.colour, dashes=own.dashes, width=1.0 if thin else LINE)


def points_of(history: Sequence[Mapping[str, object]], key: str) -> Points:
    """(epoch, value) of a column, as far as they are finite, in the order of the epochs."""
    pairs = ((finite(row.get("epoch")), finite(row.get(key))) for row in history)
    return sorted((x, y) for x, y in pairs if x is not None and y is not None)


def pairs_of(parts: Mapping[str, object], curve: str, x_name: str) -> Points:
    """(x, precision) of a curve, as far as they are finite; none where there is no such curve."""
    content = parts.get(curve)
    if not isinstance(content, Mapping):
        return []
    pairs = ((finite(x), finite(y)) for x, y in zip(content[x_name], content["precision"], strict=True))
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits on multiples of 0.05 that leave room around values of 0 … 1 and never magnify less than 0.05."""
    low = max(0.0, math.floor((min(values) - 0.02) * 20) / 20)
    high = min(1.0, math.ceil((max(values) + 0.02) * 20) / 20)
    return low, high + 0.03 * (high - low)


def svg(draw: Callable[[Figure], None], name: str, *, label: str, height: float = HEIGHT, width: float = WIDTH) -> str:
    """A picture as an `<svg>` element for inside an HTML page, in the page's font and colours.

    Args:
        draw: draws on an empty figure; `INK`, `RULE`, `PAPER` and `COLOURS` become the colours of the page.
        name: start of every id in the SVG.
        label: what the picture shows, for those who do not see it.
        height: inches.
        width: inches.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page is shown in another font
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = io.StringIO()
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    return _inline(file.getvalue(), name, label=label)


def _inline(document: str, name: str, *, label: str) -> str:
    """The `<svg>` element of a document, in the page's colours and font, without namespaces and with ids of its own."""
    body = document[document.index("<svg") :]
    view_box = re.search(r'viewBox="([^"]+)"', body)
    assert view_box is not None, "matplotlib wrote an svg without a viewBox"
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # it would style the whole page
    body = re.sub(r"^<svg[^>]*>|</svg>\s*$", "", body).strip()
    body = body.replace("xlink:href", "href").replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    body = body.replace(INK, "currentColor").replace(RULE, "var(--rule, #8886)")
    body = body.replace(PAPER, "var(--paper, #fff)").replace(MUTED, "var(--muted, #777)")
    for place, colour in enumerate(SERIES, start=1):
        body = body.replace(colour, f"var(--series-{place}, {colour})")
    body = re.sub(r"[ \n]+", " ", body).replace("> <", "><")
    label = label.translate({ord(sign): f"&#{ord(sign)};" for sign in "&<>\"'"})
    return (
        f'<svg class="plot" role="img" aria-label="{label}" viewBox="{view_box[1]}" '
        f'stroke-linejoin="round" stroke-linecap="butt">{body}</svg>'
    )
