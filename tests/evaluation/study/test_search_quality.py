"""What answers are worth, by hand and against nested loops."""

import numpy as np
import pytest

from dqh.evaluation.study import search_quality
from dqh.evaluation.study.search_quality import Truth, answer_map


def test_recall_equals_the_shared_ids_where_no_distances_are_equal() -> None:
    generator = np.random.default_rng(0)
    items, query = generator.standard_normal((90, 4)), generator.standard_normal((12, 4))
    order = np.argsort(np.square(query[:, None] - items).sum(2), axis=1)
    answers = order[:, generator.permutation(90)[:20]]
    truth = Truth(query.astype(np.float32), items.astype(np.float32), order[:, :20], cutoffs=(1, 5, 20))
    wanted = {
        f"recall@{k}": np.mean([len(set(a[:k]) & set(t[:k])) / k for a, t in zip(answers, order, strict=True)])
        for k in (1, 5, 20)
    }
    assert truth.recall(answers) == pytest.approx(wanted)
    assert truth.recall(order[:, :20]) == {"recall@1": 1, "recall@5": 1, "recall@20": 1}


def test_of_items_equally_far_away_any_will_do_and_what_is_missing_is_no_hit() -> None:
    items = np.array([[1], [1], [1], [3]], np.float32)
    truth = Truth(np.zeros((2, 1), np.float32), items, np.array([[0, 1], [0, 1]]), cutoffs=(1, 2))
    assert truth.recall(np.array([[2, 1], [1, -1]])) == {"recall@1": 1, "recall@2": 0.75}
    assert truth.recall(np.array([[3, 2], [-1, -1]])) == {"recall@1": 0, "recall@2": 0.25}


def test_parts_of_the_queries_give_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    items, query = (generator.integers(0, 5, (count, 2)).astype(np.float16) for count in (30, 9))
    order = np.argsort(np.square(query[:, None] - items).sum(2), axis=1)[:, :6]
    answers, labels = generator.integers(0, 30, (9, 6)), generator.integers(0, 3, 30)

    def both() -> tuple[dict[str, float], float]:
        recall = Truth(query, items, order, cutoffs=(1, 3)).recall(answers)
        return recall, answer_map(answers, labels[:9], labels)

    whole = both()
    monkeypatch.setattr(search_quality, "_CHUNK", 12)
    assert both() == whole


def test_average_precision_of_answers_by_hand() -> None:
    """Query 0: hits at ranks 1 and 3 of 3 relevant: (1 + 2/3) / 3. Query 1: none relevant. Query 2: rank 2, of 1: 1/2.

    Query 3: the first answer is missing, the second a hit, of 3 relevant: (1/2) / 3.
    """
    items = np.array([0, 1, 0, 0, 2])
    answers = np.array([[0, 1, 2], [0, 1, 2], [0, 4, 1], [-1, 0, -1]])
    wanted = np.mean([(1 + 2 / 3) / 3, 0, 1 / 2, (1 / 2) / 3])
    assert answer_map(answers, np.array([0, 9, 2, 0]), items) == pytest.approx(wanted)


def test_several_labels_match_where_one_is_shared() -> None:
    items = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1]], bool)
    assert answer_map(np.array([[0, 2, 1]]), np.array([[0, 1, 0]], bool), items) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_as_many_answers_as_items_or_more() -> None:
    items = np.array([1, 1, 0])
    assert answer_map(np.array([[0, 2, 1, -1]]), np.array([1]), items) == pytest.approx((1 + 2 / 3) / 2)
