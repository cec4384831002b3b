from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dqh.discovery.dot_curve import dot_curve
from dqh.discovery.dot_filter import (
    Cut,
    fit_dot_filter,
    one_signal_filter,
    out_of_fold_worth,
    read_dot_filter,
    threshold_table,
)
from dqh.discovery.dot_signals import SIGNALS
from dqh.discovery.fitted import fitted_bytes
from dqh.errors import ArtifactError, MismatchError

SCORE, AREA = SIGNALS.index("score"), SIGNALS.index("area")


@pytest.fixture(scope="module")
def held_out() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """400 dots on 80 photos: score and area each say half of what is right, the other signals nothing."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, len(SIGNALS)))
    right = values[:, SCORE] + values[:, AREA] + generator.normal(size=400) > 0
    return values, right, generator.integers(0, 80, 400)


def test_a_table_by_hand() -> None:
    """Worths 9, 5, 5, 1 of right, right, wrong, wrong; half of the dots cannot be kept without three of them."""
    worth, right = np.array([5.0, 9, 1, 5]), np.array([False, True, False, True])
    assert threshold_table(worth, right, shares=(1.0, 0.25, 0.5, 0.75)) == (
        Cut(9.0, 0.25, 1.0, 0.5),
        Cut(5.0, 0.75, pytest.approx(2 / 3), 1.0),
        Cut(1.0, 1.0, 0.5, 1.0),
    )
    assert threshold_table(worth, np.zeros(4, bool), shares=(1.0,)) == (Cut(1.0, 1.0, 0.0, 1.0),)


def test_rows_of_a_table_are_what_their_thresholds_keep(held_out: Any) -> None:
    values, right, _ = held_out
    worth = np.round(values[:, SCORE], 1)  # with ties
    for cut, share in zip(threshold_table(worth, right), np.arange(1, 11) / 10, strict=True):
        kept = worth >= cut.threshold
        assert cut == pytest.approx((cut.threshold, kept.mean(), right[kept].mean(), right[kept].sum() / right.sum()))
        assert cut.kept >= share - 1e-12
        assert (worth > cut.threshold).mean() < share


@pytest.mark.parametrize("shares", [(), (0.0,), (0.5, 1.5)])
def test_shares_out_of_range(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares must be some, each above 0 and at most 1"):
        threshold_table(np.array([1.0]), np.array([True]), shares=shares)


def test_one_signal_is_its_own_worth(held_out: Any) -> None:
    values, right, photos = held_out
    alone = one_signal_filter("area", values, right, photos, share=0.3)
    assert alone.worth(values) == pytest.approx(values[:, AREA])
    assert alone.keeps(values).mean() == pytest.approx(0.3)
    assert (alone.dots, alone.photos) == (400, len(np.unique(photos)))
    with pytest.raises(ValueError, match=r"signal must be one of score, nearness, .* got 'size'"):
        one_signal_filter("size", values, right, photos)


def test_the_regression_is_that_of_scikit_learn(held_out: Any) -> None:
    values, right, photos = held_out
    learnt = fit_dot_filter(values, right, photos)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(values, right)
    others = np.random.default_rng(1).normal(size=(50, len(SIGNALS)))
    assert learnt.worth(others) == pytest.approx(model.decision_function(others), abs=1e-6)


def test_several_signals_are_better_than_one(held_out: Any) -> None:
    values, right, photos = held_out
    learnt = out_of_fold_worth(values, right, photos)
    assert dot_curve(learnt, right).auc() > dot_curve(values[:, SCORE], right).auc() + 0.05
    two = out_of_fold_worth(values, right, photos, signals=("area", "score"))
    assert dot_curve(two, right).auc() == pytest.approx(dot_curve(learnt, right).auc(), abs=0.03)


def test_no_dot_is_judged_by_dots_of_its_photo() -> None:
    """A signal that names the photo learns by heart what is right there; of other photos it says nothing."""
    generator = np.random.default_rng(2)
    photos = np.repeat(np.arange(60), 5)
    values = generator.normal(size=(300, len(SIGNALS)))
    truth = generator.random(60) < 0.5
    right = truth[photos]
    values[:, SCORE] = generator.normal(size=60)[photos]
    assert dot_curve(out_of_fold_worth(values, right, photos), right).auc() < 0.6


def test_the_table_is_of_worths_out_of_fold(held_out: Any) -> None:
    values, right, photos = held_out
    learnt = fit_dot_filter(values, right, photos, share=0.4)
    assert learnt.table == threshold_table(out_of_fold_worth(values, right, photos), right)
    assert learnt.threshold == next(cut.threshold for cut in learnt.table if cut.kept >= 0.4)


def test_another_threshold_of_the_table(held_out: Any) -> None:
    values, right, photos = held_out
    table = (Cut(3.0, 0.25, 1.0, 0.5), Cut(2.0, 0.5, 0.9, 0.9), Cut(1.0, 1.0, 0.5, 1.0))
    learnt = replace(one_signal_filter("score", values, right, photos), table=table)
    assert learnt.at(precision=0.8).threshold == 2.0
    assert learnt.at(precision=0.95).threshold == 3.0
    assert learnt.at(share=0.3).threshold == 2.0
    assert learnt.at(share=1.0).threshold == 1.0
    with pytest.raises(ValueError, match=r"no threshold of the table has precision 1\.5, the most is 1\.0000; ask for"):
        learnt.at(precision=1.5)
    with pytest.raises(ValueError, match="no threshold of the table has a share of 2"):
        learnt.at(share=2)
    for both in ({}, {"precision": 0.5, "share": 0.5}):
        with pytest.raises(ValueError, match="give precision, or share, of the two"):
            learnt.at(**both)


@pytest.mark.parametrize("value", [3.0, 1 / 3, 0.0])
def test_a_signal_that_is_the_same_of_all_says_nothing(held_out: Any, tmp_path: Path, value: float) -> None:
    """Of 400 thirds numpy gives a standard deviation of 5.6e-17."""
    values, right, photos = held_out
    level = values.copy()
    level[:, AREA] = value
    learnt = fit_dot_filter(level, right, photos)
    moved = level.copy()
    moved[:, AREA] = 4.0
    assert learnt.weights[AREA] == pytest.approx(0, abs=1e-12)
    assert learnt.worth(moved) == pytest.approx(learnt.worth(level))
    learnt.save(tmp_path / "dots.json")
    assert read_dot_filter(tmp_path / "dots.json") == learnt


def test_it_keeps_the_same_after_saving(held_out: Any, tmp_path: Path) -> None:
    values, right, photos = held_out
    learnt = fit_dot_filter(values, right, photos, detector_id="a" * 64, encoder_id="b" * 64)
    learnt.save(tmp_path / "dots.json")
    again = read_dot_filter(tmp_path / "dots.json")
    assert again == learnt
    assert again.worth(values[:7]).tolist() == learnt.worth(values[:7]).tolist()
    assert 0.3 < again.keeps(values).mean() < 0.7


def test_what_it_was_fitted_with(held_out: Any) -> None:
    values, right, photos = held_out
    learnt = fit_dot_filter(values, right, photos, detector_id="a" * 64, encoder_id="b" * 64)
    learnt.require(detector_id="a" * 64, encoder_id="b" * 64)
    with pytest.raises(MismatchError, match="fitted with detector aaaaaaaaaaaa…, this is detector cccccccccccc…; fit"):
        learnt.require(detector_id="c" * 64, encoder_id="b" * 64)
    with pytest.raises(MismatchError, match="encoder"):
        learnt.require(detector_id="a" * 64, encoder_id="c" * 64)
    fit_dot_filter(values, right, photos).require(detector_id="c" * 64, encoder_id="c" * 64)  # nobody said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signals": ["score"]}, "must be of as many signals throughout"),
        ({"signals": ["scores"] * 6}, r"signals\[0\] must be 'score' or"),
        ({"scale": [0] * 6}, r"scale\[0\] must be a number from"),
        ({"threshold": "high"}, "threshold must be a number"),
        ({"table": [{"threshold": 1.0}]}, r"table\[0\]\.kept is missing"),
        ({"detector_id": "x"}, "detector_id must be 64 hexadecimal digits"),
        ({"photos": 0}, "photos must be an integer from 1"),
    ],
)
def test_a_file_that_makes_no_sense(held_out: Any, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    learnt = fit_dot_filter(*held_out)
    fields = {**vars(learnt), "table": [cut._asdict() for cut in learnt.table]}
    (tmp_path / "dots.json").write_bytes(fitted_bytes("dot filter", fields | change))
    with pytest.raises(ArtifactError, match=message):
        read_dot_filter(tmp_path / "dots.json")


@pytest.mark.parametrize(
    ("rows", "columns", "arguments", "message"),
    [
        (30, 5, {}, r"signals must be \(D, 6\) finite numbers, .* got shape \(30, 5\)"),
        (30, 6, {"signals": ("score", "size")}, r"signals must be different ones of .* got \['score', 'size'\]"),
        (30, 6, {"signals": ("score", "score")}, "signals must be different ones"),
        (30, 6, {"signals": ()}, "signals must be different ones"),
    ],
)
def test_signals_that_do_not_fit(rows: int, columns: int, arguments: dict, message: str) -> None:
    values, right = np.zeros((rows, columns)), np.arange(rows) % 2 > 0
    with pytest.raises(ValueError, match=message):
        fit_dot_filter(values, right, np.arange(rows), **arguments)


def test_too_few_photos() -> None:
    values, right = np.zeros((12, 6)), np.arange(12) < 3
    with pytest.raises(ValueError, match="3 photos have right dots, wanted at least 5; take more photos"):
        fit_dot_filter(values, right, np.arange(12))
    with pytest.raises(ValueError, match="0 photos have wrong dots"):
        fit_dot_filter(values, np.ones(12, bool), np.arange(12))
    with pytest.raises(ValueError, match=r"wanted right and photos of 12 dots, got shapes \(11,\)"):
        fit_dot_filter(values, right[1:], np.arange(12))
