"""Save propensity: how likely somebody saves an item that is shown as a related one, with its interval.

As logged it is the share of the users who were shown an item that saved it (Zhai et al., Visual Discovery at Pinterest,
2017). Corrected for positions it is saves over expected views: what it would be if everybody had looked.

I items.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL_95 = 1.959963984540054
"""Standard deviations on either side that hold 95 %."""


class Rates(NamedTuple):
    """Shares with their 95 % intervals: three (I,) float64, 0 … 1; NaN where nothing was tried."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def rates(
    successes: NDArray[np.float64],
    trials: NDArray[np.float64],
    squares: NDArray[np.float64] | None = None,
    *,
    deviations: float = LEVEL_95,
) -> Rates:
    r"""Successes over (expected) trials, with the score interval.

    Where trial i is made with a known probability e_i, the successes K have the mean a E and the variance a E − a² S,
    E = Σ e_i, S = Σ e_i². The interval holds all a with (K − a E)² ≤ z² (a E − a² S): where all e_i are 1 it is that of
    Wilson (1927). It is cut at 1, and so is the share, which may lie above where views are expected and not counted.

    Args:
        successes: (I,) K.
        trials: (I,) E, at least 0.
        squares: (I,) S; None for E: every trial was made.
        deviations: z.

    Example:
        >>> [round(float(part[0]), 4) for part in rates(np.array([2.0]), np.array([10.0]))]
        [0.2, 0.0567, 0.5098]
    """
    squares = trials if squares is None else squares
    z = deviations**2
    # a² (E² + z² S) − a (2 K E + z² E) + K² = 0
    lead, middle = trials**2 + z * squares, 2 * successes * trials + z * trials
    root = np.sqrt((middle**2 - 4 * lead * successes**2).clip(min=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        value, low, high = successes / trials, (middle - root) / (2 * lead), (middle + root) / (2 * lead)
    return Rates(*(np.minimum(part, 1) for part in (value, low, high)))


class Prior(NamedTuple):
    """What is known of rates before they are seen: a Gamma distribution.

    Attributes:
        mean: of the rates.
        spread: the variance of rate / mean; 0 where all are alike.
    """

    mean: float
    spread: float

    def posterior(
        self,
        successes: NDArray[np.float64],
        trials: NDArray[np.float64],
        mean: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Mean of rates by K successes in E trials and the prior: m (1 + s K) / (1 + s E m).

        Where nothing was tried, it is the mean of the prior.

        Args:
            successes: K, of any shape.
            trials: E, likewise.
            mean: m of each, likewise; None for `mean` of all.

        Example:
            >>> Prior(0.1, 1.0).posterior(np.array([0.0, 4.0]), np.array([0.0, 10.0])).tolist()
            [0.1, 0.25]
        """
        means = self.mean if mean is None else mean
        return np.asarray(means * (1 + self.spread * successes) / (1 + self.spread * trials * means), np.float64)


def fit_prior(
    successes: NDArray[np.float64],
    trials: NDArray[np.float64],
    squares: NDArray[np.float64],
    means: NDArray[np.float64] | None = None,
) -> Prior:
    """How much rates differ beyond what chance makes of equal ones, by moments.

    K successes at a rate of mean m and variance s m² have the variance E m − m² S + s m² (E² − S), with E and S as of
    `rates`: what (K − E m)² has beyond the first two, summed over the items, tells s. Large counts then move away from
    the mean and small ones stay (Robbins 1956, empirical Bayes). Sums are not weighted, so that items that are liked
    and therefore shown more do not bias them.

    Args:
        successes: (I,) K.
        trials: (I,) E; items of which nothing was tried do not count.
        squares: (I,) S.
        means: (I,) m of each; None for that of all together.
    """
    tried = trials > 0
    k, e, square = successes[tried], trials[tried], squares[tried]
    mean = float(k.sum() / e.sum()) if len(k) else 0.0
    if mean <= 0:
        return Prior(0.0, 0.0)
    m = np.full(len(k), mean) if means is None else means[tried].clip(min=1e-9)
    excess = float(((k - e * m) ** 2 - e * m + m**2 * square).sum())
    told = float((m**2 * (e**2 - square)).sum())
    return Prior(mean, max(0.0, excess / told) if told > 1e-9 else 0.0)
