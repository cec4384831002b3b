"""What the labels alone say of the scores: hand-worked, and against rankings that are perfect or hopeless."""

import numpy as np
import pytest

from dqh.evaluation.limits import limits, relevant_first, relevant_last
from dqh.evaluation.metrics import average_precision
from dqh.evaluation.retrieval import Retrieval

DATABASE = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=bool)
QUERY = np.array([[1, 0], [0, 1], [0, 0]], dtype=bool)


def test_a_query_without_labels_lowers_the_ceiling() -> None:
    """Relevant items: 2, 1 and 0 of 4. Perfect: AP 1, 1, 0: 2/3; P@2 (1 + 1/2 + 0) / 3 = 1/2; recall@1 (1/2 + 1) / 3.

    Relevant last: the first finds them at ranks 3 and 4, (1/3 + 2/4) / 2 = 5/12; the second at rank 4: 1/4. Mean 2/9.
    """
    retrieval = Retrieval(map_cutoffs=(None,), precision_cutoffs=(2,), recall_cutoffs=(1,))
    found = limits(QUERY, DATABASE, tally=retrieval.tally)
    assert {name: found[name] for name in ("queries", "without_relevant", "all_relevant")} == {
        "queries": 3,
        "without_relevant": 1,
        "all_relevant": 0,
    }
    assert found["relevant"] == {"least": 0, "median": 1.0, "most": 2}
    assert found["best"] == pytest.approx({"mAP@all": 2 / 3, "P@2": 0.5, "recall@1": 0.5})
    assert found["worst"] == pytest.approx({"mAP@all": 2 / 9, "P@2": 0.0, "recall@1": 0.0})
    assert found["precision_at_k"] == {"k": [1.0, 2.0], "precision": pytest.approx([2 / 3, 0.5])}


@pytest.mark.parametrize(
    ("convention", "ceiling"),
    [("default", 2 / 3), ("hashnet", 1.0), ("dlbhc", 2 / 3), ("trec", (1 / 2 + 1) / 3)],
)
def test_the_ceiling_is_of_the_same_convention_and_cutoff(convention: str, ceiling: float) -> None:
    """At k = 1 the first query finds one of two: 1 of min(1, 2), 1 of 1 hit, 1 of 2 relevant."""
    retrieval = Retrieval(map_cutoffs=(1,), convention=convention)
    assert limits(QUERY, DATABASE, tally=retrieval.tally)["best"]["mAP@1"] == pytest.approx(ceiling)


def test_where_everything_is_relevant_floor_and_ceiling_meet() -> None:
    found = limits(np.zeros(5, np.int64), np.zeros(7, np.int64), tally=Retrieval().tally)
    assert found["all_relevant"] == found["queries"] == 5
    assert found["best"]["mAP@all"] == pytest.approx(1) == found["worst"]["mAP@all"]


def test_no_ranking_lies_beyond() -> None:
    """Random rankings of the same queries, each item a bucket of its own."""
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, 40)
    low, high = (float(average_precision(make(counts, 8)).mean()) for make in (relevant_last, relevant_first))
    for _ in range(20):
        order = rng.permuted(np.arange(8) < counts[:, None], axis=1)
        precision = order.cumsum(1) / np.arange(1, 9)
        mean = float(((precision * order).sum(1) / counts.clip(min=1)).mean())
        assert low - 1e-12 <= mean <= high + 1e-12
