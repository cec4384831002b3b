"""The map of codes as inline SVG: a disc a code, coloured by class."""

import math
from collections.abc import Mapping
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.report.plots import COLOURS, PAPER, svg

WIDTH, MAP_HEIGHT = 374.0, 300.0
TOP, LINE, LETTER = 30.0, 16.0, 6.2
"""Height of the title, of a line of the key, and width of a letter, in points, which are the units of the SVG."""

SINGLE, LARGEST, COVERED = 4.0, 28.0, 0.12
"""Radius of a disc of one item and of any disc at most, and the share of the map that all discs cover at most."""

SHAPES: tuple[tuple[Any, float], ...] = (
    ("o", 2.0),
    ("s", math.sqrt(math.pi)),
    ((3, 0, 0), 2 * math.sqrt(4 * math.pi / (3 * math.sqrt(3)))),
)
"""Disc, square, triangle: marker, and its size where a disc of radius 1 has the same area. Classes beyond the colours
take the next one."""

COMPACT = 0.4
"""A class keeps together, and is named on the map, where its spread is at most this share of the whole map's."""

LONGEST_NAME = 16
KEY_GAP = 10.0
OTHER = -1


class _Look(NamedTuple):
    """Shape, the place of it in `SHAPES`, and colour of a class."""

    shape: int
    colour: str

    def style(self, radius: float) -> dict[str, Any]:
        """Of a mark of the area of a disc of `radius`, in points, for a line."""
        marker, size = SHAPES[self.shape]
        own = {"markerfacecolor": self.colour, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
        return own | {"linestyle": "", "marker": marker, "markersize": size * radius}


def map_of_codes(code_map: CodeMap, *, name: str = "map") -> str:
    """The map: each disc a code, its area the items that have it; rings where a code has items of several classes.

    The most frequent classes have colours and shapes of their own, six colours times three shapes; the others and
    items with several labels or none are grey. Names stand above classes that keep together, and in the key below.
    """
    label = f"{_title(code_map)}: {code_map.distinct:,} distinct codes of {code_map.sampled:,} items"
    height = TOP + MAP_HEIGHT + KEY_GAP + LINE * _key(code_map, _looks(code_map)[1]).lines
    return svg(lambda figure: draw_map(figure, code_map), name, label=label, height=height / 72, width=WIDTH / 72)


def draw_map(figure: Figure, code_map: CodeMap) -> None:
    """Draw the map on a figure that is as large as `map_of_codes` makes it; its data units are points, y downwards."""
    figure.set_layout_engine("none")  # every place is known
    classes, looks = _looks(code_map)
    places, radii = _layout(code_map)
    height = 72 * figure.get_figheight()
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set_xlim(0, WIDTH)
    axis.set_ylim(height, 0)
    axis.text(0, 14, _title(code_map), fontsize=12, weight="bold")
    totals = np.bincount(code_map.codes, weights=code_map.counts).astype(np.int64)[code_map.codes]  # of each code
    outermost_first = np.lexsort((-radii, code_map.codes, -totals))
    _draw_marks(axis, classes, outermost_first, places, radii, looks)
    for text, x, y in _labels(code_map, classes, places, radii):
        box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.6}
        axis.text(x, y, text, ha="center", weight="bold", bbox=box, zorder=3)
    _draw_key(axis, _key(code_map, looks))


def _title(code_map: CodeMap) -> str:
    return f"Map of the codes ({code_map.method})"


def _draw_marks(
    axis: Axes,
    classes: NDArray[np.int64],
    order: NDArray[np.int64],
    places: NDArray[np.float64],
    radii: NDArray[np.float64],
    looks: Mapping[int, _Look],
) -> None:
    """Marks in this order; neighbours of one look and size as the markers of a line that has no stroke.

    Matplotlib spells out a marker once for all lines, where a scatter does so at each of its points.
    """
    for (label, radius), group in groupby(order.tolist(), key=lambda place: (int(classes[place]), float(radii[place]))):
        own = list(group)
        axis.add_line(Line2D(places[own, 0], places[own, 1], clip_on=False, **looks[label].style(radius)))


def map_legend(code_map: CodeMap) -> str:
    """What the map shows and how to read it, as plain text."""
    sample = "all" if code_map.sampled == code_map.items else "a random sample"
    how = (
        "t-SNE keeps near codes near; far distances and the sizes of gaps mean nothing."
        if code_map.method == "t-SNE"
        else "The axes are the two directions in which the codes differ most."
    )
    return (
        f"{code_map.sampled:,} of {code_map.items:,} items ({sample}), {code_map.distinct:,} distinct codes. Each mark "
        "is a code, its area the items that have it; a ring around it: items of another class with the same code. "
        f"{how}"
    )


def _looks(code_map: CodeMap) -> tuple[NDArray[np.int64], dict[int, _Look]]:
    """The class that each place shows, `OTHER` where it has no look of its own, and the looks by class."""
    colours = COLOURS[:-1]
    items = np.bincount(code_map.classes + 1, weights=code_map.counts, minlength=len(code_map.class_names) + 1)[1:]
    most = len(colours) * len(SHAPES)
    own = np.sort(np.argsort(-items, kind="stable")[:most])
    looks = {
        number: _Look(place // len(colours), colours[place % len(colours)])
        for place, number in enumerate(own[items[own] > 0].tolist())
    }
    classes = np.where(np.isin(code_map.classes, list(looks)), code_map.classes, OTHER)
    if (classes == OTHER).any():
        looks[OTHER] = _Look(0, f"{COLOURS[-1]}80")  # half transparent
    return classes, looks


def _layout(code_map: CodeMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, 2) centres and (P,) outer radii, in points; the most frequent class of a code is innermost."""
    within, so_far = np.zeros(len(code_map.codes)), dict.fromkeys(code_map.codes.tolist(), 0)
    for place in np.lexsort((-code_map.counts, code_map.codes)).tolist():
        so_far[code_map.codes[place]] += code_map.counts[place]
        within[place] = so_far[code_map.codes[place]]
    covered = math.sqrt(COVERED * WIDTH * MAP_HEIGHT / math.pi / code_map.sampled)
    radii = np.sqrt(within) * min(SINGLE, LARGEST / math.sqrt(within.max()), covered)
    room = np.array([WIDTH, MAP_HEIGHT]) - 2 * (radii.max() + 2)
    low, high = code_map.positions.min(axis=0), code_map.positions.max(axis=0)
    scale = (room / np.maximum(high - low, 1e-9)).min() if (high > low).any() else 1.0
    centres = (code_map.positions - (low + high) / 2) * scale + np.array([WIDTH / 2, TOP + MAP_HEIGHT / 2])
    return centres, np.round(radii, 1)


def _labels(
    code_map: CodeMap, classes: NDArray[np.int64], places: NDArray[np.float64], radii: NDArray[np.float64]
) -> list[tuple[str, float, float]]:
    """Names above the classes that keep together, the most frequent first, none over another, and their places."""
    spread = _spread(places, code_map.counts)[1]
    groups = []
    for number in sorted(set(classes.tolist()) - {OTHER}):
        own = classes == number
        middle, deviation = _spread(places[own], code_map.counts[own])
        if deviation <= COMPACT * spread:
            top = float(middle[1]) - deviation - float(np.median(np.repeat(radii[own], code_map.counts[own]))) - 4
            groups.append((int(code_map.counts[own].sum()), number, float(middle[0]), top))
    labels: list[tuple[str, float, float]] = []
    boxes: list[tuple[float, float, float]] = []
    for _, number, across, top in sorted(groups, key=lambda group: -group[0]):
        text = _short(code_map.class_names[number])
        half = LETTER * len(text) / 2
        x, y = min(max(across, half), WIDTH - half), top
        if all(abs(x - other_x) > half + other or abs(y - other_y) > LINE for other_x, other_y, other in boxes):
            boxes.append((x, y, half))
            labels.append((text, x, y))
    return labels


def _spread(places: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
    """The median place of the items, and the distance to it that three quarters of them keep."""
    items = np.repeat(places, counts, axis=0)
    middle = np.median(items, axis=0)
    return middle, float(np.quantile(np.linalg.norm(items - middle, axis=1), 0.75))


class _Key(NamedTuple):
    """Names and looks of the key, in reading order, how many stand in a line, and how wide each is, in points."""

    entries: list[tuple[str, _Look]]
    columns: int
    width: float

    @property
    def lines(self) -> int:
        return -(-len(self.entries) // self.columns)


def _key(code_map: CodeMap, looks: Mapping[int, _Look]) -> _Key:
    beyond = set(code_map.classes.tolist()) - set(looks)
    rest = "other" if beyond else "several or none"
    entries = [
        (rest if number == OTHER else _short(code_map.class_names[number]), look) for number, look in looks.items()
    ]
    width = 22 + LETTER * max(len(name) for name, _ in entries)
    return _Key(entries, max(1, int(WIDTH // width)), width)


def _draw_key(axis: Axes, key: _Key) -> None:
    """The key in columns below the map."""
    for place, (name, look) in enumerate(key.entries):
        line, column = divmod(place, key.columns)
        x, y = 6 + column * key.width, TOP + MAP_HEIGHT + KEY_GAP + LINE * (line + 0.5)
        axis.add_line(Line2D([x], [y], clip_on=False, label=name, **look.style(4.0)))
        axis.text(x + 8, y, name, va="center_baseline")


def _short(name: str) -> str:
    """A name of few letters; what is no character (of a folder's name that is not UTF-8) becomes "?"."""
    name = name.encode("utf-8", "replace").decode()
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
