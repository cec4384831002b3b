import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.report.code_map_plot import (
    COVERED,
    LARGEST,
    MAP_HEIGHT,
    SINGLE,
    TOP,
    WIDTH,
    map_legend,
    map_of_codes,
)


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


def parts(svg):
    """The groups of marks, labels and key, by the end of their id."""
    root = ElementTree.fromstring(svg)
    return {group.get("id").rpartition("-")[2]: list(group) for group in root.iter("g")}


def discs(svg):
    """(x, y, radius, colour) of each disc, in order of drawing."""
    return [(*(float(mark.get(name)) for name in ("cx", "cy", "r")), mark.get("fill")) for mark in parts(svg)["codes"]]


def texts(svg, part):
    return [element.text for element in parts(svg)[part] if element.tag == "text"]


TWO = map_with([[-1, 0], [1, 0]], [0, 1], [4, 1])


def test_discs_lie_at_equal_scale_and_have_areas_in_proportion_to_items():
    """Four items and one: radii 2 : 1, at one height, symmetric about the middle of the map."""
    big, small = discs(map_of_codes(TWO))
    assert big[2] == pytest.approx(2 * small[2], abs=0.1)
    assert small[2] == pytest.approx(SINGLE, abs=0.1)
    assert big[1] == small[1] == TOP + MAP_HEIGHT / 2
    assert big[0] + small[0] == pytest.approx(WIDTH, abs=0.2)
    assert big[3] == "var(--series-1, #0072b2)"
    assert small[3] == "var(--series-2, #d55e00)"


def test_axes_have_one_scale():
    """Three places at right angles, legs 1 and 2 long."""
    (ax, ay, *_), (bx, by, *_), (cx, cy, *_) = discs(map_of_codes(map_with([[0, 0], [1, 0], [0, 2]], [0, 1, 2])))
    assert (by, cx) == (ay, ax)
    assert abs(cy - ay) == pytest.approx(2 * abs(bx - ax), abs=0.2)


def test_a_code_of_two_classes_is_a_ring_around_the_more_frequent_one():
    """Three dogs and a cat: the disc of all four in the cat's colour, that of three on top of it: radii √4 : √3."""
    outer, inner = discs(map_of_codes(map_with([[0, 0], [0, 0]], [0, 1], [1, 3], codes=[0, 0])))
    assert (outer[0], outer[1]) == (inner[0], inner[1])
    assert inner[2] / outer[2] == pytest.approx(math.sqrt(3 / 4), abs=0.02)
    assert "series-1" in outer[3]
    assert "series-2" in inner[3]


def test_small_discs_are_drawn_on_large_ones():
    found = discs(map_of_codes(map_with([[0, 0], [1, 0], [0, 1]], [0, 0, 0], [1, 9, 4])))
    assert [radius for *_, radius, _ in found] == sorted((radius for *_, radius, _ in found), reverse=True)


@pytest.mark.parametrize("counts", [[1000, 1], [1] * 1000, [10] * 100])
def test_discs_stay_within_the_map_and_cover_a_bounded_share_of_it(counts):
    angles = np.linspace(0, 6, len(counts))
    svg = map_of_codes(map_with(np.stack([np.cos(angles), np.sin(angles)], axis=1), [0] * len(counts), counts))
    x, y, radius = np.array([disc[:3] for disc in discs(svg)]).T
    assert (x - radius).min() >= 0
    assert (x + radius).max() <= WIDTH
    assert (y - radius).min() >= TOP
    assert (y + radius).max() <= TOP + MAP_HEIGHT
    assert radius.max() <= LARGEST
    assert (math.pi * radius**2).sum() <= 1.15 * COVERED * WIDTH * MAP_HEIGHT  # radii have one decimal
    assert len(svg) < 150_000


def test_classes_have_six_colours_times_three_shapes_and_the_others_are_grey():
    """Twenty classes, 18 looks: class 0 to 5 discs, to 11 squares, to 17 triangles; 18 and 19 grey discs."""
    names = [f"c{number}" for number in range(20)]
    svg = map_of_codes(map_with([[x, 0] for x in range(20)], range(20), [2] * 18 + [1] * 2, names=names))
    marks = parts(svg)["codes"]
    kinds = [mark.tag if mark.tag == "circle" else "triangle" if "l" in mark.get("d") else "square" for mark in marks]
    assert kinds == ["circle"] * 6 + ["square"] * 6 + ["triangle"] * 6 + ["circle"] * 2
    series = [int(re.search(r"series-(\d)", mark.get("fill"))[1]) for mark in marks]
    assert series == [1, 2, 3, 4, 5, 6] * 3 + [7, 7]
    assert texts(svg, "key") == [*names[:18], "other"]


def test_the_three_shapes_have_one_area():
    """A square of side s has s², an equilateral triangle of side t has t² √3 / 4; both π r² within one decimal."""
    names = [f"c{number}" for number in range(13)]
    marks = parts(map_of_codes(map_with([[x, 0] for x in range(13)], range(13), [9] * 13, names=names)))["codes"]
    disc = math.pi * float(marks[0].get("r")) ** 2
    square = float(re.search(r"h([\d.]+)v", marks[6].get("d"))[1]) ** 2
    triangle = float(re.search(r"h-([\d.]+)z", marks[12].get("d"))[1]) ** 2 * math.sqrt(3) / 4
    assert [square, triangle] == pytest.approx([disc, disc], rel=0.03)


def test_items_without_a_class_of_their_own_are_grey():
    svg = map_of_codes(map_with([[0, 0], [1, 0]], [-1, 2]))
    assert "series-7" in discs(svg)[0][3]
    assert texts(svg, "key") == ["fox", "several or none"]


def test_classes_that_keep_together_are_named_and_scattered_ones_are_not():
    """Cats and dogs lie at two ends, foxes at both."""
    places = [[0, 0], [0, 1], [1, 0], [90, 0], [90, 1], [91, 0], [0, 2], [90, 2]]
    svg = map_of_codes(map_with(places, [0, 0, 0, 1, 1, 1, 2, 2]))
    assert texts(svg, "labels") == ["cat", "dog"]
    assert texts(svg, "key") == ["cat", "dog", "fox"]


def test_a_name_never_stands_over_another_and_the_more_frequent_class_wins():
    places = [[0, 0], [0, 0.1], [0, 0.2], [90, 0], [-90, 0]]
    svg = map_of_codes(map_with(places, [0, 1, 1, 2, 2], [5, 5, 5, 9, 9]))
    assert texts(svg, "labels") == ["dog"]


def test_names_are_escaped_and_long_ones_cut():
    svg = map_of_codes(map_with([[0, 0]], [0], names=['<b>&"a very long name indeed']))
    assert texts(svg, "key") == ['<b>&"a very lon…']
    assert "<b>" not in svg


def test_a_picture_is_well_formed_labelled_and_free_of_scripts_styles_and_addresses():
    svg = map_of_codes(TWO, name="x")
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Map of the codes (PCA): 2 distinct codes of 5 items"
    assert not {"script", "style"} & {element.tag for element in root.iter()}
    assert re.findall(r'\bid="([^"]*)"', svg) == ["x-codes", "x-labels", "x-key"]
    assert "http" not in svg
    assert map_of_codes(TWO, name="x") == svg


def test_a_single_code_is_a_disc_in_the_middle():
    ((x, y, *_),) = discs(map_of_codes(map_with([[0, 0]], [0])))
    assert (x, y) == (WIDTH / 2, TOP + MAP_HEIGHT / 2)


def test_the_legend_says_how_many_and_how_to_read():
    assert map_legend(TWO).startswith("5 of 10 items (a random sample), 2 distinct codes.")
    assert "two directions in which the codes differ most" in map_legend(TWO)
    assert "far distances and the sizes of gaps mean nothing" in map_legend(map_with([[0, 0]], [0], method="t-SNE"))
