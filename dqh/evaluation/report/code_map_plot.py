"""The map of codes as inline SVG: a disc a code, coloured by class.

Written by hand: matplotlib would spell out the outline of every disc.
"""

import math
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.report.plots import COLOURS

WIDTH, MAP_HEIGHT = 374.0, 300.0
TOP, LINE, LETTER = 30.0, 16.0, 6.2
"""Height of the title, of a line of the key, and width of a letter, in units of the SVG."""

SINGLE, LARGEST, COVERED = 4.0, 28.0, 0.12
"""Radius of a disc of one item and of any disc at most, and the share of the map that all discs cover at most."""

SHAPES = ("disc", "square", "triangle")
"""Classes beyond the colours take the next shape."""

COMPACT = 0.4
"""A class keeps together, and is named on the map, where its spread is at most this share of the whole map's."""

LONGEST_NAME = 16
KEY_GAP = 10.0
OTHER = -1


class _Look(NamedTuple):
    """Shape and filling of a class, the latter as attributes."""

    shape: str
    fill: str


def map_of_codes(code_map: CodeMap, *, name: str = "map") -> str:
    """The map: each disc a code, its area the items that have it; rings where a code has items of several classes.

    The most frequent classes have colours and shapes of their own, six colours times three shapes; the others and
    items with several labels or none are grey. Names stand above classes that keep together, and in the key below.

    Args:
        code_map: what to draw.
        name: start of every id in the SVG.

    Returns:
        An `<svg>` element.
    """
    classes, looks = _looks(code_map)
    places, radii = _layout(code_map)
    outermost_first = np.lexsort((-radii, code_map.codes, -_totals(code_map)))
    marks = [
        _mark(looks[int(classes[place])], places[place, 0], places[place, 1], radii[place])
        for place in outermost_first.tolist()
    ]
    labels, (key, lines) = _labels(code_map, classes, places, radii), _key(code_map, looks)
    height = TOP + MAP_HEIGHT + KEY_GAP + LINE * lines
    title = f"Map of the codes ({code_map.method})"
    return (
        f'<svg class="plot" role="img" aria-label="{escape(title)}: {code_map.distinct:,} distinct codes of '
        f'{code_map.sampled:,} items" viewBox="0 0 {WIDTH:g} {height:g}" font-family="inherit" font-size="11" '
        f'fill="currentColor"><text y="14" font-size="12" font-weight="700">{escape(title)}</text>'
        f'<g id="{name}-codes" stroke="var(--paper, #fff)" stroke-width=".5">{"".join(marks)}</g>'
        f'<g id="{name}-labels" text-anchor="middle" font-weight="700" stroke="var(--paper, #fff)" stroke-width="3" '
        f'stroke-linejoin="round" paint-order="stroke">{"".join(labels)}</g><g id="{name}-key">{"".join(key)}</g></svg>'
    )


def map_legend(code_map: CodeMap) -> str:
    """What the map shows and how to read it, as plain text."""
    some = "all" if code_map.sampled == code_map.items else "a random sample"
    how = (
        "t-SNE keeps near codes near; far distances and the sizes of gaps mean nothing."
        if code_map.method == "t-SNE"
        else "The axes are the two directions in which the codes differ most."
    )
    return (
        f"{code_map.sampled:,} of {code_map.items:,} items ({some}), {code_map.distinct:,} distinct codes. Each mark "
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
        number: _Look(SHAPES[place // len(colours)], _fill(place % len(colours)))
        for place, number in enumerate(own[items[own] > 0].tolist())
    }
    classes = np.where(np.isin(code_map.classes, list(looks)), code_map.classes, OTHER)
    if (classes == OTHER).any():
        looks[OTHER] = _Look(SHAPES[0], f'{_fill(len(colours))} fill-opacity=".5"')
    return classes, looks


def _fill(colour: int) -> str:
    return f'fill="var(--series-{colour + 1}, {COLOURS[colour]})"'


def _totals(code_map: CodeMap) -> NDArray[np.int64]:
    """(P,): items of the code at each place, of all classes."""
    return np.bincount(code_map.codes, weights=code_map.counts).astype(np.int64)[code_map.codes]


def _layout(code_map: CodeMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, 2) centres and (P,) outer radii, in units of the SVG; the most frequent class of a code is innermost."""
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
    return centres, radii


def _mark(look: _Look, x: float, y: float, radius: float) -> str:
    """A disc, square or triangle of the area of a disc of `radius`."""
    if look.shape == "disc":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {look.fill}/>'
    if look.shape == "square":
        half = radius * math.sqrt(math.pi) / 2
        return f'<path d="M{x - half:.1f} {y - half:.1f}h{2 * half:.1f}v{2 * half:.1f}h{-2 * half:.1f}z" {look.fill}/>'
    side = radius * math.sqrt(4 * math.pi / math.sqrt(3))
    top = y - side / math.sqrt(3)
    return f'<path d="M{x:.1f} {top:.1f}l{side / 2:.1f} {side * math.sqrt(0.75):.1f}h{-side:.1f}z" {look.fill}/>'


def _labels(
    code_map: CodeMap, classes: NDArray[np.int64], places: NDArray[np.float64], radii: NDArray[np.float64]
) -> list[str]:
    """Names above the classes that keep together, the most frequent first, none over another."""
    spread = _spread(places, code_map.counts)[1]
    groups = []
    for number in sorted(set(classes.tolist()) - {OTHER}):
        own = classes == number
        middle, apart = _spread(places[own], code_map.counts[own])
        if apart <= COMPACT * spread:
            top = float(middle[1]) - apart - float(np.median(np.repeat(radii[own], code_map.counts[own]))) - 4
            groups.append((int(code_map.counts[own].sum()), number, float(middle[0]), top))
    labels: list[str] = []
    boxes: list[tuple[float, float, float]] = []
    for _, number, across, top in sorted(groups, key=lambda group: -group[0]):
        text = _short(code_map.class_names[number])
        half = LETTER * len(text) / 2
        x, y = min(max(across, half), WIDTH - half), top
        if all(abs(x - other_x) > half + other or abs(y - other_y) > LINE for other_x, other_y, other in boxes):
            boxes.append((x, y, half))
            labels.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')
    return labels


def _spread(places: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
    """The median place of the items, and the distance to it that three quarters of them keep."""
    items = np.repeat(places, counts, axis=0)
    middle = np.median(items, axis=0)
    return middle, float(np.quantile(np.linalg.norm(items - middle, axis=1), 0.75))


def _key(code_map: CodeMap, looks: Mapping[int, _Look]) -> tuple[list[str], int]:
    """The key in columns below the map, and its number of lines."""
    beyond = set(code_map.classes.tolist()) - set(looks)
    rest = "other" if beyond else "several or none"
    names = {number: rest if number == OTHER else _short(code_map.class_names[number]) for number in looks}
    width = 22 + LETTER * max(map(len, names.values()))
    columns = max(1, int(WIDTH // width))
    key = []
    for place, (number, look) in enumerate(looks.items()):
        line, column = divmod(place, columns)
        x, y = 6 + column * width, TOP + MAP_HEIGHT + KEY_GAP + LINE * (line + 0.5)
        key.append(_mark(look, x, y, 4.0) + f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">{escape(names[number])}</text>')
    return key, -(-len(looks) // columns)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
