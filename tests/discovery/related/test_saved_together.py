"""Which items are saved together, by hand."""

from pathlib import Path

import numpy as np
import pytest

from dqh.discovery.related import saved_together
from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.saved_together import groups_of, together_of


def test_boards_and_sessions(tmp_path: Path) -> None:
    """u saves a, b to a board, days apart; c, d within half an hour, and e after it; v has a board of that name too."""
    lines = ["u,a,save,0,x", "u,b,save,900000,x", "u,c,save,10,", "u,d,save,1800,", "u,e,save,3600,", "v,a,save,1,x"]
    (tmp_path / "log.csv").write_text("user,item,action,time,board\n" + "\n".join(lines) + "\nu,a,save,5,x\n")
    log = read_action_log(tmp_path / "log.csv")
    groups, items = groups_of(log)
    made = {frozenset(log.names[item] for item in items[groups == group]) for group in np.unique(groups)}
    assert sorted(map(sorted, made)) == [["a"], ["a", "b"], ["c", "d"], ["e"]]
    assert len(items) == 6  # a of u once
    _, of_v = groups_of(log, np.array([False, True]))
    assert [log.names[item] for item in of_v] == ["a"]


def test_similarity() -> None:
    """Groups {0, 1}, {0, 1}, {0, 2}: 0 and 1 together twice, in 3 and 2 groups: 2 / (√6 + 5)."""
    groups, items = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 2])
    beside = together_of(groups, items, count=4)
    columns, values = beside.row(0)
    assert columns.tolist() == [1, 2]
    assert values[:, 0].tolist() == pytest.approx([2 / (6**0.5 + 5), 1 / (3**0.5 + 5)])
    assert values[:, 1].tolist() == [2, 1]
    assert beside.row(1)[0].tolist() == [0]
    assert len(beside.row(3)[0]) == 0


def test_the_most_alike_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_together, "MOST", 1)
    beside = together_of(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 2, 0, 2, 0, 1]), count=3)
    assert beside.row(0)[0].tolist() == [2]


def test_groups_that_are_too_large_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_together, "LARGEST_GROUP", 2)
    beside = together_of(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), count=3)
    assert beside.row(0)[0].tolist() == [1]
    assert beside.row(0)[1][0].tolist() == pytest.approx([1 / (2 + 5), 1])


def test_no_saves() -> None:
    assert len(together_of(np.empty(0, np.int64), np.empty(0, np.int64), count=2).columns) == 0
