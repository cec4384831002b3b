"""η of the places, from simulated shows whose η is known, by hand, and where nothing tells."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from dqh.discovery.related.action_log import UNKNOWN
from dqh.discovery.related.examination import Examination, fit_examination
from dqh.discovery.related.impressions import Impressions


def shows(
    queries: NDArray[np.int64], items: NDArray[np.int64], positions: NDArray[np.int64], saved: NDArray[np.bool_]
) -> Impressions:
    count = np.arange(len(items))
    return Impressions(count, queries, items, positions, saved, count.astype(float))


def drawn(power: float, seed: int = 0, count: int = 60_000) -> Impressions:
    """300 pairs, each liked otherwise; those that are liked stand further in front."""
    generator = np.random.default_rng(seed)
    liked = generator.random(300)
    items = generator.integers(0, 300, count)
    positions = np.clip(np.rint(generator.exponential(2 + 8 * (1 - liked[items]))), 1, 20).astype(np.int64)
    saved = generator.random(count) < liked[items] * positions.astype(float) ** -power
    return shows(items % 7, items, positions, saved)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_known_power_is_within_three_errors(power: float) -> None:
    fitted = fit_examination(drawn(power))
    assert fitted.error is not None
    assert abs(fitted.power - power) < 3 * fitted.error + 1e-6
    assert fitted.error < 0.05


def test_the_likelihood_is_largest_there() -> None:
    """By a loop over pairs and saves, and a search in one dimension."""
    seen = drawn(0.8, count=4000)

    def loss(power: float) -> float:
        total = 0.0
        for pair in np.unique(seen.items):
            own = seen.items == pair
            weights = seen.positions[own].astype(float) ** -power
            for weight in weights[seen.saved[own]]:
                total -= np.log(weight / weights.sum())
        return total

    best = minimize_scalar(loss, bounds=(0, 3), method="bounded", options={"xatol": 1e-7}).x
    assert fit_examination(seen).power == pytest.approx(best, abs=1e-4)


def test_places_that_say_nothing() -> None:
    """Each pair in one place alone: what is saved more may be liked more."""
    items = np.arange(4000) % 40
    fitted = fit_examination(shows(items % 3, items, items % 20 + 1, np.ones(4000, np.bool_)))
    assert (fitted.power, fitted.error) == (1.0, None)
    assert "too few pairs" in fitted.note


def test_without_positions_nothing_is_corrected() -> None:
    count = np.zeros(9, np.int64)
    fitted = fit_examination(shows(count, count, count, np.ones(9, np.bool_)))
    assert (fitted.power, fitted.error) == (0.0, None)
    other = fit_examination(shows(count + UNKNOWN, count, count + 1, np.ones(9, np.bool_)))
    assert other.power == 0.0


def test_probability() -> None:
    assert Examination(2.0, None, "").probability(np.array([0, 1, 2, 10])).tolist() == [1, 1, 0.25, 0.01]
