import math

import numpy as np
import pytest

from dqh.evaluation.table import (
    caption,
    columns_of,
    finite,
    format_cell,
    format_value,
    has,
    render,
    significant,
)

ROWS = [
    {"search": "binary", "mAP@all": 0.97912, "query_ms": 0.01417, "qps": 310422.2, "bytes_per_item": 6},
    {"search": "exhaustive", "mAP@all": 1.0, "query_ms": 12.0, "qps": None, "bytes_per_item": 16384},
    {"search": "coarse_to_fine", "mAP@all": float("nan"), "query_ms": 1234.5},
]


def test_numbers_stand_to_the_right_names_to_the_left_and_what_is_missing_is_a_dash():
    expected = (
        "search          mAP@all  query_ms      qps  bytes_per_item\n"
        "--------------  -------  --------  -------  --------------\n"
        "binary           0.9791    0.0142  310,422               6\n"
        "exhaustive       1.0000      12.0        –          16,384\n"
        "coarse_to_fine        –     1,230        –               –"
    )
    assert render(ROWS) == expected


def test_chosen_columns_keep_their_order_and_a_wide_value_widens_its_column():
    rows = [{"search": "pq", "note": "a long remark", "P@1": 0.5}]
    assert render(rows, ["P@1", "search", "note"]) == (
        "   P@1  search           note\n"  # numbers and texts other than the search stand to the right
        "------  ------  -------------\n"
        "0.5000  pq      a long remark"
    )


def test_the_protocol_becomes_the_last_line():
    lines = render(ROWS, protocol={"data": "digits", "query": 360}).split("\n")
    assert lines[-2:] == ["", "data digits · 360 queries"]


def test_no_rows_give_no_columns():
    assert render([]).strip() == ""


def test_by_default_recall_and_unknown_keys_stay_out_of_the_printed_table():
    rows = [{"search": "binary", "recall@10": 0.1, "precision@r2": 0.2, "extra": 3, "P@10": 0.3, "candidates": 7}]
    assert render(rows).split("\n")[0].split() == ["search", "P@10", "candidates"]


def test_columns_come_search_first_then_quality_then_costs_then_the_rest():
    rows = [{"recall@10": 1, "bytes_per_item": 6, "P@10": 1, "mAP@all": 1}, {"search": "x", "query_ms": 1, "mAP@5": 1}]
    assert columns_of(rows) == ["search", "P@10", "mAP@all", "mAP@5", "query_ms", "bytes_per_item", "recall@10"]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("mAP@all", 0.98336, "0.9834"),
        ("P@10", np.float32(0.5), "0.5000"),
        ("recall@10", 1, "1.0000"),
        ("precision@r2", None, "–"),
        ("query_ms", 0.0, "0"),
        ("query_ms", 9.996, "10.0"),
        ("qps", 1234567.8, "1,234,568"),
        ("bytes_per_item", 6.0, "6"),
        ("bytes_per_item", 6.5, "6.5"),
        ("candidates", np.int64(59000), "59,000"),
        ("candidates", 1034.25, "1,034"),
        ("qps", math.inf, "∞"),
        ("search", "binary", "binary"),
        ("mAP@all", "n/a", "n/a"),
        ("other", 0.123456, "0.1235"),
    ],
)
def test_each_column_has_its_format(column, value, text):
    assert format_cell(column, value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (np.float32("nan"), "–"),
        (-math.inf, "-∞"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (1437, "1,437"),
        (58.1234, "58.12"),
        (9043.21, "9,043"),
        (0.00005, "5e-05"),
        ("min(k, relevant)", "min(k, relevant)"),
        ([1, 10, 1000], "1, 10, 1,000"),
        ({"m": 1000, "size": None}, "m 1,000, size –"),
        ([], "–"),
        ({}, "–"),
    ],
)
def test_any_json_value_has_a_short_text(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        ("0.25", 0.25),
        ("", None),
        ("nan", None),
        (None, None),
        (True, None),
        (np.bool_(True), None),
        (math.inf, None),
        (10**400, None),
        ([1], None),
    ],
)
def test_finite_numbers_pass_and_the_rest_is_none(value, number):
    assert finite(value) == number


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [(0.000123456, 3, "0.000123"), (99.96, 3, "100"), (-0.05, 2, "-0.050"), (123456.0, 3, "123,000"), (34.2, 2, "34")],
)
def test_significant_digits_never_turn_into_exponents(number, digits, text):
    assert significant(number, digits) == text


def test_the_caption_names_what_the_protocol_has_and_nothing_else():
    protocol = {
        "data": "cifar10",
        "split": "full",
        "seed": 3,
        "query": 10000,
        "database": 50000,
        "convention": "default",
        "normaliser": "min(k, relevant)",
        "ties": "expected",
        "zero_hits": "count 0",
        "pool": None,
    }
    assert caption(protocol) == (
        "data cifar10 · split full · 10,000 queries · 50,000 database items · convention default · "
        "normaliser min(k, relevant) · ties expected · zero hits count 0"
    )
    assert caption(protocol, settings=("seed",)).endswith("50,000 database items · seed 3")
    assert caption({}) == ""


def test_has_sees_through_none_and_nan():
    values = {"a": None, "b": float("nan"), "c": 0, "d": ""}
    assert [has(values, name) for name in "abcde"] == [False, False, True, True, False]
