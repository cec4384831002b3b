"""Counts of a small log, by hand."""

from pathlib import Path

import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.impressions import impressions_of
from dqh.discovery.related.log_counts import LogCounts, count_all

LINES = """user,item,action,time,query,position
u,b,show,1,a,1
u,b,show,2,a,2
u,b,save,3,a,
v,b,show,4,c,4
v,a,show,5,c,1
v,a,save,6,c,
w,a,save,7,,
"""


@pytest.fixture
def counts(tmp_path: Path) -> LogCounts:
    (tmp_path / "log.csv").write_text(LINES)
    log = read_action_log(tmp_path / "log.csv")
    assert log.names == ("b", "a", "c")
    return count_all(log, impressions_of(log), Examination(1.0, None, ""))


def test_users_count_once(counts: LogCounts) -> None:
    """b: shown to u twice and to v, saved by u; a: shown to v, who saved it; c is nothing but a query."""
    assert counts.shown_to.tolist() == [2, 1, 0]
    assert counts.saved_by.tolist() == [1, 1, 0]
    assert counts.propensity.value[:2].tolist() == [0.5, 1.0]


def test_saves_over_expected_views(counts: LogCounts) -> None:
    """b at places 1, 2 and 4: 1.75 expected views, one save."""
    assert counts.saves.tolist() == [1, 1, 0]
    assert counts.views.tolist() == [1.75, 1, 0]
    assert counts.squares.tolist() == [1.3125, 1, 0]
    assert counts.corrected.value[0] == pytest.approx(1 / 1.75)


def test_pairs_and_boards(counts: LogCounts) -> None:
    columns, values = counts.beside.row(1)
    assert (columns.tolist(), values.tolist()) == ([0], [[1, 1.5, 1.25]])
    assert counts.beside.row(2)[0].tolist() == [0, 1]
    assert counts.boards.tolist() == [1, 2, 0]


def test_an_item_that_was_not_shown_has_the_mean_rate(counts: LogCounts) -> None:
    assert counts.item_rates[2] == counts.prior.mean == pytest.approx(2 / 2.75)
