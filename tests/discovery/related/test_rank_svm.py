"""RankSVM: what it learns, that it does not learn where things were shown, and its arithmetic."""

import numpy as np
import pytest

from dqh.discovery.related.rank_svm import RankSVM, fit_rank_svm
from tests.discovery.related.listed import made


def test_scores() -> None:
    """(3 − 1) / 2 · 10 + (5 − 5) / 1 · 7 = 10."""
    svm = RankSVM(np.array([1.0, 5.0]), np.array([2.0, 1.0]), np.array([10.0, 7.0]))
    assert svm.scores(np.array([[3.0, 5.0]])).tolist() == [10.0]


def test_it_learns_what_is_liked_and_not_what_was_shown_first() -> None:
    """The order shown follows the second feature; raw saves reward it, saves over expected views do not."""
    lessons = made(queries=1500)
    several = lessons._replace(saves=lessons.saves, views=lessons.views)
    corrected = fit_rank_svm(several, target=lessons.saves / lessons.views)
    raw = fit_rank_svm(several, target=lessons.saves)
    assert abs(corrected.weights[1]) < 0.15 * corrected.weights[0]
    assert raw.weights[1] > 0.5 * raw.weights[0]


def test_the_usual_target_is_drawn_to_the_mean() -> None:
    lessons = made(queries=600)
    twice = lessons._replace(
        saves=lessons.saves * 5, views=lessons.views * 5, squares=lessons.views**2 * 5
    )  # five shows in one place each
    fitted = fit_rank_svm(twice)
    assert fitted.weights[0] > 0
    assert abs(fitted.weights[1]) < 0.3 * fitted.weights[0]


def test_the_same_seed_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    lessons = made(queries=60)
    monkeypatch.setattr("dqh.discovery.related.rank_svm.MOST_COMPARISONS", 500)
    one, again, other = (fit_rank_svm(lessons, target=lessons.saves, seed=seed) for seed in (1, 1, 2))
    assert one.weights.tolist() == again.weights.tolist() != other.weights.tolist()


def test_a_feature_that_is_the_same_of_all_says_nothing() -> None:
    lessons = made(queries=60)
    level = lessons._replace(features=np.c_[lessons.features, np.full(len(lessons.saves), 1e9)])
    assert fit_rank_svm(level, target=lessons.saves).weights[2] == 0


def test_nothing_differs() -> None:
    lessons = made(queries=5)
    with pytest.raises(ValueError, match="no two candidates of any query differ"):
        fit_rank_svm(lessons._replace(saves=np.zeros(50)))
