from xml.etree import ElementTree

import pytest

from dqh.evaluation.report.history_plot import MOST, further_curves, further_panels

HISTORY = [
    {
        "epoch": epoch,
        "step": 6 * epoch,
        "lr": 0.1,
        "train/loss": 2.0 / epoch,
        "train/similarity": 1.5 / epoch,
        "train/quantization": 0.5 / epoch,
        "val/mAP": 0.1 * epoch,
        "val/loss": 2.5 / epoch,
        "val/quantization_error": 0.25,
        "val/never_heard_of": 1.0,
        "images_per_s": 100.0,
    }
    for epoch in (1, 2, 3)
]


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("text")]


def test_every_column_has_a_panel_but_those_of_the_learning_curve():
    panels = further_panels(HISTORY)
    assert {title: list(parts) for title, parts in panels.items()} == {
        "loss": ["train", "val"],
        "similarity": ["train"],
        "quantization": ["train"],
        "quantization error": ["val"],
        "never heard of": ["val"],
    }
    assert panels["loss"] == {"train": [(1, 2), (2, 1), (3, 2 / 3)], "val": [(1, 2.5), (2, 1.25), (3, 2.5 / 3)]}


def test_a_term_that_is_the_whole_loss_is_drawn_once():
    history = [{"epoch": 1, "train/loss": 2.0, "train/cross_entropy": 2.0, "val/mAP": 0.5, "val/accuracy": 0.5}]
    assert further_panels(history) == {"accuracy": {"val": [(1, 0.5)]}}


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"epoch": 1, "step": 6, "lr": 0.1, "train/loss": 1.0, "val/mAP": 0.5}],
        [{"epoch": 1, "val/other": float("nan"), "train/text": "text"}],
    ],
)
def test_nothing_more_to_draw_is_none(history):
    assert further_curves(history) is None


def test_the_picture_names_its_panels_has_ids_of_its_own_and_is_the_same_again():
    svg = further_curves(HISTORY)
    root = ElementTree.fromstring(svg)
    assert {"loss", "similarity", "quantization", "quantization error", "never heard of", "epoch"} <= set(texts(svg))
    assert root.get("aria-label").startswith("Further curves of the training: loss, similarity")
    assert all(each.get("id", "further-").startswith("further-") for each in root.iter())
    assert further_curves(HISTORY) == svg


def test_text_of_a_file_counts_as_its_numbers_and_there_is_an_end_to_panels():
    history = [{"epoch": "1"} | {f"val/x{place}": "0.5" for place in range(20)}]
    assert len(further_panels(history)) == MOST


def test_names_are_shown_as_they_are():
    svg = further_curves([{"epoch": 1, "val/mAP": 0.5, "val/<b>$x$": 1.0}])
    assert "<b>$x$" in texts(svg)
    assert "<b>" not in svg
