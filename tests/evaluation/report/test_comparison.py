import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from dqh.evaluation.report.comparison import (
    APART,
    QUOTED,
    comparison_curves,
    comparison_legend,
    is_cifar10,
    name_places,
)

CURVE = {"precision_at_k": {"k": [1, 100, 500, 1000], "precision": [0.9, 0.8, 0.7, 0.6]}}
SHORT = {"precision_at_k": {"k": [1, 50], "precision": [0.9, 0.8]}}


def metrics(data="cifar10", curves=("aqd_l2", "exhaustive"), **protocol):
    return {"protocol": {"data": data, "main": "aqd_l2"} | protocol, "curves": dict.fromkeys(curves, CURVE)}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("text")]


def vertices(svg, colour):
    """The vertices of each line of a colour that has at least two."""
    paths = re.findall(
        r'<path d="([^"]*)"[^>]*style="fill: none; (?:stroke-dash\w+: [^;]*; )*stroke: var\(' + colour, svg
    )
    points = [[tuple(map(float, pair)) for pair in re.findall(r"[ML] (\S+) (\S+)", path)] for path in paths]
    return [each for each in points if len(each) > 1]


def test_cifar10_stands_beside_the_published_curves_with_their_names():
    svg = comparison_curves(metrics())
    assert set(QUOTED) <= set(texts(svg))
    assert len(vertices(svg, "--muted")) == len(QUOTED)
    assert "CNNH+ (quoted)" in ElementTree.fromstring(svg).get("aria-label")
    assert {"aqd_l2", "exhaustive", "100", "1,000"} <= set(texts(svg))


def test_a_published_curve_goes_from_its_first_to_its_last_value():
    """CNNH+ .590 → .608 rises by .018, SH .250 → .190 falls by .06: −1 : 3.33 on a page whose y grows downwards."""
    lines = vertices(comparison_curves(metrics()), "--muted")
    rises = {name: line[-1][1] - line[0][1] for name, line in zip(QUOTED, lines, strict=True)}
    assert rises["SH"] / rises["CNNH+"] == pytest.approx(-0.06 / 0.018, abs=0.01)
    assert rises["KSH"] == 0


def test_own_curves_start_at_k_100():
    """K = 1 is left of the picture: 100, 500, 1,000 remain, as far apart as 4 : 5."""
    line = max(vertices(comparison_curves(metrics()), "--series-1"), key=len)
    assert len(line) == 3
    assert (line[1][0] - line[0][0]) / (line[2][0] - line[1][0]) == pytest.approx(4 / 5, abs=1e-3)


@pytest.mark.parametrize(
    ("data", "classes", "is_it"),
    [
        ("cifar10", None, True),
        ("cifar10-1", None, True),
        ("cifar10_jpeg", 10, True),
        ("CIFAR-10", 10, True),
        ("cifar10", 3, False),
        ("cifar100", 100, False),
        ("cifar100", None, False),
        ("digits", 10, False),
        ("my cifar10", 10, False),
    ],
)
def test_published_curves_are_of_cifar10_alone(data, classes, is_it):
    found = metrics(data) if classes is None else metrics(data, classes=classes)
    assert is_cifar10(found) == is_it
    assert (comparison_curves(found) is not None) == is_it


def test_other_data_have_their_baselines_alone_in_thin_lines():
    svg = comparison_curves(metrics("digits", ("aqd_l2", "embedding_l2", "itq", "pq_embedding", "untrained")))
    found = set(texts(svg))
    assert {"aqd_l2", "itq", "pq_embedding"} <= found
    assert not {"embedding_l2", "untrained", "CNNH"} & found
    assert vertices(svg, "--series-3"), "itq has the colour of its place among all curves"
    assert not vertices(svg, "--series-2")


@pytest.mark.parametrize(
    "content",
    [
        {},
        metrics("digits"),
        metrics("cifar10", ()),
        metrics("cifar10") | {"curves": {"aqd_l2": SHORT}},
        metrics("digits", ("itq",)),
    ],
)
def test_nothing_to_compare_is_none(content):
    assert comparison_curves(content) is None


def test_an_older_file_has_its_first_row_as_main():
    older = {"protocol": {"data": "cifar10"}, "rows": [{"search": "binary"}], "curves": {"binary": CURVE}}
    assert "binary" in texts(comparison_curves(older))


@pytest.mark.parametrize(("data", "quoted"), [("cifar10", True), ("digits", False)])
@pytest.mark.parametrize("baseline", [True, False])
def test_the_legend_says_what_was_measured_and_what_is_quoted(data, quoted, baseline):
    legend = comparison_legend(metrics(data, ("aqd_l2", "itq" if baseline else "exhaustive")))
    assert ("not measured here" in legend) == quoted
    assert ("fitted after the fact" in legend) == baseline


def test_names_do_not_cover_each_other():
    places = name_places([end for _, end in QUOTED.values()])
    assert all(upper - lower >= APART - 1e-9 for upper, lower in pairwise(places))
    assert max(abs(place - end) for place, (_, end) in zip(places, QUOTED.values(), strict=True)) < 0.05


def test_ids_start_with_the_name_and_the_same_numbers_give_the_same_text():
    svg = comparison_curves(metrics())
    assert all(each.startswith("comparison-") for each in re.findall(r'\bid="([^"]*)"', svg))
    assert comparison_curves(metrics()) == svg


def test_without_published_curves_the_picture_follows_the_relevant_items():
    """32 relevant items at most: k from 1 to 100 on a logarithmic axis, 1 : 10 as far as 10 : 100, with the ceiling."""
    ks = [1, 10, 100, 500, 1000]
    curve = {"precision_at_k": {"k": ks, "precision": [0.9, 0.8, 0.3, 0.06, 0.03]}}
    cap = {"k": ks, "precision": [1.0, 1.0, 0.32, 0.064, 0.032]}
    content = metrics(data="clothing")
    content["curves"] = dict.fromkeys(("aqd_l2", "pq"), curve)
    content["limits"] = {"relevant": {"most": 32}, "precision_at_k": cap}
    svg = comparison_curves(content)
    line = max(vertices(svg, "--series-1"), key=len)
    assert len(line) == 3
    assert line[1][0] - line[0][0] == pytest.approx(line[2][0] - line[1][0], abs=1e-3)
    assert "perfect ranking" in texts(svg)
    assert "1,000" not in texts(svg)
