import html
import re

import pytest

from dqh.evaluation.report.rows import (
    MEANINGS,
    differences_content,
    interval_of,
    main_metric,
    meaning_of,
    numbers_table,
    rows_content,
    unseen_content,
)
from dqh.evaluation.report.table import COMPARED, level_of
from dqh.index.ways import WAYS

EVIL = "<script>"
PROTOCOL = {"data": "digits", "query": 300, "database": 1497, "ties": "expected"}
ROWS = [
    {"search": "untrained", "mAP@all": 0.68, "bytes_per_item": 256},
    {"search": "binary", "mAP@all": 0.99, "P@10": 0.95, "query_ms": 0.01, "bytes_per_item": 6, "recall@100": 0.5},
    {"search": "exhaustive", "mAP@all": 0.97, "P@10": 0.95, "bytes_per_item": 256, "recall@100": 0.25},
    {"search": "without_h", "mAP@all": 0.98, "accuracy": 0.9967},
]
INTERVALS = {
    "metric": "mAP@all",
    "level": 0.95,
    "resamples": 2000,
    "rows": [{"search": "binary", "value": 0.99, "low": 0.98, "high": 0.995}],
    "pairs": [
        {"search": "binary", "against": "untrained", "value": 0.31, "low": 0.29, "high": 0.33},
        {"search": "binary", "against": "exhaustive", "value": 0.02, "low": -0.01, "high": 0.05},
        {"search": "binary", "against": "without_h", "value": -0.02, "low": -0.03, "high": -0.01},
    ],
}
METRICS = {
    "protocol": PROTOCOL,
    "rows": ROWS,
    "intervals": INTERVALS,
    "missing": {"untrained_h": "there is no untrained/"},
    "curves": {"exhaustive": {}, "binary": {}},
}


def lines(chart):
    """Texts of each line of an interval chart: name, meaning, value, span."""
    found = re.findall(r"<li[^>]*>(.*?)</li>", chart)
    return [[html.unescape(text) for text in re.sub(r"<[^>]*>", "\n", line).split("\n") if text] for line in found]


def cells(table):
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", table)]


def test_searches_come_first_and_rows_for_comparison_apart_each_with_its_meaning_and_interval():
    assert lines(rows_content(METRICS)) == [
        ["Searches with the trained network"],
        ["binary", meaning_of("binary"), "0.9900", "[0.9800, 0.9950]"],
        ["exhaustive", meaning_of("exhaustive"), "0.9700"],
        ["Rows that keep us honest"],
        ["untrained", meaning_of("untrained"), "0.6800"],
        ["without_h", meaning_of("without_h"), "0.9800"],
        ["untrained_h", "there is no untrained/", "not made"],
    ]


def test_every_search_and_every_reference_row_has_a_meaning():
    assert set(MEANINGS) == set(COMPARED)
    assert all(meaning_of(name).endswith((".", "?")) for name in (*WAYS, *COMPARED))


def test_the_caption_says_metric_interval_protocol_and_n():
    legend = re.search(r"<figcaption>(.*?)</figcaption>", rows_content(METRICS))[1]
    assert legend == (
        "mAP@all, the higher the better; bars and brackets: 95 % interval over queries, 2,000 bootstrap resamples."
        "<small>data digits · 300 queries · 1,497 database items · ties expected</small>"
    )


def test_dots_have_the_colours_of_the_curves_and_rows_for_comparison_are_hollow():
    content = rows_content(METRICS)
    colours = re.findall(r'<li class="(own|apart)"(?: style="--colour: var\(--series-(\d)\)")?>', content)
    assert colours == [("own", "2"), ("own", "1"), ("apart", ""), ("apart", ""), ("apart", "")]
    swatches = re.findall(r'class="swatch" style="--colour: var\(--series-(\d)\)"></span>(\w+)', content)
    assert swatches[:2] == [("2", "binary"), ("1", "exhaustive")]


def test_differences_have_their_interval_and_a_verdict():
    content = differences_content(METRICS)
    assert [line[0] for line in lines(content)] == ["binary − untrained", "binary − exhaustive", "binary − without_h"]
    assert [line[2:] for line in lines(content)] == [
        ["+0.3100", "[+0.2900, +0.3300]", "binary is better"],
        ["+0.0200", "[−0.0100, +0.0500]", "no clear difference"],
        ["−0.0200", "[−0.0300, −0.0100]", "without_h is better"],
    ]
    assert "the same queries for both rows" in content


def test_too_few_queries_have_neither_bar_nor_verdict():
    rows = [{"search": "binary", "value": 0.75, "low": None, "high": None}]
    pairs = [{"search": "binary", "against": "untrained", "value": 0.5, "low": None, "high": None}]
    metrics = METRICS | {"intervals": INTERVALS | {"rows": rows, "pairs": pairs, "least": 10}}
    for content in (rows_content(metrics), differences_content(metrics)):
        assert "no 95 % interval of fewer than 10 queries" in content
        assert "[" not in content
        assert "no clear difference" not in content


def test_rounding_noise_is_no_verdict():
    pairs = [{"search": "coarse_to_fine", "against": "binary", "value": 2e-19, "low": 1e-19, "high": 3e-19}]
    content = differences_content(METRICS | {"intervals": INTERVALS | {"pairs": pairs}})
    assert lines(content)[0][2:] == ["0.0000", "[0.0000, 0.0000]", "no clear difference"]


def test_product_quantized_codes_are_compared_by_their_own_main_row():
    others = ("sqd_l2", "embedding_l2", "itq", "opq_embedding", "unheard_of")
    pairs = [{"search": "coarse_to_fine", "against": "aqd_l2"}, {"search": "coarse_to_fine", "against": "exhaustive"}]
    pairs += [{"search": "aqd_l2", "against": other} for other in others]
    content = {"protocol": PROTOCOL | {"main": "aqd_l2"}, "rows": [{"search": "exhaustive"}]}
    intervals = INTERVALS | {"pairs": [pair | {"value": 0.1} for pair in pairs]}
    found = lines(differences_content(content | {"intervals": intervals}))
    assert [line[1] for line in found] == [
        "what re-ranking by features adds to the codes",
        "what it loses or gains by looking at candidates only",
        "what a query in floats brings",
        "what quantization costs or brings",
        "learned codes against those of a shallow method on the same features",
        "codebooks of the network against some fitted afterwards",
        "+0.1000",
    ]


def test_baselines_have_a_group_of_their_own_with_what_could_not_be_fitted():
    rows = [{"search": "itq", "mAP@all": 0.4}, *ROWS]
    content = METRICS | {"rows": rows, "missing": {"untrained_h": "no folder", "lsh": "it could not be fitted"}}
    found = lines(rows_content(content))
    assert [line[0] for line in found[-6:]] == [
        *("untrained", "without_h", "untrained_h"),
        *("Codes of as many bits, fitted after the fact", "itq", "lsh"),
    ]
    assert found[-1] == ["lsh", "it could not be fitted", "not made"]
    table = re.search(r"<table.*?</table>", numbers_table(rows, PROTOCOL), re.DOTALL)[0]
    assert cells(table)[-8:-5] == ["Codes of as many bits, fitted after the fact", "", "itq"]


@pytest.mark.parametrize("intervals", [None, {}, {"pairs": []}, {"pairs": None, "rows": "nothing"}])
def test_without_intervals_values_stay_and_differences_are_left_out(intervals):
    content = METRICS | {"intervals": intervals}
    assert differences_content(content) == ""
    assert ["binary", meaning_of("binary"), "0.9900"] in lines(rows_content(content))
    assert "bars and brackets" not in rows_content(content)


def test_the_main_metric_is_that_of_the_intervals_else_the_first_map():
    rows = [{"search": "binary", "P@1": 1.0, "mAP@10": 0.5, "mAP@all": 0.4}]
    assert main_metric({"rows": rows}) == "mAP@10"
    assert main_metric({"rows": rows, "intervals": {"metric": "mAP@all"}}) == "mAP@all"
    assert main_metric({"rows": rows, "intervals": {"metric": "mAP@5"}}) == "mAP@10"
    assert main_metric({"rows": [{"search": "binary"}]}) is None


def test_intervals_by_search():
    assert interval_of(METRICS, "binary") == (0.98, 0.995)
    assert interval_of(METRICS, "exhaustive") is None
    assert level_of(METRICS["intervals"]) == "95 %"
    assert level_of({}) == ""


def test_all_numbers_stand_in_two_groups_and_further_columns_are_folded_away():
    table, more = re.findall(r"<table.*?</table>", numbers_table(ROWS, PROTOCOL), re.DOTALL)
    assert cells(table) == [
        *("search", "mAP@all", "P@10", "accuracy", "ms / query", "bytes / item"),
        *("binary", "0.9900", "0.9500", "–", "0.0100", "6"),
        *("exhaustive", "0.9700", "0.9500", "–", "–", "256"),
        *("Rows that keep us honest", ""),
        *("untrained", "0.6800", "–", "–", "–", "256"),
        *("without_h", "0.9800", "–", "0.9967", "–", "–"),
    ]
    assert cells(more)[:4] == ["search", "recall@100", "binary", "0.5000"]
    assert re.findall(r'<td class="best">([^<]*)', table) == ["0.9900"], "P@10 is a draw, one accuracy is no contest"


def test_without_rows_for_comparison_there_is_one_group_and_nothing_folded():
    content = numbers_table([{"search": "binary", "mAP@all": 0.5}], PROTOCOL)
    assert content.count("<tbody") == 1
    assert "<details" not in content


def test_no_rows_is_said():
    assert "No way of searching was evaluated." in rows_content({})


def test_unseen_classes_have_their_own_table_with_their_own_n():
    unseen = {"classes": ["shorts", "<skirt>"], "query": 12, "database": 34, "rows": ROWS[:2]}
    content = unseen_content(METRICS | {"unseen": unseen})
    assert "(shorts, &lt;skirt&gt;)" in content
    assert "data digits · 12 queries · 34 database items · ties expected" in content
    assert cells(content)[:3] == ["search", "mAP@all", "P@10"]
    assert 'aria-label="Numbers, unseen classes"' in content
    assert lines(content) == []  # runs of before have no intervals of these


def test_differences_of_unseen_classes_stand_beside_their_table():
    pairs = [{"search": "binary", "against": "itq", "value": -0.1, "low": -0.2, "high": -0.05}]
    unseen = {"rows": ROWS[:2], "query": 12, "database": 34, "intervals": INTERVALS | {"pairs": pairs}}
    content = unseen_content(METRICS | {"unseen": unseen})
    assert lines(content)[0][0] == "binary − itq"
    assert lines(content)[0][2:] == ["−0.1000", "[−0.2000, −0.0500]", "itq is better"]
    assert content.count("12 queries · 34 database items") == 2


@pytest.mark.parametrize("unseen", [None, {}, {"classes": ["a"], "rows": []}])
def test_without_unseen_classes_there_is_no_such_table(unseen):
    assert unseen_content({"unseen": unseen}) == ""


def test_what_comes_from_outside_is_escaped():
    pairs = [{"search": EVIL, "against": EVIL, "value": 0.1, "low": 0.05, "high": 0.2}]
    metrics = {
        "protocol": {"data": EVIL, "ties": EVIL},
        "rows": [{"search": EVIL, "mAP@all": 0.5, EVIL: EVIL}],
        "intervals": {"metric": EVIL, "level": EVIL, "resamples": EVIL, "pairs": pairs},
        "missing": {EVIL: EVIL},
        "unseen": {"classes": [EVIL], "rows": [{"search": EVIL}]},
    }
    for content in (rows_content(metrics), differences_content(metrics), unseen_content(metrics)):
        assert EVIL not in content
        assert "&lt;script&gt;" in content


def test_precision_beyond_the_relevant_items_is_never_bold_and_folded_away():
    """32 relevant items at most: P@500 only divides the same hits by more."""
    rows = [{"search": "binary", "P@10": 0.5, "P@500": 0.06}, {"search": "exhaustive", "P@10": 0.4, "P@500": 0.05}]
    limits = {"relevant": {"most": 32}, "best": {"P@10": 1.0, "P@500": 0.064}}
    table = numbers_table(rows, PROTOCOL, limits=limits)
    shown, _, folded = table.partition("More columns")
    assert ("P@500" in shown, "P@500" in folded) == (False, True)
    assert (shown.count('class="best"'), folded.count('class="best"')) == (1, 0)


def test_a_query_without_relevant_items_is_told_of_with_the_ceiling():
    limits = {
        "queries": 150,
        "without_relevant": 56,
        "best": {"mAP@all": 94 / 150},
        "worst": {"mAP@all": 0.1},
        "relevant": {"most": 40},
    }
    content = rows_content({**METRICS, "limits": limits})
    assert "at most 0.6267: 56 queries have no relevant item" in content
    assert "56 of 150 queries have no relevant item and count 0: a perfect ranking scores mAP@all 0.6267." in content


def test_rows_of_some_queries_say_so_and_are_never_bold():
    """`untrained` of 100 queries is above all others, which are of 300."""
    untrained = {"search": "untrained", "mAP@all": 0.995, "candidates": 500, "queries": 100}
    subset = {"searches": ["untrained"], "query": 100, "database": 500, "rows": [{"search": "binary", "mAP@all": 0.9}]}
    pairs = [INTERVALS["pairs"][0] | {"queries": 100}]
    metrics = METRICS | {"rows": [untrained, *ROWS[1:]], "subset": subset, "intervals": INTERVALS | {"pairs": pairs}}
    content = rows_content(metrics)
    assert re.findall(r'<td class="best">(.*?)</td>', numbers_table(metrics["rows"], PROTOCOL))[0] == "0.9900"
    assert "what training has to improve on. On 100 queries and 500 database items only." in content
    assert (
        "Untrained: 100 of 300 queries and 500 of 1,497 database items (search.untrained_images=null takes all), where "
        "binary has mAP@all 0.9000."
    ) in content
    assert lines(differences_content(metrics))[0][:2] == [
        "binary − untrained",
        "what training brings, on 100 queries only",
    ]
