from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dqh.data import Protocol, prepare
from dqh.data.store import Batch
from dqh.evaluation.gallery import RESULTS, Choice, choose, gallery
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


def test_queries_of_the_same_labels_are_of_one_class() -> None:
    """Labels {A}, {A, B}, {B} in turn, scores from 0 to 11/11: as of three classes."""
    labels = np.array([[True, False], [True, True], [False, True]])[np.arange(12) // 4]
    found = choose(np.arange(12) / 11, labels)
    assert [choice.position for choice in found if choice.group == "best"] == [11, 7, 3]
    assert [choice.position for choice in found if choice.group == "worst"] == [0, 4, 8]
    assert found == choose(np.arange(12) / 11, np.arange(12) // 4)


class Pictures:
    """A store whose picture of a row is full of its number; that of row 3 cannot be read."""

    spec = SimpleNamespace(size=2)

    def batches(self, groups: list[Any], *, size: int) -> Iterator[Batch]:
        for group in groups:
            rows = np.array([row for row in group if row != 3])
            images = torch.from_numpy(rows).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, size, size)
            yield Batch(images, torch.from_numpy(rows))


def shown(labels: Any) -> Any:
    """Queries are rows 0, 1, 2, the database rows 3, 4, 5; query 2 is shown, then query 0."""
    source = SimpleNamespace(ids=np.array(list("abcdef")), labels=np.asarray(labels), class_names=["cat", "dog", "elk"])
    return gallery(
        SimpleNamespace(store=Pictures(), source=source),  # type: ignore[arg-type]
        [Choice(2, "best", 0.75), Choice(0, "worst", 0.5)],
        query_rows=np.arange(3),
        database_rows=np.arange(3, 6),
        answers=Ranking(np.array([[2, 0], [1, -1]]), np.array([[0.25, 1], [0.5, np.inf]], np.float32)),
        metric="mAP@all",
    )


def test_rows_and_answers_in_their_order() -> None:
    grid = shown([0, 1, 2, 1, 0, 2])
    assert [(row.id, row.label, row.group, row.score) for row in grid.rows] == [
        ("c", "elk", "best", 0.75),
        ("a", "cat", "worst", 0.5),
    ]
    answers = [
        [(answer.id, answer.label, answer.distance, answer.relevant) for answer in row.results] for row in grid.rows
    ]
    assert answers == [[("f", "elk", 0.25, True), ("d", "dog", 1.0, False)], [("e", "cat", 0.5, True)]]
    assert [int(row.image[0, 0, 0]) for row in grid.rows] == [2, 0]
    assert int(grid.rows[0].results[0].image[0, 0, 0]) == 5
    assert grid.rows[0].results[1].image is None
    assert (grid.search, grid.unit) == ("coarse_to_fine", "squared L2")


def test_pictures_of_several_labels_are_relevant_where_they_share_one() -> None:
    kinds = {"cat": [True, False, False], "dog": [False, True, False], "both": [True, True, False], "none": [False] * 3}
    grid = shown([kinds[name] for name in ("none", "cat", "both", "cat", "dog", "none")])
    assert [row.label for row in grid.rows] == ["cat, dog", ""]
    answers = [[(answer.label, answer.relevant) for answer in row.results] for row in grid.rows]
    assert answers == [[("", False), ("cat", True)], [("dog", False)]]


def test_a_row_of_a_page_has_ten_answers() -> None:
    assert RESULTS == 10
