"""What is learnt from: every show once, features by the counts of other users alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.discovery.related import lessons as module
from dqh.discovery.related.action_log import UNKNOWN, ActionLog, read_action_log
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.impressions import impressions_of
from dqh.discovery.related.lessons import Lessons, lessons_of
from tests.discovery.related.conftest import Shop

EXAMINATION = Examination(1.0, None, "")


def alike(query: int, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([candidates * 1.0, np.full(len(candidates), query)], axis=1)


@pytest.fixture(scope="module")
def log(shop: Shop) -> ActionLog:
    return read_action_log(shop.log)


@pytest.fixture(scope="module")
def lessons(log: ActionLog) -> Lessons:
    return lessons_of(log, impressions_of(log), EXAMINATION, looks=alike)


def test_every_show_is_there_once(log: ActionLog, lessons: Lessons) -> None:
    shows = impressions_of(log)
    ours = Counter(
        zip(lessons.queries[lessons.rows], lessons.items[lessons.rows], lessons.positions, lessons.saved, strict=True)
    )
    assert ours == Counter(zip(shows.queries, shows.items, shows.positions, shows.saved, strict=True))


def test_lists_are_as_they_were_shown(lessons: Lessons, shop: Shop) -> None:
    width = shop.simulation.candidates.shape[1]
    assert len(lessons.lists) == width * (lessons.lists[-1] + 1)
    assert (np.diff(lessons.lists) >= 0).all()
    assert lessons.positions.reshape(-1, width).tolist() == [list(range(1, width + 1))] * (len(lessons.lists) // width)
    assert (np.diff(lessons.queries[lessons.rows].reshape(-1, width)) == 0).all()


def test_saves_and_views_are_of_the_shows(lessons: Lessons) -> None:
    count = len(lessons.queries)
    np.testing.assert_allclose(lessons.saves, np.bincount(lessons.rows, lessons.saved, count))
    np.testing.assert_allclose(lessons.views, np.bincount(lessons.rows, 1 / lessons.positions, count))
    np.testing.assert_allclose(lessons.squares, np.bincount(lessons.rows, 1 / lessons.positions**2, count))
    assert (np.diff(lessons.groups) >= 0).all()
    assert all(len(set(lessons.queries[lessons.groups == group])) == 1 for group in range(20))


def test_looks_stand_first(lessons: Lessons) -> None:
    np.testing.assert_array_equal(lessons.features[:, 0], lessons.items)
    np.testing.assert_array_equal(lessons.features[:, 1], lessons.queries)
    assert lessons.features.shape[1] == 2 + 4


def test_nobody_is_explained_by_himself(tmp_path: Path) -> None:
    """Only user 0 saves, and only b beside a: whoever learns from him does not know of it, the others do."""
    lines = [f"u{user},{item},show,{user},a,1" for user in range(8) for item in "bc"] + ["u0,b,save,99,a,"]
    (tmp_path / "log.csv").write_text("user,item,action,time,query,position\n" + "\n".join(lines) + "\n")
    log = read_action_log(tmp_path / "log.csv")
    seen = lessons_of(log, impressions_of(log), EXAMINATION, looks=alike, folds=2)
    boards = seen.features[:, 4]
    is_b = np.array([log.names[item] == "b" for item in seen.items])
    assert boards[is_b & (seen.saves > 0)].tolist() == [0]
    assert boards[is_b & (seen.saves == 0)].tolist() == [pytest.approx(np.log(2))]


def test_some_queries(lessons: Lessons) -> None:
    chosen = np.zeros(80, np.bool_)
    chosen[[3, 7]] = True
    few = lessons.of_queries(chosen)
    assert set(few.queries) == {3, 7}
    assert few.saved.sum() == few.saves.sum() == lessons.saves[np.isin(lessons.queries, [3, 7])].sum()
    np.testing.assert_allclose(few.saves, np.bincount(few.rows, few.saved, len(few.queries)))


def test_of_many_pairs_whole_queries_are_drawn(log: ActionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAIRS", 100)
    few = lessons_of(log, impressions_of(log), EXAMINATION, looks=alike)
    pairs = np.unique(few.queries * 80 + few.items)
    assert 50 <= len(pairs) <= 100
    assert all(np.sum(pairs // 80 == query) == 8 for query in np.unique(pairs // 80))


def test_shows_beside_nothing_are_no_lists(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,action,time,query\nu,a,show,1,q\nv,b,show,1,\nw,b,show,2,q\n")
    log = read_action_log(tmp_path / "log.csv")
    assert (impressions_of(log).queries == UNKNOWN).sum() == 1
    assert len(lessons_of(log, impressions_of(log), EXAMINATION, looks=alike).saved) == 2
