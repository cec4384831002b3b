"""Words about what bounds the scores."""

from typing import Any

import pytest

from dqh.evaluation.report.limits import limit_note, limits_text, loss_text


def facts(**values: Any) -> dict[str, Any]:
    return {
        "queries": 150,
        "without_relevant": 0,
        "all_relevant": 0,
        "best": {"mAP@all": 1.0 - 1e-16, "P@10": 1.0, "recall@10": 0.2},
        "worst": {"mAP@all": 0.1, "P@10": 0.0, "recall@10": 0.0},
    } | values


@pytest.mark.parametrize(
    ("limits", "zero_hits", "text"),
    [
        (facts(), "zero", ""),
        ({}, "zero", ""),
        (
            facts(without_relevant=56, best={"mAP@all": 94 / 150, "P@10": 0.4}),
            "zero",
            "56 of 150 queries have no relevant item and count 0: a perfect ranking scores mAP@all 0.6267, P@10 0.4000",
        ),
        (facts(without_relevant=56), "drop", "56 of 150 queries have no relevant item and are left out of mAP"),
        (facts(best={"mAP@all": 1.0, "P@500": 0.064}), "zero", "a perfect ranking scores P@500 0.0640"),
        (
            facts(all_relevant=150, worst={"mAP@all": 1.0}),
            "zero",
            "every item is relevant to 150 of 150 queries: every ranking scores mAP@all 1.0000",
        ),
        (
            facts(without_relevant=150, best={"mAP@all": 0.0}, worst={"mAP@all": 0.0}),
            "zero",
            "150 of 150 queries have no relevant item and count 0: every ranking scores mAP@all 0.0000",
        ),
    ],
)
def test_what_bounds_the_scores_in_one_line(limits: dict[str, Any], zero_hits: str, text: str) -> None:
    assert limits_text(limits, {"zero_hits": zero_hits}) == text


@pytest.mark.parametrize(
    ("limits", "note"),
    [
        (facts(), ""),
        ({}, ""),
        (facts(without_relevant=56, best={"mAP@all": 0.6267}), "at most 0.6267: 56 queries have no relevant item"),
        (facts(best={"mAP@all": 0.5}), "at most 0.5000"),
        (facts(worst={"mAP@all": 1.0}), "the same for every ranking"),
    ],
)
def test_what_bounds_one_metric(limits: dict[str, Any], note: str) -> None:
    assert limit_note(limits, "mAP@all") == note


def test_one_query_is_not_several() -> None:
    limits = {"queries": 3, "without_relevant": 1, "best": {"mAP@all": 0.5}, "worst": {"mAP@all": 0.0}}
    assert limits_text(limits, {}).startswith("1 of 3 queries has no relevant item and counts 0: ")
    assert limits_text(limits, {"zero_hits": "drop"}).startswith("1 of 3 queries has no relevant item and is left out ")
    assert limit_note(limits, "mAP@all") == "at most 0.5000: 1 query has no relevant item"


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ({"value": -0.4525, "low": -0.4892, "high": -0.4129}, True),
        ({"value": -0.01, "low": -0.03, "high": 0.01}, False),
        ({"value": 0.7, "low": 0.6, "high": 0.8}, False),
        ({"value": -0.4, "low": None, "high": None}, False),
    ],
)
def test_codes_that_find_less_than_before_the_training(pair: dict[str, float | None], told: bool) -> None:
    pairs = [{"search": "binary", "against": "exhaustive", "value": -0.5, "low": -0.6, "high": -0.4}]
    pairs.append({"search": "binary", "against": "untrained", **pair})
    text = loss_text({"rows": [{"search": "binary"}], "intervals": {"metric": "mAP@all", "pairs": pairs}})
    assert (
        text.startswith("binary finds less than the features of the network before training: mAP@all −0.4525") == told
    )
    assert bool(text) == told


def test_no_longer_training_is_proposed_for_codes_in_closed_form() -> None:
    pair = {"search": "binary", "against": "untrained", "value": -0.5, "low": -0.6, "high": -0.4}
    metrics = {"rows": [{"search": "binary"}], "intervals": {"metric": "mAP@all", "pairs": [pair]}}
    assert "longer training (trainer.epochs)" in loss_text(metrics | {"training": {"epochs": 3}})
    assert loss_text(metrics | {"training": {"epochs": 0}}).endswith("for more: a trained method, or more bits")
