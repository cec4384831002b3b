import re
from typing import get_args

import pytest

from dqh.evaluation.conventions import CONVENTIONS, Ties
from dqh.evaluation.metrics import Normaliser
from dqh.evaluation.report.conventions import RULES, conventions_content

ROW = {
    "convention": "hashnet",
    "normaliser": "hits",
    "zero_hits": "drop",
    "ties": "order",
    "mAP@all": 0.75,
    "mAP@all_low": 0.7,
    "mAP@all_high": 0.8,
    "mAP@1000": 0.9,
    "mAP@1000_low": None,
    "mAP@1000_high": None,
}


def test_each_convention_has_its_rules_its_value_and_its_tie_bounds_under_each_metric():
    content = conventions_content({"protocol": {"data": "digits", "query": 300}, "conventions": [ROW]})
    charts = re.findall(r"<figure>.*?</figure>", content, flags=re.DOTALL)
    assert len(charts) == 2
    for chart, metric, numbers in zip(
        charts, ("mAP@all", "mAP@1000"), ("0.7500[0.7000, 0.8000]", "0.9000"), strict=True
    ):
        texts = re.findall(r'<span class="(?:name|meaning)">([^<]*)', chart)
        assert texts == [
            "hashnet",
            "divided by the hits within k; queries without a hit are left out; ties in database order",
        ]
        value = re.search(r'<span class="value">(.*?)</span>', chart)[1]
        assert re.sub("<[^>]*>", "", value) == numbers
        assert f"{metric} of the codes alone; brackets" in chart
        assert "<small>data digits · 300 queries</small>" in chart


def test_every_rule_that_a_convention_may_have_has_a_text():
    assert set(RULES["normaliser"]) == set(get_args(Normaliser))
    assert set(RULES["ties"]) == set(get_args(Ties))
    assert set(RULES["zero_hits"]) == {each.zero_hits for each in CONVENTIONS.values()}


@pytest.mark.parametrize("rows", [None, [], [{"convention": "default"}], [{"convention": "x", "mAP@all": None}]])
def test_without_numbers_there_is_nothing(rows):
    assert conventions_content({"conventions": rows}) == ""


def test_texts_are_escaped():
    evil = "<script>"
    row = {"convention": evil, "ties": evil, "normaliser": evil, f"mAP@{evil}": 0.5}
    content = conventions_content({"conventions": [row], "protocol": {"data": evil}})
    assert evil not in content
    assert content.count("&lt;script&gt;") >= 4
