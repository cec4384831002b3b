"""LambdaMART: what it learns, positions, and texts that are no trees."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.discovery.related.lambda_mart import LambdaMART, fit_lambda_mart, lambda_mart
from dqh.errors import DqhError
from tests.discovery.related.listed import made

SIGNS = (1, 0)


def grid() -> NDArray[np.float64]:
    return np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)), axis=-1).reshape(-1, 2)


@pytest.fixture(scope="module")
def small() -> LambdaMART:
    return fit_lambda_mart(made(queries=60), signs=SIGNS, rounds=5)


@pytest.mark.slow
def test_positions_are_corrected_and_their_regularisation_undoes_it() -> None:
    """The order shown follows the second feature, half by chance, and nobody likes what has more of it.

    How much the scores rise with it, in units of how much they rise with the first one.
    """
    lessons = made(queries=4000, chance=1.0)
    slopes = {}
    for regularisation in (0.0, 1.0, None):
        model = fit_lambda_mart(lessons, signs=SIGNS, regularisation=regularisation, rounds=60)
        scores = model.scores(grid())
        weights = np.linalg.lstsq(np.c_[grid(), np.ones(len(scores))], scores, rcond=None)[0]
        slopes[regularisation] = weights[1] / weights[0]
    assert abs(slopes[0.0]) < 0.5 * abs(slopes[1.0])
    assert abs(slopes[1.0]) <= 1.2 * abs(slopes[None])
    assert slopes[None] > 0.2


def test_it_rises_with_what_is_better(small: LambdaMART) -> None:
    scores = small.scores(grid()).reshape(21, 21)
    assert (np.diff(scores, axis=1) >= 0).all()
    assert np.ptp(scores) > 0


def test_the_text_is_all_of_it(small: LambdaMART) -> None:
    again = lambda_mart(small.text, features=2)
    np.testing.assert_array_equal(again.scores(grid()), small.scores(grid()))
    assert again == small


def test_the_same_seed_gives_the_same(small: LambdaMART) -> None:
    assert fit_lambda_mart(made(queries=60), signs=SIGNS, rounds=5).text == small.text


def test_no_candidates(small: LambdaMART) -> None:
    assert small.scores(np.empty((0, 2))).shape == (0,)


def test_nothing_saved() -> None:
    lessons = made(queries=5)
    with pytest.raises(ValueError, match="nothing that was shown beside a query was saved"):
        fit_lambda_mart(lessons._replace(saved=np.zeros(50, np.bool_)), signs=SIGNS)


def test_unknown_positions_are_not_told() -> None:
    lessons = made(queries=60)
    unknown = lessons._replace(positions=np.zeros_like(lessons.positions))
    untold = fit_lambda_mart(lessons, signs=SIGNS, regularisation=None, rounds=3)
    ours = fit_lambda_mart(unknown, signs=SIGNS, rounds=3)
    np.testing.assert_array_equal(ours.scores(grid()), untold.scores(grid()))


def first(text: str, name: str, change: str) -> str:
    """The text with the first number of a field of its first tree changed."""
    return re.sub(rf"^({name}=)-?[\d.e+-]+", rf"\g<1>{change}", text, count=1, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("left_child", "0"),
        ("left_child", "7000000"),
        ("right_child", "-7000000"),
        ("split_feature", "2"),
        ("split_feature", "-1"),
        ("num_leaves", "900"),
        ("num_leaves", "0"),
        ("num_cat", "1"),
        ("leaf_value", "nan"),
        ("left_child", "1 1"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(small: LambdaMART, field: str, change: str) -> None:
    damaged = first(small.text, field, change)
    assert damaged != small.text
    with pytest.raises(ValueError, match="tree 0 "):
        lambda_mart(damaged, features=2)


@pytest.mark.parametrize("text", ["", "tree\n", "no tree\nTree=0\n", "tree\nnum_class=2\nTree=0\n"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no model of trees with one score"):
        lambda_mart(text, features=2)


def test_of_other_features(small: LambdaMART) -> None:
    with pytest.raises(ValueError, match="it reads 2 features, wanted 3"):
        lambda_mart(small.text, features=3)


def test_without_lightgbm(monkeypatch: pytest.MonkeyPatch, small: LambdaMART) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(DqhError, match="needs the package lightgbm; install it: uv sync --inexact --extra related"):
        lambda_mart(small.text, features=2)
