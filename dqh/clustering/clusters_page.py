"""A page on clusters: how large they are, and mosaics of the biggest, the tightest and the most mixed ones.

N points in k clusters.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cluster_numbers import ClusterNumbers
from dqh.clustering.thumbnails import Thumbnail, thumbnail
from dqh.pages import fill
from dqh.plural import counted
from dqh.terminal import cut, shown

CLUSTERS, PICTURES = 12, 24
"""What a page shows at most: clusters of each section, and pictures of each cluster."""

_SMALL = 4
"""Points below which a cluster is neither tight nor mixed; one point alone is always both at once."""

_BARS = 30
_LOGARITHMIC = 20
"""Times the smallest size from which on the largest asks for a logarithmic axis."""

_LABEL_COLUMNS = 24


class Bar(NamedTuple):
    """A bar of a histogram: left end and width of the axis, height of the highest, all 0 to 1, and what it counts."""

    left: float
    width: float
    height: float
    tip: str


class Histogram(NamedTuple):
    """Bars, and what is written around them.

    Attributes:
        bars: from the left.
        most: clusters of the highest one.
        marks: heights with a line, as a part of that one.
        ticks: places on the axis, 0 to 1, and their texts.
        axis: what it means.
        label: what the picture is.
        legend: below it.
    """

    bars: list[Bar]
    most: int
    marks: list[float]
    ticks: list[tuple[float, str]]
    axis: str
    label: str
    legend: str


class _Cluster(NamedTuple):
    heading: str
    about: str
    pictures: list[Thumbnail]


class _Section(NamedTuple):
    heading: str
    about: str
    clusters: list[_Cluster]


def clusters_page(
    title: str,
    about: str,
    keys: Sequence[tuple[str, str, Sequence[str]]],
    numbers: ClusterNumbers,
    members: NDArray[np.int32],
    distances: NDArray[np.float32],
    *,
    noun: str,
    unit: str,
    paths: Callable[[NDArray[np.int64]], list[str]] | None,
) -> str:
    """The HTML of a page.

    Args:
        title: the heading.
        about: a sentence or two below it.
        keys: large numbers: label, value, and what it is compared with.
        numbers: of the clusters.
        members: (N,) int32, the cluster of each point.
        distances: (N,) float32, to their centres.
        noun: what a point is.
        unit: of the distances.
        paths: gives the paths of pictures of some points; None where there are none.
    """
    shown_sections = []
    for heading, text, clusters in _sections(numbers, noun):
        drawn = [
            _Cluster(
                f"Cluster {cluster}: {counted(int(numbers.sizes[cluster]), noun)}",
                _told(numbers, cluster, unit),
                [] if paths is None else _mosaic(members, distances, cluster, paths, unit),
            )
            for cluster in clusters
        ]
        if paths is not None:
            text += " Pictures go from the centre, top left, to the rim."
        shown_sections.append(_Section(heading, text, drawn))
    page = fill(
        "clusters",
        title=title,
        about=about,
        keys=fill("keys", keys=keys),
        histogram=histogram(numbers.sizes, noun),
        sections=shown_sections,
    )
    return f"{page}\n"


def histogram(sizes: NDArray[np.int64], noun: str) -> Histogram:
    """How many clusters are how large; those without points are told apart."""
    filled = sizes[sizes > 0]
    low, high = (int(filled.min()), int(filled.max())) if len(filled) else (1, 1)
    logarithmic = high > _LOGARITHMIC * low
    if logarithmic:
        edges = np.unique(np.ceil(np.geomspace(low, high + 1, _BARS + 1) - 1e-9).astype(np.int64))  # sizes are whole
    else:
        width = -(-(high - low + 1) // _BARS)
        edges = np.arange(low, high + width + 1, width)
    counts, _ = np.histogram(filled, edges)
    most = max(1, int(counts.max(initial=0)))

    def place(size: float) -> float:
        first, last, own = np.log([edges[0], edges[-1], size]) if logarithmic else (edges[0], edges[-1], size)
        return float((own - first) / (last - first))

    bars = [
        Bar(place(first), place(last) - place(first), count / most, _tip(int(first), int(last) - 1, int(count), noun))
        for first, last, count in zip(edges, edges[1:], counts, strict=False)
    ]
    marks = sorted({low, high, *(_round_sizes(low, high) if logarithmic else [round((low + high) / 2)])})
    ticks: list[tuple[float, str]] = []
    for mark in marks:
        if not ticks or place(mark + 0.5) - ticks[-1][0] > 0.05:
            ticks.append((place(mark + 0.5), f"{mark:,}"))
    empty = int((sizes == 0).sum())
    legend = f"Clusters by their {noun}s, median {np.median(filled) if len(filled) else 0:,.0f}."
    legend += f" {counted(empty, 'cluster has', 'clusters have')} none." if empty else ""
    axis = f"{noun}s a cluster{', logarithmic' if logarithmic else ''}"
    heights = [0.5, 1.0] if most % 2 == 0 else [1.0]
    return Histogram(
        bars, most, heights, ticks, axis, f"Histogram of the sizes of {counted(len(sizes), 'cluster')}", legend
    )


def _tip(first: int, last: int, count: int, noun: str) -> str:
    span = f"{first:,}" if first == last else f"{first:,} to {last:,}"
    return f"{span} {noun}s: {counted(count, 'cluster')}"


def _round_sizes(low: int, high: int) -> list[int]:
    return [number * 10**power for power in range(10) for number in (1, 3) if low < number * 10**power < high]


def _sections(numbers: ClusterNumbers, noun: str) -> list[tuple[str, str, list[int]]]:
    """Heading, what it means, and clusters of each section."""
    sizes = numbers.sizes
    large = np.flatnonzero(sizes >= _SMALL)
    few = f" Clusters of fewer than {_SMALL} {noun}s are left out."
    biggest = np.argsort(-sizes, kind="stable")
    sections = [
        ("The biggest", f"Those with the most {noun}s.", biggest[sizes[biggest] > 0]),
        (
            "The tightest",
            f"Those whose {noun}s lie nearest to their centre, in the mean.{few}",
            large[np.argsort(numbers.spreads[large], kind="stable")],
        ),
    ]
    labelled = large[numbers.labelled[large] >= _SMALL]
    if len(labelled):
        order = np.lexsort((-sizes[labelled], numbers.purities[labelled]))
        text = f"Those whose most frequent label the fewest of their {noun}s have.{few}"
        sections.append(("The most mixed", text, labelled[order]))
    else:
        order = np.argsort(-numbers.spreads[large], kind="stable")
        text = f"No {noun} has a label that could say what is mixed: those that lie farthest from their centre.{few}"
        sections.append(("The loosest", text, large[order]))
    return [(heading, text, clusters[:CLUSTERS].tolist()) for heading, text, clusters in sections if len(clusters)]


def _told(numbers: ClusterNumbers, cluster: int, unit: str) -> str:
    parts = [f"mean distance {numbers.spreads[cluster]:.4g} {unit}"]
    parts += [f"{cut(shown(label), _LABEL_COLUMNS)}: {share:.0%}" for label, share in numbers.shares[cluster]]
    return " · ".join(parts)


def _mosaic(
    members: NDArray[np.int32],
    distances: NDArray[np.float32],
    cluster: int,
    paths: Callable[[NDArray[np.int64]], list[str]],
    unit: str,
) -> list[Thumbnail]:
    """Pictures of a cluster, from its centre to its rim, evenly among them."""
    rows = np.flatnonzero(members == cluster)
    rows = rows[np.argsort(distances[rows], kind="stable")]
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(PICTURES, len(rows))).round().astype(np.int64))]
    return [
        thumbnail(path, f"{shown(path)}, {distance:.4g} {unit}")
        for path, distance in zip(paths(chosen), distances[chosen].tolist(), strict=True)
    ]
