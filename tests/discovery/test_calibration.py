import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.discovery.calibration import (
    CALIBRATION,
    Bin,
    Calibration,
    calibration_bins,
    calibration_error,
    calibration_of,
    fit_calibration,
)


def test_points_are_joined_and_its_ends_are_level() -> None:
    line = Calibration((0.2, 0.6), (0.1, 0.9))
    assert line(np.array([0.0, 0.2, 0.3, 0.6, 5.0])) == pytest.approx([0.1, 0.1, 0.3, 0.9, 0.9])
    assert line(np.array([[0.3], [0.4]])) == pytest.approx(np.array([[0.3], [0.5]]))


def test_shares_by_hand() -> None:
    """At .1 one of four is right, at .9 three of four; each end has half a case of either kind more.

    (1 + .5) / 5 = .3 and (3 + .5) / 5 = .7.
    """
    values = np.repeat([0.1, 0.9], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    assert fit_calibration(values, right) == Calibration((0.1, 0.9), (pytest.approx(0.3), pytest.approx(0.7)))


def test_what_falls_is_levelled() -> None:
    """Three of four are right at .1 and one of four at .9: (4 + 1) / 10 of all together."""
    right = np.array([1, 1, 1, 0, 1, 0, 0, 0], bool)
    line = fit_calibration(np.repeat([0.1, 0.9], 4), right)
    assert line(np.array([0.0, 0.5, 1.0])) == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("right", [True, False])
def test_few_cases_are_never_sure(right: bool) -> None:
    """Of n alike ones (n + 1) / (n + 2), Laplace's rule of succession, as both ends are one value."""
    line = fit_calibration(np.full(3, 0.5), np.full(3, right))
    assert line(np.array([0.5])) == pytest.approx([0.8 if right else 0.2])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.randoms())
def test_it_rises_lies_within_0_and_1_and_knows_no_order(cases: list[tuple[float, bool]], random: object) -> None:
    shuffled = list(cases)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    lines = [
        fit_calibration(np.array([value for value, _ in part]), np.array([right for _, right in part]))
        for part in (cases, shuffled)
    ]
    grid = np.linspace(-0.5, 1.5, 41)
    assert lines[0](grid) == pytest.approx(lines[1](grid))
    assert (np.diff(lines[0](grid)) >= -1e-12).all()
    assert lines[0](grid).min() > 0
    assert lines[0](grid).max() < 1
    assert CALIBRATION(lines[0].to_json(), "line") == []
    assert calibration_of(lines[0].to_json()) == lines[0]


@pytest.mark.parametrize(
    ("values", "right"),
    [([], []), ([0.1], [True, False]), ([np.nan], [True]), ([np.inf], [True]), ([[0.1]], [[True]])],
)
def test_no_cases(values: list, right: list) -> None:
    with pytest.raises(ValueError, match=r"a calibration needs .* of at least one held-out case, got shapes"):
        fit_calibration(np.array(values, float), np.array(right, bool))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"values": [1.0], "confidences": [0.5, 0.6]}, "as many values as confidences, got 1 and 2"),
        ({"values": [1.0, 1.0], "confidences": [0.5, 0.6]}, "rising values"),
        ({"values": [1.0, 2.0], "confidences": [0.6, 0.5]}, "confidences that do not fall"),
        ({"values": [1.0], "confidences": [1.5]}, "must be a number from 0 to 1"),
        ({"values": [], "confidences": []}, "a list of at least 1"),
        ([], "must be an object"),
    ],
)
def test_what_is_no_calibration(value: object, message: str) -> None:
    (problem, *_) = CALIBRATION(value, "line")
    assert message in problem
    assert problem.startswith("line")


def test_bins_of_equal_mass_by_hand() -> None:
    """Five cases in two bins: the three least sure, of which one is right, and the two surest, both right."""
    confidences = np.array([0.9, 0.1, 0.3, 0.8, 0.2])
    right = np.array([True, False, True, True, False])
    bins = calibration_bins(confidences, right, bins=2)
    assert bins == (Bin(pytest.approx(0.2), pytest.approx(1 / 3), 3), Bin(pytest.approx(0.85), 1.0, 2))
    assert calibration_error(bins) == pytest.approx((3 * (1 / 3 - 0.2) + 2 * 0.15) / 5)


def test_equal_confidences_are_shared_between_bins() -> None:
    """Four cases of one confidence, three of them right: both bins have .75, whatever their order."""
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        bins = calibration_bins(np.full(4, 0.5), np.array([True, True, True, False])[order], bins=2)
        assert bins == (Bin(0.5, 0.75, 2), Bin(0.5, 0.75, 2))


@pytest.mark.parametrize("bins", [0, 3])
def test_more_bins_than_cases(bins: int) -> None:
    with pytest.raises(ValueError, match=f"{bins} bins need .* at least as many cases"):
        calibration_bins(np.array([0.1, 0.2]), np.array([True, False]), bins=bins)
