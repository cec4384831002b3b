import math

import numpy as np
import pytest

from dqh.evaluation.baselines import NAMES
from dqh.evaluation.report.table import (
    BASELINES,
    baselines,
    caption,
    columns_of,
    finite,
    format_cell,
    format_signed,
    format_value,
    has,
    main_search,
    mapping_at,
    records_at,
    references,
    render,
    searches,
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
    assert caption({"query": 9, "unseen_classes": ["cat", "dog"]}) == "9 queries · never trained on cat, dog"
    assert caption({"query": 9, "unseen_classes": list(range(20))}) == "9 queries · 20 classes never trained on"
    assert caption({"query": 9, "unseen_classes": None}) == "9 queries"


def test_has_sees_through_none_and_nan():
    values = {"a": None, "b": float("nan"), "c": 0, "d": ""}
    assert [has(values, name) for name in "abcde"] == [False, False, True, True, False]


def test_rows_for_comparison_stand_last_below_a_line():
    rows = [{"search": "untrained", "mAP@all": 0.5}, *ROWS[:1], {"search": "class_index", "mAP@all": 0.9}]
    assert render(rows, ["search", "mAP@all"]) == (
        "search       mAP@all\n"
        "-----------  -------\n"
        "binary        0.9791\n"
        "-----------  -------\n"
        "untrained     0.5000\n"
        "class_index   0.9000"
    )
    assert [row["search"] for row in searches(rows)] == ["binary"]
    assert [row["search"] for row in references(rows)] == ["untrained", "class_index"]


def test_baselines_stand_below_all_others():
    rows = [{"search": "itq"}, {"search": "aqd_l2"}, {"search": "untrained"}, {"search": "pq_embedding"}]
    assert render(rows, ["search"]).split() == [
        *("search", "-" * 12, "aqd_l2", "-" * 12, "untrained", "-" * 12, "itq", "pq_embedding")
    ]
    assert [row["search"] for row in baselines(rows)] == ["itq", "pq_embedding"]


def test_every_baseline_is_known():
    assert set(BASELINES) == {*NAMES, "pq_embedding", "opq_embedding"}


def test_the_main_row_is_the_one_of_the_protocol_else_the_first_search():
    rows = [{"search": "untrained"}, {"search": "binary"}]
    assert main_search({"protocol": {"main": "aqd_l2"}, "rows": rows}) == "aqd_l2"
    assert main_search({"protocol": {"main": None}, "rows": rows}) == "binary"
    assert main_search({}) == ""


def test_intervals_stand_beside_their_metric_and_differences_and_missing_rows_below():
    intervals = {
        "metric": "mAP@all",
        "level": 0.95,
        "rows": [{"search": "binary", "low": 0.971, "high": 0.9865}, {"search": "exhaustive", "low": None}],
        "pairs": [
            {"search": "binary", "against": "exhaustive", "value": -0.02, "low": -0.03, "high": 0.001},
            {"search": "binary", "against": "pq", "value": None},
        ],
    }
    rows = [{"search": "binary", "mAP@all": 0.98, "accuracy": 0.9, "qps": 1}, {"search": "exhaustive", "mAP@all": 1.0}]
    assert render(rows, intervals=intervals, missing={"without_h": "it was not trained"}, protocol={"data": "x"}) == (
        "search      mAP@all  95 % interval  accuracy  qps\n"
        "----------  -------  -------------  --------  ---\n"
        "binary       0.9800  0.9710–0.9865    0.9000    1\n"
        "exhaustive   1.0000              –         –    –\n"
        "\n"
        "without_h was not made: it was not trained\n"
        "mAP@all of binary − exhaustive  −0.0200  [−0.0300, +0.0010]  (95 % interval)\n"
        "mAP@all of binary − pq          –  –  (95 % interval)\n"
        "\n"
        "data x"
    )


def test_one_is_not_several():
    protocol = {"query": 1, "database": 1, "without_relevant": 1}
    assert caption(protocol) == "1 query · 1 database item · 1 query without a relevant item"
    assert caption(dict.fromkeys(protocol, 2)) == "2 queries · 2 database items · 2 queries without a relevant item"


def test_too_few_queries_have_no_interval_and_a_reason():
    ends = {"low": None, "high": None}
    intervals = {
        "metric": "mAP@all",
        "level": 0.95,
        "least": 10,
        "rows": [{"search": "binary", "value": 0.75} | ends],
        "pairs": [{"search": "binary", "against": "pq", "value": 0.5} | ends],
    }
    assert render([{"search": "binary", "mAP@all": 0.75}], intervals=intervals) == (
        "search  mAP@all  95 % interval\n"
        "------  -------  -------------\n"
        "binary   0.7500              –\n"
        "\n"
        "mAP@all of binary − pq  +0.5000  –  (95 % interval)\n"
        "no 95 % interval of fewer than 10 queries"
    )


def test_a_table_too_wide_leaves_out_the_last_precisions_and_says_so():
    """14 + 20 columns of 2 + 6 characters are 174, 17 of them 150."""
    row = {"search": "coarse_to_fine"} | {f"P@{k:04}": 0.5 for k in range(20)}
    lines = render([row]).split("\n")
    assert lines[0].split() == ["search", *(f"P@{k:04}" for k in range(17))]
    assert len(lines[0]) == 150
    assert lines[-1] == "left out for width: P@0017, P@0018, P@0019"


def test_the_caption_is_broken_between_its_parts():
    lines = render([], protocol={"data": "d" * 100, "split": "s" * 60}).split("\n")
    assert lines[-2:] == [f"data {'d' * 100} ·", f"split {'s' * 60}"]


@pytest.mark.parametrize(("value", "text"), [(0.31, "+0.3100"), (-0.00004, "0.0000"), (0, "0.0000"), (None, "–")])
def test_differences_have_a_sign(value, text):
    assert format_signed(value) == text


@pytest.mark.parametrize("value", [None, "text", 3, [], ["text"]])
def test_what_is_no_mapping_or_list_of_them_is_empty(value):
    assert mapping_at({"name": value}, "name") == {}
    assert records_at({"name": value}, "name") == []
    assert records_at({"name": {"a": 1}}, "name") == []
    assert records_at({"name": [{"a": 1}, 3]}, "name") == [{"a": 1}]


def test_precision_beyond_the_relevant_items_is_no_column_and_is_named():
    text = render([{"search": "binary", "P@10": 0.5, "P@500": 0.06}], remark="a remark", beyond=["P@500", "P@1000"])
    assert text.split("\n")[0].split() == ["search", "P@10"]
    assert text.split("\n\n")[1:] == ["a remark", "left out, as no query has so many relevant items: P@500"]


def test_the_caption_counts_queries_that_no_ranking_can_serve():
    protocol = {"query": 150, "without_relevant": 56, "all_relevant": 2}
    assert caption(protocol) == "150 queries · 56 queries without a relevant item · 2 with every item relevant"
    assert caption({"query": 150, "without_relevant": 0, "all_relevant": 0}) == "150 queries"
