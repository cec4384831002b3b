from pathlib import Path

import numpy as np
import pytest

from dqh.data import Protocol, prepare
from dqh.evaluation.gallery import Choice, choose, gallery
from dqh.inputs import InputSpec
from dqh.ranking import Ranking
from tests.data.memory import Memory


def test_the_best_the_middle_and_the_worst_of_different_classes() -> None:
    """Twelve queries of scores 0, 1/11 … 1 and classes 0, 0, 1, 1 …: each group takes one of each class in its order.

    Best: 11, 9, 7; worst: 0, 2, 4; typical, nearest to the median 1/2 of the others: 5 and 6 (classes 2 and 3, equally
    near), then 3 and 8 (classes 1 and 4).
    """
    found = choose(np.arange(12) / 11, np.arange(12) // 2)
    assert [choice.position for choice in found if choice.group == "best"] == [11, 9, 7]
    assert [choice.position for choice in found if choice.group == "worst"] == [0, 2, 4]
    typical = [choice.position for choice in found if choice.group == "typical"]
    assert (set(typical[:2]), set(typical[2:])) == ({5, 6}, {3, 8})
    assert [choice.group for choice in found] == ["best"] * 3 + ["typical"] * 4 + ["worst"] * 3
    assert all(choice.score == choice.position / 11 for choice in found)


def test_a_perfect_answer_is_not_among_the_worst() -> None:
    """Two queries of one class fail, all others are perfect: the worst are these two, and no third of another class."""
    scores, classes = np.array([1.0, 1.0, 1.0, 1.0, 0.25, 1.0, 1.0, 1.0, 0.5, 1.0]), np.array([0, 1, 2, 3, 4] * 2)
    classes[[4, 8]] = 4
    found = choose(scores, classes)
    assert [choice.position for choice in found if choice.group == "worst"] == [4, 8]
    perfect = choose(np.ones(12), np.arange(12) // 2)
    assert len([choice for choice in perfect if choice.group == "worst"]) == 3


def test_no_query_is_shown_twice_and_few_queries_are_enough() -> None:
    found = choose(np.array([0.2, 0.2, 0.9, 0.5]), np.zeros(4, int))
    assert sorted(choice.position for choice in found) == [0, 1, 2, 3]
    assert [choice.group for choice in found] == ["best"] * 3 + ["worst"]
    several = choose(np.linspace(0, 1, 9), np.eye(9, 3, dtype=bool))
    assert len({choice.position for choice in several}) == len(several) == 9


def test_pictures_labels_and_relevance(tmp_path: Path) -> None:
    source = Memory(np.array([0, 1, 0, 1, 0, 1]), side=(4, 4))
    split = Protocol("counts", query=2, seed=0).draw(source)
    spec = InputSpec(size=4, resize=4)
    data = prepare(source, split, spec, allow_duplicates=True, skipped_file=tmp_path / "skipped.csv")
    rows = data.roles
    answers = Ranking(np.array([[0, 1]]), np.array([[0.5, np.inf]], np.float32))
    grid = gallery(
        data,
        [Choice(1, "worst", 0.25)],
        query_rows=rows.query,
        database_rows=rows.database,
        answers=answers,
        metric="mAP@all",
    )
    (row,) = grid.rows
    query, answer = rows.query[1], rows.database[0]
    assert (row.id, row.label, row.group, row.score) == (f"row/{query}", str(query % 2), "worst", 0.25)
    (result,) = row.results  # what is infinitely far is no answer
    assert (result.id, result.distance, result.relevant) == (f"row/{answer}", 0.5, query % 2 == answer % 2)
    assert result.image is not None
    assert result.image[0, 0, 0] == answer
    assert "mAP@all" in grid.selection


@pytest.mark.parametrize("scores", [np.ones(30), np.zeros(30)])
def test_equal_scores(scores: np.ndarray) -> None:
    assert len({choice.position for choice in choose(scores, np.arange(30) % 3)}) == 10
