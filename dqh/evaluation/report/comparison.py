"""Precision at k of a run beside codes fitted after the fact and, for CIFAR-10, beside published curves.

Published curves are quoted, not measured: other features, 1,000 queries. Of each, its two ends stand here, with a
straight line between.
"""

import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dqh.evaluation.report.plots import HEIGHT, MUTED, draw_cap, k_axis, last_k, numbered_line, pairs_of, svg
from dqh.evaluation.report.table import BASELINES, main_search, mapping_at

FIRST, LAST = 100, 1000
"""Smallest and largest k of the picture beside published curves, or where relevant items were not counted."""

QUOTED = {
    "CNNH+": (0.590, 0.608),
    "CNNH": (0.580, 0.598),
    "KSH": (0.450, 0.450),
    "ITQ-CCA": (0.400, 0.388),
    "MLH": (0.370, 0.340),
    "BRE": (0.320, 0.300),
    "ITQ": (0.305, 0.280),
    "SH": (0.250, 0.190),
    "LSH": (0.180, 0.162),
}
"""Precision at k = 100 and 1,000 of CIFAR-10 with 48 bits and 1,000 queries, as published with the code of Lin, Yang,
Hsiao and Chen, CVPR Workshops 2015 (kevinlin311tw/caffe-cvprw15, analysis/*-p-at-k.txt)."""

LEGEND = "Share of relevant items among the k nearest."
MEASURED = "Thin lines: codes of as many bits that were fitted after the fact."
SOURCE = (
    "Grey, dashed, with their names at the end: quoted from Lin et al. 2015 (CIFAR-10, 48 bits, other features, 1,000 "
    "queries), not measured here."
)
APART = 0.043
"""Between names at the ends of quoted curves, in precision."""


def comparison_curves(metrics: Mapping[str, object], *, name: str = "comparison") -> str | None:
    """Precision at k: the run's own rows, baselines of equal bits, published curves where they belong.

    k goes from 100 to 1,000 beside published curves, else from 1 to twice the most relevant items that a query has.

    None where the run has no such curve, or nothing to compare it with.
    """
    curves = mapping_at(metrics, "curves")
    places = {search: place for place, search in enumerate(curves)}
    own = [search for search in (main_search(metrics), "coarse_to_fine", "exhaustive") if search in curves]
    wanted = [*own, *(search for search in curves if search in BASELINES)]
    quoted = QUOTED if is_cifar10(metrics) else {}
    limits = mapping_at(metrics, "limits")
    curves_by_search = {search: pairs_of(mapping_at(curves, search), "precision_at_k", "k") for search in wanted}
    first, last = FIRST, float(LAST)
    if limits and not quoted:
        first, last = 1, last_k(limits, [k for points in curves_by_search.values() for k, _ in points])
    lines = {
        search: [point for point in points if first <= point[0] <= last] for search, points in curves_by_search.items()
    }
    lines = {search: points for search, points in lines.items() if points}
    if not set(lines) & set(own) or not (quoted or set(lines) & set(BASELINES)):
        return None

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        handles = [
            numbered_line(axis, points, places[search], thin=search in BASELINES) for search, points in lines.items()
        ]
        _quote(axis, quoted)
        k_axis(axis, [k for points in lines.values() for k, _ in points])
        further = draw_cap(axis, limits, first=first, last=last)
        axis.set_title("Precision at k, compared")
        axis.set_ylabel("precision at k")
        axis.set_ylim(0, 1.03)
        if first == FIRST:
            axis.set_xticks([FIRST, *range(200, LAST + 1, 200)])
        figure.legend([*handles, *further.values()], [*lines, *further], loc="outside lower left", ncols=2)

    label = f"Precision at k, compared: {', '.join([*lines, *(f'{line} (quoted)' for line in quoted)])}"
    return svg(draw, name, label=label, height=HEIGHT + 0.24 * (-(-(len(lines) + 1) // 2) - 1) + (0.4 if quoted else 0))


def comparison_legend(metrics: Mapping[str, object]) -> str:
    """What the picture shows, which lines were measured, and where the others come from; plain text."""
    measured = any(search in BASELINES for search in mapping_at(metrics, "curves"))
    return " ".join([LEGEND, *([MEASURED] if measured else []), *([SOURCE] if is_cifar10(metrics) else [])])


def is_cifar10(metrics: Mapping[str, object]) -> bool:
    """Whether the data are CIFAR-10 by their name (`cifar10`, `cifar10-1` …, never CIFAR-100) and classes, if known."""
    protocol = mapping_at(metrics, "protocol")
    named = re.match(r"cifar-?10(?!\d)", str(protocol.get("data", "")).lower())
    return named is not None and protocol.get("classes", 10) == 10


def name_places(ends: Sequence[float]) -> list[float]:
    """Places of names beside curves that end there, so that none covers another; for ends in descending order.

    Example:
        >>> [round(place, 3) for place in name_places([0.6, 0.59, 0.3])]
        [0.6, 0.557, 0.3]
    """
    places: list[float] = []
    for end in ends:
        places.append(min(end, places[-1] - APART) if places else end)
    return places


def _quote(axis: Axes, quoted: Mapping[str, tuple[float, float]]) -> None:
    """Published curves in grey with their names behind them."""
    for (name, ends), place in zip(quoted.items(), name_places([end for _, end in quoted.values()]), strict=True):
        axis.plot([FIRST, LAST], ends, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axis.annotate(
            name, (LAST, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, color=MUTED
        )
