"""DCG and NDCG: by hand, and as `ir-measures` has them where its gains are 2^g − 1."""

import ir_measures
import numpy as np
import pytest

from dqh.evaluation.graded import dcg, mean_ndcg, ndcg

GAINS = {1: 1, 2: 3, 3: 7, 4: 15}
"""2^g − 1; without them ir-measures takes the grade itself."""


def test_by_hand() -> None:
    """Gains 15, 0, 3 at ranks 1, 2, 3 with discounts 1, 1 / log2 3, 1 / 2: 16.5; the best order has 15 + 3 / log2 3."""
    grades = np.array([4.0, 0.0, 2.0])
    assert dcg(grades, cutoff=3) == pytest.approx(16.5)
    assert ndcg(grades, cutoff=3) == pytest.approx(16.5 / (15 + 3 / np.log2(3)))
    assert ndcg(grades, cutoff=1) == 1.0
    assert ndcg(grades[1:2], grades, cutoff=3) == 0.0
    assert ndcg(np.zeros(3), cutoff=3) == 0.0


def test_several_rankings_at_once() -> None:
    grades = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert dcg(grades, cutoff=5).tolist() == pytest.approx([1.0, 1 / np.log2(3)])


@pytest.mark.parametrize("cutoff", [1, 3, 10, 30])
def test_as_ir_measures_has_it(cutoff: int) -> None:
    generator = np.random.default_rng(0)
    qrels, run, scores, grades = [], [], [], []
    for query in range(20):
        grade, score = generator.integers(0, 5, 24), generator.permutation(24).astype(float)
        grades.append(grade.astype(float))
        scores.append(score)
        qrels += [ir_measures.Qrel(str(query), str(item), int(value)) for item, value in enumerate(grade)]
        run += [ir_measures.ScoredDoc(str(query), str(item), float(value)) for item, value in enumerate(score)]
    measure = ir_measures.nDCG(gains=GAINS) @ cutoff
    theirs = {row.query_id: row.value for row in ir_measures.iter_calc([measure], qrels, run)}
    for query in range(20):
        ours = ndcg(grades[query][np.argsort(-scores[query])], cutoff=cutoff)
        assert ours == pytest.approx(theirs[str(query)], abs=1e-9)
    assert mean_ndcg(scores, grades, cutoff=cutoff) == pytest.approx(np.mean(list(theirs.values())), abs=1e-9)


def test_the_default_of_ir_measures_is_another_gain() -> None:
    """Grades 1 and 4 in the wrong order: (1 + 15 / log2 3) / (15 + 1 / log2 3) by ours, more by the grade itself."""
    qrels = [ir_measures.Qrel("1", "a", 4), ir_measures.Qrel("1", "b", 1)]
    run = [ir_measures.ScoredDoc("1", "b", 2.0), ir_measures.ScoredDoc("1", "a", 1.0)]
    linear = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)[ir_measures.nDCG @ 10]
    ours = ndcg(np.array([1.0, 4.0]), cutoff=10)
    assert ours == pytest.approx((1 + 15 / np.log2(3)) / (15 + 1 / np.log2(3)))
    assert linear > ours + 0.05


@pytest.mark.parametrize(
    ("grades", "cutoff", "message"),
    [
        ([1.0], 0, "cutoff must be at least 1, got 0"),
        ([-1.0], 1, "grades must be finite and at least 0"),
        ([float("nan")], 1, "grades must be finite and at least 0"),
    ],
)
def test_what_cannot_be(grades: list[float], cutoff: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ndcg(np.array(grades), cutoff=cutoff)
