import re
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib import pyplot

from dqh.evaluation.report.plots import (
    COLOURS,
    SERIES,
    best_point,
    last_k,
    learning_curve,
    look,
    precision_curves,
    precision_recall,
    validation_metric,
)

NAN = float("nan")
HISTORY = [
    {"epoch": 0, "train/loss": 2.0, "val/mAP": 0.5, "val/accuracy": 0.4},
    {"epoch": 1, "train/loss": 1.0, "val/mAP": 0.875},
    {"epoch": 2, "train/loss": 0.5, "val/mAP": 0.875},
    {"epoch": 3, "train/loss": 0.4, "val/mAP": 0.625},
]
CURVES = {
    "binary": {
        "precision_at_k": {"k": [1, 10, 100, 1000], "precision": [1.0, 0.9, 0.8, 0.4]},
        "precision_recall": {"recall": [0.0, 0.5, 1.0], "precision": [1.0, 0.8, 0.25]},
    },
    "exhaustive": {
        "precision_at_k": {"k": [1, 10, 100, 1000], "precision": [1.0, NAN, 0.9, None]},
        "precision_recall": {"recall": [0.0, 1.0], "precision": [1.0, 0.5]},
    },
}
MAKERS = {
    "learning": lambda: learning_curve(HISTORY),
    "precision": lambda: precision_curves(CURVES),
    "recall": lambda: precision_recall(CURVES),
}


@pytest.fixture(scope="module", params=MAKERS)
def picture(request):
    return request.param, MAKERS[request.param]()


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("text")]


def lines(svg, colour):
    """The vertices of each path drawn in a colour, as lists of (x, y), longer ones first; markers and legend last."""
    paths = re.findall(
        r'<path d="([^"]*)"[^>]*style="fill: none; (?:stroke-dash\w+: [^;]*; )*stroke: var\([^,]*, ' + colour, svg
    )
    points = [[tuple(map(float, pair)) for pair in re.findall(r"[ML] (\S+) (\S+)", path)] for path in paths]
    return sorted(points, key=lambda vertices: vertices[-1][0] - vertices[0][0], reverse=True)


def test_a_picture_is_well_formed_and_brings_neither_scripts_nor_styles_nor_addresses(picture):
    _, svg = picture
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert not {"script", "style", "metadata", "image"} & {element.tag for element in root.iter()}
    assert "http" not in svg


def test_ids_are_unique_start_with_the_name_and_every_reference_finds_its_target(picture):
    name, svg = picture
    ids = re.findall(r'\bid="([^"]*)"', svg)
    references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)
    assert len(ids) > 10
    assert len(ids) == len(set(ids))
    assert all(one.startswith(f"{name}-") for one in ids)
    assert references
    assert {a or b for a, b in references} <= set(ids)


def test_the_same_numbers_give_the_same_text_and_leave_the_settings_of_matplotlib_alone(picture):
    name, svg = picture
    before = dict(matplotlib.rcParams)
    assert MAKERS[name]() == svg
    assert dict(matplotlib.rcParams) == before


def test_text_takes_the_colour_of_the_page_and_series_its_variables(picture):
    _, svg = picture
    assert "fill: currentColor" in svg
    assert f"var(--series-1, {COLOURS[0]})" in svg
    assert not re.search(r"(fill|stroke): #", svg)


def test_no_figure_enters_the_global_list_of_pyplot():
    learning_curve(HISTORY)
    assert pyplot.get_fignums() == []


def test_learning_curve_has_both_panels_and_names_the_first_best_epoch():
    shown = texts(learning_curve(HISTORY))
    assert "Training loss" in shown
    assert "Validation mAP, best 0.8750 at epoch 1" in shown
    assert "epoch" in shown


def test_the_kept_epoch_is_marked_where_it_is_known():
    assert "Validation mAP, best 0.6250 at epoch 3" in texts(learning_curve(HISTORY, 3))


def test_a_value_that_is_the_same_in_every_epoch_is_not_called_best():
    rows = [{"epoch": epoch, "train/loss": 1.0, "val/mAP": 0.25} for epoch in (1, 2, 3)]
    assert "Validation mAP, 0.2500 in every epoch" in texts(learning_curve(rows, 3))


def test_an_unknown_epoch_is_not_marked():
    assert "Validation mAP" in texts(learning_curve(HISTORY, 99))


def test_the_loss_falls_over_equal_steps_of_epochs():
    """Four epochs are four vertices, evenly apart; y grows downwards: losses 2, 1, .5, .4 drop by 1 : .5 : .1."""
    points = lines(learning_curve(HISTORY), COLOURS[0])[0]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    assert len(points) == 4
    assert [dx / steps[0][0] for dx, _ in steps] == pytest.approx([1, 1, 1], abs=1e-4)
    assert [dy / steps[0][1] for _, dy in steps] == pytest.approx([1, 0.5, 0.1], abs=1e-4)


def test_history_may_come_as_texts_in_any_order_with_holes():
    rows = [
        {"epoch": "1", "train/loss": "0.5", "val/mAP": ""},
        {"epoch": "0", "train/loss": "1.0"},
        {"train/loss": "9"},
    ]
    svg = learning_curve([*rows, {"epoch": "1", "val/mAP": "0.5"}, {"epoch": "0", "val/mAP": "nan"}])
    assert "Validation mAP, best 0.5000 at epoch 1" in texts(svg)
    assert len(lines(svg, COLOURS[0])[0]) == 2


def test_loss_alone_makes_a_picture_without_a_validation_panel():
    shown = texts(learning_curve([{"epoch": 0, "train/loss": 1.0}, {"epoch": 1, "train/loss": 0.5}]))
    assert "Training loss" in shown
    assert not any("Validation" in text for text in shown)


@pytest.mark.parametrize(
    ("row", "metric"),
    [
        ({"val/accuracy": 0.5, "val/mAP": 0.5}, "val/mAP"),
        ({"val/accuracy": 0.5, "val/mAP": NAN}, "val/accuracy"),
        ({"val/P@10": 0.5, "val/loss": 0.1}, "val/P@10"),
        ({"val/loss": 0.1, "train/loss": 0.1}, None),
        ({"val/quantization_error": 0.1, "val/similarity_excess": 0.1}, None),
        ({"train/loss": 0.1, "train/accuracy": 0.5, "train/mAP": 0.5}, "train/mAP"),
    ],
)
def test_the_validation_metric_is_the_first_with_numbers_and_never_a_loss(row, metric):
    assert validation_metric([{"epoch": 0} | row]) == metric


def test_the_best_point_of_none_is_none():
    assert best_point([], None) is None
    assert best_point([], 3) is None


@pytest.mark.parametrize(
    "svg",
    [
        learning_curve([]),
        learning_curve([{"epoch": 0, "train/loss": NAN, "val/mAP": None}]),
        precision_curves({}),
        precision_curves({"binary": {}}),
        precision_curves({"binary": {"precision_at_k": {"k": [1], "precision": [None]}}}),
        precision_recall({"binary": {"precision_recall": None}}),
    ],
)
def test_nothing_to_draw_is_none(svg):
    assert svg is None


def test_precision_curves_name_their_rows_and_put_powers_of_ten_at_equal_distances():
    svg = precision_curves(CURVES)
    points = lines(svg, COLOURS[0])[0]
    steps = [b[0] - a[0] for a, b in pairwise(points)]
    assert {"Precision at k", "precision at k", "binary", "exhaustive", "1", "10", "100", "1,000"} <= set(texts(svg))
    assert steps == pytest.approx([steps[0]] * 3, abs=1e-3)
    assert len(lines(svg, COLOURS[1])[0]) == 2, "NaN and None are left out"


def test_a_short_range_of_k_stays_linear():
    """From k = 10 to 20 to 40 the second step is twice the first."""
    points = lines(
        precision_curves({"x": {"precision_at_k": {"k": [10, 20, 40], "precision": [1, 1, 1]}}}), COLOURS[0]
    )[0]
    assert (points[2][0] - points[1][0]) / (points[1][0] - points[0][0]) == pytest.approx(2, abs=1e-3)


def test_a_colour_belongs_to_the_place_of_a_row_even_where_an_earlier_row_has_no_curve():
    svg = precision_recall({"none": {}, "exhaustive": CURVES["exhaustive"]})
    assert lines(svg, COLOURS[1])
    assert not lines(svg, COLOURS[0])
    assert "none" not in texts(svg)


def test_names_are_shown_as_they_are():
    svg = precision_recall({"<b>$x_1$ & co": CURVES["binary"], "_hidden": CURVES["exhaustive"]})
    assert {"<b>$x_1$ & co", "_hidden"} <= set(texts(svg))
    assert "<b>" not in svg
    assert ElementTree.fromstring(svg).get("aria-label").endswith(": <b>$x_1$ & co, _hidden")


def test_twenty_rows_have_a_legend_each():
    svg = precision_recall({f"row {i}": CURVES["binary"] for i in range(20)})
    assert {f"row {i}" for i in range(20)} <= set(texts(svg))
    assert float(ElementTree.fromstring(svg).get("viewBox").split()[3]) > 72 * 5


def test_a_row_for_comparison_has_a_thin_line():
    """Widths as matplotlib writes them: 1.9 where none is thin, 1 for the second row."""
    svg = precision_recall(CURVES, thin=["exhaustive"])
    widths = re.findall(r"stroke: var\(--series-([12]), #\w+\)(?:; stroke-width: ([\d.]+))?[^\"]*\"", svg)
    assert ("1", "1.9") in widths
    assert ("2", "1.9") not in widths
    assert ("2", "1.9") in re.findall(
        r"stroke: var\(--series-([12]), #\w+\)(?:; stroke-width: ([\d.]+))?[^\"]*\"", precision_recall(CURVES)
    )


def test_rows_look_different_by_line_and_by_swatch():
    looks = [look(place) for place in range(44)]
    assert len({(each.colour, each.dashes) for each in looks}) == 44
    assert len({(each.number, each.square) for each in looks[:22]}) == 22
    assert [each.number for each in looks[:12]] == [*range(1, 12), 1]
    assert len(set(SERIES)) == len(SERIES) == 11


KS = [1, 2, 5, 10, 20, 50, 100, 150, 1000]


@pytest.mark.parametrize(
    ("most", "last"), [(32, 100), (1, 10), (5, 10), (6000, 1000), (0, 1000), (None, 1000), (75, 150)]
)
def test_curves_of_precision_end_at_twice_the_relevant_items(most, last):
    assert last_k({"relevant": {"most": most}}, KS) == last


def test_the_perfect_ranking_is_drawn_where_it_is_below_one():
    curves = {"binary": {"precision_at_k": {"k": KS, "precision": [0.9] * 5 + [0.5, 0.3, 0.2, 0.03]}}}
    cap = {"k": KS, "precision": [1, 1, 1, 1, 1, 0.64, 0.32, 0.21, 0.032]}
    capped = texts(precision_curves(curves, limits={"relevant": {"most": 32}, "precision_at_k": cap}))
    assert "perfect ranking" in capped
    assert "1,000" not in capped, "the axis ends at 100"
    free = {"k": KS, "precision": [1.0] * len(KS)}
    assert "perfect ranking" not in texts(precision_curves(curves, limits={"precision_at_k": free}))
