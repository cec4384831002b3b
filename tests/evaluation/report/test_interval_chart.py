import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.evaluation.report.interval_chart import MOST_STEPS, Mark, interval_chart, scale

EVIL = "<script>"


def test_dot_and_bar_stand_at_their_share_of_the_scale():
    """The scale of 0.25 … 0.95 is 0.2 … 1.0: 0.6 is in its middle, 0.4 at a quarter, 0.8 at three quarters."""
    marks = [
        Mark("a", "", 0.6, "0.6", 0.4, 0.8, "[0.4, 0.8]"),
        Mark("b", "", 0.25, "0.25"),
        Mark("c", "", 0.95, "0.95", hollow=True),
    ]
    chart = interval_chart([("", marks)], axis="mAP")
    assert re.findall(r'<b style="left: ([\d.]+)%">', chart) == ["50", "6.25", "93.75"]
    assert re.findall(r'<i style="left: ([\d.]+)%; right: calc\(100% - ([\d.]+)%\)">', chart) == [("25", "75")]
    assert re.findall(r'<span style="left: ([\d.]+)%">([^<]*)', chart) == [
        ("0", "0.2"),
        ("25", "0.4"),
        ("50", "0.6"),
        ("75", "0.8"),
        ("100", "1.0"),
    ]
    assert re.findall(r'<li class="(\w+)"', chart) == ["own", "own", "apart"]


def test_a_scale_of_differences_has_zero_on_it_and_marks_it():
    """From −0.1 to +0.3 in steps of 0.1: zero at a quarter."""
    chart = interval_chart([("", [Mark("a − b", "", 0.25, "+0.25", -0.05, 0.3)])], axis="difference", signed=True)
    assert '<div class="chart signed" style="--origin: 25%">' in chart
    assert re.findall(r'<span style="left: [\d.]+%">([^<]*)', chart) == ["−0.1", "0.0", "+0.1", "+0.2", "+0.3"]


def test_numbers_and_meanings_are_texts_for_a_screen_reader_and_places_are_hidden_from_it():
    chart = interval_chart([("own rows", [Mark("a", "what it is", 0.5, "0.5000", 0.4, 0.6, "[0.4, 0.6]")])], axis="mAP")
    hidden = re.sub(r'<(span|div) class="(bar|axis)" aria-hidden="true">.*?</\1>', "", chart)
    assert re.sub(r"<[^>]*>", "|", hidden).replace("||", "|").count("%") == 0
    for text in ("own rows", "a", "what it is", "0.5000", "[0.4, 0.6]"):
        assert f">{text}<" in hidden


def test_a_mark_without_a_value_keeps_its_line():
    chart = interval_chart([("", [Mark("a", "", 0.5, "0.5"), Mark("b", "no data", None, "not made")])], axis="mAP")
    assert chart.count("<li") == 2
    assert chart.count("<b style=") == 1
    assert ">not made<" in chart


@pytest.mark.parametrize("groups", [[], [("", [])], [("head", [Mark("a", "", None, "–")])]])
def test_without_any_value_there_is_no_chart(groups):
    assert interval_chart(groups, axis="mAP") is None


def test_a_group_without_marks_has_no_heading():
    chart = interval_chart([("one", [Mark("a", "", 0.5, "0.5")]), ("other", [])], axis="mAP")
    assert re.findall(r'<li class="heading">([^<]*)', chart) == ["one"]


def test_interval_and_verdict_have_a_line_each():
    mark = Mark("a − b", "", 0.25, "+0.25", 0.2, 0.3, "[+0.2, +0.3]", "a is better")
    chart = interval_chart([("", [mark])], axis="difference", signed=True)
    assert '<span class="value">+0.25<small>[+0.2, +0.3]</small><small>a is better</small></span>' in chart


def test_a_bar_of_nothing_is_empty_so_that_a_phone_leaves_it_out():
    chart = interval_chart([("", [Mark("a", "", 0.5, "0.5"), Mark("b", "", None, "not made")])], axis="mAP")
    assert re.findall(r'<span class="bar" aria-hidden="true">(.*?)</span>', chart) == ['<b style="left: 50%"></b>', ""]


def test_every_text_is_escaped():
    mark = Mark(EVIL, EVIL, 0.5, EVIL, 0.4, 0.6, EVIL, EVIL)
    chart = interval_chart([(EVIL, [mark])], axis=EVIL)
    assert EVIL not in chart
    assert chart.count("&lt;script&gt;") == 7


@pytest.mark.parametrize(
    ("values", "signed", "expected"),
    [
        ([1.0, 1.0], False, (0.998, 1.0, 0.002)),
        ([0.0], False, (0.0, 0.002, 0.002)),
        ([0.3], False, (0.298, 0.302, 0.002)),
        ([0.0, 1.0], False, (0.0, 1.0, 0.2)),
        ([0.6, 0.97], False, (0.6, 1.0, 0.1)),
        ([0.0, 0.0], True, (-0.002, 0.002, 0.002)),
        ([-1.0, 1.0], True, (-1.0, 1.0, 0.5)),
    ],
)
def test_scales_end_on_whole_steps(values, signed, expected):
    assert scale(values, signed=signed) == expected


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1), st.booleans())
def test_a_scale_holds_all_its_values_in_few_steps(values, signed):
    values = values if signed else [abs(value) for value in values]
    low, high, step = scale(values, signed=signed)
    assert low - 1e-6 <= min(values)
    assert max(values) <= high + 1e-6
    assert 1 <= round((high - low) / step) <= MOST_STEPS
    assert signed or 0 <= low < high <= 1
