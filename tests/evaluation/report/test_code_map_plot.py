import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.report.code_map_plot import (
    COVERED,
    LARGEST,
    MAP_HEIGHT,
    SHAPES,
    SINGLE,
    TOP,
    WIDTH,
    draw_map,
    map_legend,
    map_of_codes,
)
from dqh.evaluation.report.plots import COLOURS


def map_with(positions, classes, counts=None, *, codes=None, names=("cat", "dog", "fox"), method="PCA"):
    counts = [1] * len(classes) if counts is None else counts
    codes = list(range(len(classes))) if codes is None else codes
    return CodeMap(
        positions=np.array(positions, float),
        classes=np.array(classes),
        codes=np.array(codes),
        counts=np.array(counts),
        class_names=tuple(names),
        method=method,
        sampled=sum(counts),
        items=2 * sum(counts),
        distinct=len(set(codes)),
    )


def drawn(code_map):
    """The only axis of the drawing, its height enough for any key here."""
    figure = Figure(figsize=(WIDTH / 72, 6))
    draw_map(figure, code_map)
    (axis,) = figure.axes
    return axis


def marks(axis, *, key=False):
    """Markers of the map, or of its key, in order of drawing; the lines of the key have a label of their own."""
    return [line for line in axis.lines if key != line.get_label().startswith("_child")]


def discs(code_map):
    """(x, y, radius, colour) of each mark, in order of drawing."""
    return [
        (x, y, line.get_markersize() / dict(SHAPES)[line.get_marker()], line.get_markerfacecolor())
        for line in marks(drawn(code_map))
        for x, y in line.get_xydata().tolist()
    ]


def key(code_map):
    return [line.get_label() for line in marks(drawn(code_map), key=True)]


def labels(code_map):
    return [text.get_text() for text in drawn(code_map).texts if text.get_bbox_patch()]


TWO = map_with([[-1, 0], [1, 0]], [0, 1], [4, 1])


def test_discs_lie_at_equal_scale_and_have_areas_in_proportion_to_items():
    """Four items and one: radii 2 : 1, at one height, symmetric about the middle of the map."""
    big, small = discs(TWO)
    assert big[2] == pytest.approx(2 * small[2], abs=0.1)
    assert small[2] == pytest.approx(SINGLE, abs=0.1)
    assert big[1] == small[1] == TOP + MAP_HEIGHT / 2
    assert big[0] + small[0] == pytest.approx(WIDTH, abs=0.2)
    assert (big[3], small[3]) == COLOURS[:2]


def test_axes_have_one_scale():
    """Three places at right angles, legs 1 and 2 long."""
    (ax, ay, *_), (bx, by, *_), (cx, cy, *_) = discs(map_with([[0, 0], [1, 0], [0, 2]], [0, 1, 2]))
    assert (by, cx) == (ay, ax)
    assert abs(cy - ay) == pytest.approx(2 * abs(bx - ax), abs=0.2)


def test_a_code_of_two_classes_is_a_ring_around_the_more_frequent_one():
    """Three dogs and a cat: the disc of all four in the cat's colour, that of three on top of it: radii √4 : √3."""
    outer, inner = discs(map_with([[0, 0], [0, 0]], [0, 1], [1, 3], codes=[0, 0]))
    assert (outer[0], outer[1]) == (inner[0], inner[1])
    assert inner[2] / outer[2] == pytest.approx(math.sqrt(3 / 4), abs=0.02)
    assert (outer[3], inner[3]) == COLOURS[:2]


def test_small_discs_are_drawn_on_large_ones():
    found = discs(map_with([[0, 0], [1, 0], [0, 1]], [0, 0, 0], [1, 9, 4]))
    assert [radius for *_, radius, _ in found] == sorted((radius for *_, radius, _ in found), reverse=True)


@pytest.mark.parametrize("counts", [[1000, 1], [1] * 1000, [10] * 100])
def test_discs_stay_within_the_map_and_cover_a_bounded_share_of_it(counts):
    angles = np.linspace(0, 6, len(counts))
    around = map_with(np.stack([np.cos(angles), np.sin(angles)], axis=1), [0] * len(counts), counts)
    x, y, radius = np.array([disc[:3] for disc in discs(around)]).T
    assert (x - radius).min() >= 0
    assert (x + radius).max() <= WIDTH
    assert (y - radius).min() >= TOP
    assert (y + radius).max() <= TOP + MAP_HEIGHT
    assert radius.max() <= LARGEST
    assert (math.pi * radius**2).sum() <= 1.15 * COVERED * WIDTH * MAP_HEIGHT  # radii have one decimal
    assert len(map_of_codes(around)) < 150_000


def test_classes_have_six_colours_times_three_shapes_and_the_others_are_grey():
    """Twenty classes, 18 looks: class 0 to 5 discs, to 11 squares, to 17 triangles; 18 and 19 grey discs."""
    names = [f"c{number}" for number in range(20)]
    crowd = map_with([[x, 0] for x in range(20)], range(20), [2] * 18 + [1] * 2, names=names)
    disc, square, triangle = (marker for marker, _ in SHAPES)
    lines = marks(drawn(crowd))  # two grey discs side by side are one line
    assert [line.get_marker() for line in lines] == [disc] * 6 + [square] * 6 + [triangle] * 6 + [disc]
    assert [colour for *_, colour in discs(crowd)] == [*COLOURS[:6] * 3, *["#7f7f7f80"] * 2]
    assert key(crowd) == [*names[:18], "other"]


def test_the_three_shapes_have_one_area():
    """The area of each marker as matplotlib lays it out, by the shoelace formula; of a disc of radius 10, 314.16."""
    for marker, size in SHAPES:
        style = MarkerStyle(marker)
        outline = style.get_path().transformed(style.get_transform()).to_polygons(closed_only=False)
        x, y = (np.concatenate([polygon[:-1] for polygon in outline]) * size * 10).T
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        assert area == pytest.approx(math.pi * 100, rel=0.005)  # a disc is drawn by straight pieces here


def test_items_without_a_class_of_their_own_are_grey():
    both = map_with([[0, 0], [1, 0]], [-1, 2])
    assert discs(both)[0][3] == "#7f7f7f80"
    assert key(both) == ["fox", "several or none"]
    assert "fill: var(--series-7, #7f7f7f); fill-opacity: 0.5" in map_of_codes(both)


def test_classes_that_keep_together_are_named_and_scattered_ones_are_not():
    """Cats and dogs lie at two ends, foxes at both."""
    places = [[0, 0], [0, 1], [1, 0], [90, 0], [90, 1], [91, 0], [0, 2], [90, 2]]
    scattered = map_with(places, [0, 0, 0, 1, 1, 1, 2, 2])
    assert labels(scattered) == ["cat", "dog"]
    assert key(scattered) == ["cat", "dog", "fox"]


def test_a_name_never_stands_over_another_and_the_more_frequent_class_wins():
    places = [[0, 0], [0, 0.1], [0, 0.2], [90, 0], [-90, 0]]
    assert labels(map_with(places, [0, 1, 1, 2, 2], [5, 5, 5, 9, 9])) == ["dog"]


def test_names_are_escaped_and_long_ones_cut():
    long = map_with([[0, 0]], [0], names=['<b>&"a very long name indeed'])
    assert key(long) == ['<b>&"a very lon…']
    assert "<b>" not in map_of_codes(long)
    assert "&lt;b&gt;&amp;" in map_of_codes(long)


def test_two_classes_whose_names_begin_alike_keep_a_place_in_the_key_each():
    names = [f"the same long beginning {number}" for number in range(2)]
    assert key(map_with([[0, 0], [1, 0]], [0, 1], names=names)) == ["the same long b…"] * 2


def test_names_in_any_letters_or_none_are_drawn_without_a_warning(recwarn):
    names = ["漢字", b"caf\xe9".decode("utf-8", "surrogateescape"), "$x^"]
    picture = map_of_codes(map_with([[0, 0], [1, 0], [2, 0]], [0, 1, 2], names=names))
    assert all(name in picture for name in ("漢字", "caf?", "$x^"))
    assert not recwarn.list


def test_a_picture_is_well_formed_labelled_and_free_of_scripts_styles_and_addresses():
    svg = map_of_codes(TWO, name="x")
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Map of the codes (PCA): 2 distinct codes of 5 items"
    assert not {"script", "style"} & {element.tag for element in root.iter()}
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    assert all(each.startswith("x-") for each in ids)
    assert root.get("viewBox") == f"0 0 {WIDTH:g} {TOP + MAP_HEIGHT + 10 + 16:g}"
    assert "http" not in svg
    assert map_of_codes(TWO, name="x") == svg


def test_a_single_code_is_a_disc_in_the_middle():
    ((x, y, *_),) = discs(map_with([[0, 0]], [0]))
    assert (x, y) == (WIDTH / 2, TOP + MAP_HEIGHT / 2)


def test_the_legend_says_how_many_and_how_to_read():
    assert map_legend(TWO).startswith("5 of 10 items (a random sample), 2 distinct codes.")
    assert "two directions in which the codes differ most" in map_legend(TWO)
    assert "far distances and the sizes of gaps mean nothing" in map_legend(map_with([[0, 0]], [0], method="t-SNE"))
