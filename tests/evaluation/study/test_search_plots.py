"""The pictures of a study of searches: their marks are where the numbers are."""

import re
from xml.etree import ElementTree

import pytest

from dqh.evaluation.study.search_plots import _side_by_side, growth_plot, memory_plot, time_plot
from tests.evaluation.study.test_search_result import ROWS, row

LARGE = [*ROWS[2:], row(900, "coarse_to_fine", 0.9, 1.0, codes="itq", bytes_per_item=66, scanned_bytes_per_item=2)]
PICTURES = {
    "time": time_plot(LARGE, metric="recall@10", batch=30, title="recall@10 against time", about="shoes & boots"),
    "memory": memory_plot(LARGE, metric="recall@10", title="recall@10 against memory", about="shoes & boots"),
    "growth": growth_plot(ROWS, metric="recall@10", target=0.9, vector_bytes=64, about="shoes & boots"),
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES.keys())
def test_a_picture_is_a_document_in_either_light_with_all_methods_named(picture: str) -> None:
    ElementTree.fromstring(picture)
    assert "prefers-color-scheme:dark" in picture
    assert (
        not set(re.findall(r"var\(--(series-\d+)", picture))
        - set(re.findall(r"--(series-\d+):", picture))
        - {
            *("series-1", "series-2", "series-3")  # as in the report, whose colours for light paper these are anyway
        }
    )
    for name in ("exhaustive", "ivf_flat", "hnsw", "codes, itq"):
        assert f">{name}</text>" in picture
    assert ">shoes &amp; boots</text>" in picture


def test_the_same_numbers_give_the_same_picture() -> None:
    again = memory_plot(LARGE, metric="recall@10", title="recall@10 against memory", about="shoes & boots")
    assert again == PICTURES["memory"]


def test_both_times_and_both_theories_are_there() -> None:
    assert ">one query alone</text>" in PICTURES["time"]
    assert ">30 queries together</text>" in PICTURES["time"]
    assert ">N·D</text>" in PICTURES["growth"]
    assert ">√N·D</text>" in PICTURES["growth"]


def test_more_hollow_marks_where_less_is_reached() -> None:
    """ROWS have three below .9 at 900 items, of ivf_flat and hnsw, one of codes; in two panels each."""

    def hollow(target: float) -> int:
        picture = growth_plot(ROWS, metric="recall@10", target=target, vector_bytes=64)
        return len(re.findall(r"<use[^>]*style=\"fill: var\(--paper, #fff\); stroke: var\(--series", picture))

    assert hollow(0.2) == 0
    assert hollow(0.9) == 2 * 4


def test_methods_of_nearly_equal_bytes_stand_side_by_side_around_their_middle() -> None:
    places = _side_by_side({"a": 512, "b": 520, "c": 8, "d": 520, "e": 784})
    assert (places["c"], places["e"]) == (8, 784)
    assert places["a"] < places["b"] < places["d"]
    assert (places["a"] * places["b"] * places["d"]) ** (1 / 3) == pytest.approx((512 * 520 * 520) ** (1 / 3))
    assert places["b"] / places["a"] == pytest.approx(places["d"] / places["b"])
