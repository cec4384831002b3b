"""The pictures of a study of searches: recall against time and memory, and what grows with the database."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from dqh.evaluation.measure import Row
from dqh.evaluation.report.plots import INK, MUTED, PAPER, Look, look, svg
from dqh.evaluation.study.study_files import document

_WIDTH = 7.6  # inches
_HEIGHT = 3.9
_LEGEND_LINE = 0.24
_COLUMNS = 3
_LINE, _MARK = 1.5, 7  # points
_SHORT = 1000
"""Times its start from which a scale has powers of ten alone."""
_MARKS = {"exhaustive": "D", "ivf_flat": "o", "ivfpq": "s", "hnsw": "^", "codes": "P", "coarse_to_fine": "v"}
_OTHER_MARK = "X"
_NEAR, _STEP = 1.05, 1.07
"""Values up to so many times the least of a group are nearly equal, and stand so many times apart."""

Series = Mapping[str, tuple[Look, list[Row]]]
"""Look and rows of each method, by its title."""


def time_plot(rows: Sequence[Row], *, metric: str, batch: int, title: str, about: str = "") -> str:
    """Recall against milliseconds a query, alone and in a batch; a line a method, a mark a setting.

    An SVG document, light or dark as the viewer prefers, as of the other pictures; the title stands above, `about`
    below.
    """
    series = _series(rows)

    def draw(figure: Figure) -> list[Line2D]:
        axes = figure.subplots(1, 2, sharey=True)
        panels = (("query_ms", "one query alone"), ("batch_ms", f"{batch:,} queries together"))
        handles: list[Line2D] = []
        for axis, (key, name) in zip(axes, panels, strict=True):
            handles = [_line(axis, own, rows_of, key, metric) for own, rows_of in series.values()]
            axis.set_title(name, fontsize=11, fontweight="normal")
            axis.set_xlabel("milliseconds a query")
            _logarithmic(axis)
        axes[0].set_ylabel(metric)
        axes[0].set_ylim(-0.02, 1.04)
        return handles

    return _drawn(draw, series, title, about=about)


def memory_plot(rows: Sequence[Row], *, metric: str, title: str, about: str = "") -> str:
    """Recall against bytes an item; the settings of a method stand above each other.

    Methods of nearly as many bytes stand side by side. Where most of these bytes are read of few items, a hollow mark
    stands at those that are read of any: the others may lie on disk.
    """
    series = _series(rows)
    kept = _side_by_side({name: float(own[0]["bytes_per_item"]) for name, (_, own) in series.items()})
    scanned = _side_by_side({name: float(own[0]["scanned_bytes_per_item"]) for name, (_, own) in series.items()})

    def draw(figure: Figure) -> list[Line2D]:
        axis = figure.add_subplot()
        handles = []
        for name, (own, rows_of) in series.items():
            handles.append(_line(axis, own, [{**row, "place": kept[name]} for row in rows_of], "place", metric))
            best = max(rows_of, key=lambda row: float(row[metric]))
            if float(best["scanned_bytes_per_item"]) < float(best["bytes_per_item"]):
                height = float(best[metric])
                ends = [scanned[name], kept[name]]
                axis.plot(ends, [height] * 2, color=own.colour, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
                _hollow(axis, own, best, scanned[name], height)
        axis.set_xlabel("bytes an item; hollow: those in memory, where features lie on disk")
        axis.set_ylabel(metric)
        axis.set_ylim(-0.02, 1.04)
        _logarithmic(axis)
        return handles

    return _drawn(draw, series, title, about=about)


def _side_by_side(values: Mapping[str, float]) -> dict[str, float]:
    """Values as they are, but such as are nearly equal a little apart around their middle."""
    places: dict[str, float] = {}
    names = sorted(values, key=lambda name: values[name])  # a stable sort
    groups: list[list[str]] = []
    for name in names:
        if groups and values[name] < _NEAR * values[groups[-1][0]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    for group in groups:
        middle = math.exp(sum(math.log(values[name]) for name in group) / len(group))
        for place, name in enumerate(group):
            places[name] = values[name] if len(group) == 1 else middle * _STEP ** (place - (len(group) - 1) / 2)
    return places


def growth_plot(rows: Sequence[Row], *, metric: str, target: float, vector_bytes: int, about: str = "") -> str:
    """What one query costs against the number of items, in bytes compared and in time; a row a method and size.

    A method that does not reach the target has hollow marks. Dotted lines are N·D and √N·D numbers of 4 bytes, of
    which a vector has `vector_bytes`.
    """
    series = _series(rows)
    sizes = sorted({float(row["items"]) for row in rows})

    def draw(figure: Figure) -> list[Line2D]:
        axes = figure.subplots(1, 2)
        panels = (("bytes_compared", "bytes compared with a query"), ("query_ms", "milliseconds of a query alone"))
        handles: list[Line2D] = []
        for axis, (key, name) in zip(axes, panels, strict=True):
            handles = [_line(axis, own, rows_of, "items", key) for own, rows_of in series.values()]
            for own, rows_of in series.values():
                for row in rows_of:
                    if float(row[metric]) < target:
                        _hollow(axis, own, row, float(row["items"]), float(row[key]))
            axis.set_title(name, fontsize=11, fontweight="normal")
            axis.set_xlabel("items")
            _logarithmic(axis)
            axis.set_xticks(sizes, [_short(size) for size in sizes])
            _logarithmic(axis, "y")
        for power, name in ((1.0, "N·D"), (0.5, "√N·D")):
            values = [vector_bytes * size**power for size in sizes]
            axes[0].plot(sizes, values, color=MUTED, linewidth=1.4, linestyle=(0, (1, 1.4)), zorder=1)
            end, place = (sizes[-1], values[-1]), (5, 0)
            axes[0].annotate(name, end, place, textcoords="offset points", fontsize=9, color=MUTED, va="center")
        return handles

    return _drawn(draw, series, f"Cost at {metric} ≥ {target:g}; hollow: not reached; dotted: theory", about=about)


def _series(rows: Sequence[Row]) -> Series:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        name = f"{row['search']}, {row['codes']}" if row["codes"] else str(row["search"])
        groups.setdefault(name, []).append(row)
    return {name: (look(place), own) for place, (name, own) in enumerate(groups.items())}


def _line(axis: Axes, own: Look, rows: Sequence[Row], x: str, y: str) -> Line2D:
    """The settings of a method, joined."""
    (line,) = axis.plot(
        [float(row[x]) for row in rows],
        [float(row[y]) for row in rows],
        color=own.colour,
        linewidth=_LINE,
        marker=_mark(rows[0]),
        markersize=_MARK + (2 if _mark(rows[0]) == "P" else 0),
        markeredgecolor=PAPER,
        markeredgewidth=0.7,
        zorder=4 if rows[0]["search"] == "exhaustive" else 2,
    )
    return line


def _hollow(axis: Axes, own: Look, row: Row, x: float, y: float) -> None:
    """A hollow mark of a method."""
    size = _MARK + (1 if _mark(row) == "P" else -1)
    axis.plot([x], [y], _mark(row), color=own.colour, markersize=size, markerfacecolor=PAPER, zorder=3)


def _mark(row: Row) -> str:
    return _MARKS.get(str(row["search"]), _OTHER_MARK)


def _logarithmic(axis: Axes, which: Literal["x", "y"] = "x") -> None:
    """A scale of powers of ten, or of 1, 2 and 5 times these where it is short, with numbers as people write them."""
    scale = axis.xaxis if which == "x" else axis.yaxis
    axis.set(**{f"{which}scale": "log"})
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    steps = (1.0, 2.0, 5.0) if high < _SHORT * low else (1.0,)
    scale.set_major_locator(LogLocator(10, subs=steps))
    scale.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    scale.set_minor_locator(NullLocator())


def _short(value: float) -> str:
    """A round number as text.

    Example:
        >>> [_short(value) for value in (0.001, 1, 5000, 10_000, 99_000, 10**6, 2 * 10**9)]
        ['0.001', '1', '5,000', '10 k', '99 k', '1 M', '2 G']
    """
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit and value >= 1e4:
            return f"{value / unit:.3g}{name}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _drawn(draw: Callable[[Figure], list[Line2D]], series: Series, name: str, *, about: str) -> str:
    def whole(figure: Figure) -> None:
        handles = draw(figure)
        figure.suptitle(name, x=0.01, ha="left", fontweight="bold", fontsize=12, color=INK)
        figure.legend(
            handles,
            list(series),
            loc="outside lower left",
            ncols=_COLUMNS,
            columnspacing=1.5,
            title=about,
            title_fontsize=9,
            alignment="left",
        )

    height = _HEIGHT + _LEGEND_LINE * (-(-len(series) // _COLUMNS) + bool(about))
    label = f"{name}: {', '.join(series)}"
    return document(svg(whole, "study", label=label, height=height, width=_WIDTH))
