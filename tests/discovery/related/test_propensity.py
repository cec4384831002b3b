"""Save propensity and its interval: by hand, as scipy has Wilson's, and by how often it holds the true one."""

import numpy as np
import pytest
from scipy.stats import binomtest

from dqh.discovery.related.propensity import Prior, fit_prior, rates


@pytest.mark.parametrize(("saves", "users"), [(0, 1), (0, 20), (3, 7), (7, 7), (13, 400)])
def test_where_all_is_seen_the_interval_is_that_of_wilson(saves: int, users: int) -> None:
    value, low, high = (float(part[0]) for part in rates(np.array([float(saves)]), np.array([float(users)])))
    wilson = binomtest(saves, users).proportion_ci(method="wilson")
    assert value == saves / users
    assert (low, high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_the_ends_solve_the_equation() -> None:
    """(K − a E)² = z² (a E − a² S) at both ends, with shows at places 1, 2 and 4: E = 1.75, S = 1.3125."""
    seen = np.array([1, 0.5, 0.25])
    result = rates(np.array([1.0]), np.array([seen.sum()]), np.array([(seen**2).sum()]))
    for end in (float(result.low[0]), float(result.high[0])):
        if end < 1:
            assert (1 - end * 1.75) ** 2 == pytest.approx(1.96**2 * (end * 1.75 - end**2 * 1.3125), rel=1e-3)
    assert float(result.value[0]) == pytest.approx(1 / 1.75)


def test_the_interval_holds_the_true_rate() -> None:
    """2,000 items with 150 shows at places 1 … 24: .95 of the intervals, by three errors of a share of 2,000."""
    generator = np.random.default_rng(0)
    true = generator.beta(2, 8, 2000)
    examined = 1 / generator.integers(1, 25, (2000, 150))
    saves = (generator.random(examined.shape) < true[:, None] * examined).sum(axis=1).astype(float)
    result = rates(saves, examined.sum(axis=1), (examined**2).sum(axis=1))
    covered = float(((result.low <= true) & (true <= result.high)).mean())
    assert 0.935 < covered < 0.97


def test_more_saves_than_views_is_cut_at_one() -> None:
    result = rates(np.array([3.0]), np.array([1.0]), np.array([0.1]))
    assert (float(result.value[0]), float(result.high[0])) == (1.0, 1.0)


def test_of_nothing_nothing_is_known() -> None:
    assert np.isnan(rates(np.zeros(1), np.zeros(1)).value).all()


def test_the_prior_that_was_drawn_from_is_recovered() -> None:
    """Rates of mean .1 and spread 1 / 4, seen at places 1 … 9."""
    generator = np.random.default_rng(0)
    true = generator.gamma(4, 0.1 / 4, 4000)
    examined = 1 / generator.integers(1, 10, (4000, 60))
    saves = (generator.random(examined.shape) < true[:, None] * examined).sum(axis=1).astype(float)
    views, squares = examined.sum(axis=1), (examined**2).sum(axis=1)
    prior = fit_prior(saves, views, squares)
    assert prior.mean == pytest.approx(0.1, rel=0.03)
    assert prior.spread == pytest.approx(0.25, rel=0.15)
    drawn = prior.posterior(saves, views)
    assert np.abs(drawn - true).mean() < 0.8 * np.abs(saves / views - true).mean()


def test_equal_rates_have_no_spread() -> None:
    generator = np.random.default_rng(1)
    saves = generator.binomial(50, 0.2, 3000).astype(float)
    prior = fit_prior(saves, np.full(3000, 50.0), np.full(3000, 50.0))
    assert prior.spread < 0.01
    assert prior.posterior(np.zeros(1), np.zeros(1)).tolist() == [prior.mean]


def test_a_mean_of_each() -> None:
    """Twice the saves that the means say, of all items: (20 − 10)² − 10 + .01 · 100 = 91; .01 · (10,000 − 100) = 99."""
    means = np.full(2, 0.1)
    prior = fit_prior(np.full(2, 20.0), np.full(2, 100.0), np.full(2, 100.0), means)
    assert prior.spread == pytest.approx(91 / 99)


def test_nothing_saved() -> None:
    assert fit_prior(np.zeros(3), np.ones(3), np.ones(3)) == Prior(0.0, 0.0)
    assert fit_prior(np.zeros(0), np.zeros(0), np.zeros(0)) == Prior(0.0, 0.0)
