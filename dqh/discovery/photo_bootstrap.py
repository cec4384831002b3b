"""Intervals that draw whole photos again, since the dots of one photo stand and fall together: a dark one spoils all.

D dots, each of a photo.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.intervals import LEVEL, RESAMPLES, SEED, Interval


def photo_bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    photos: NDArray[np.int64],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Percentile bootstrap interval of what is computed of the dots of some photos (Efron and Tibshirani 1993, 13.3).

    Args:
        statistic: of (n,) rows of dots, one of them as often as its photo was drawn; finite.
        photos: (D,) number of the photo of each dot.
        level: of confidence, between 0 and 1.
        resamples: at least 1; hundreds for ends that mean something.
        seed: of the draws; the same photos are drawn for every statistic.

    Raises:
        ValueError: there are no dots, an argument is out of range, or the statistic is not finite of a draw, as an
            AUC is not where all dots are right.
    """
    if not len(photos) or not 0 < level < 1 or resamples < 1:
        raise ValueError(
            f"an interval needs dots, a level between 0 and 1 and at least 1 resample, got {len(photos)} dots, "
            f"{level} and {resamples}"
        )
    rows_of = [np.flatnonzero(photos == photo) for photo in np.unique(photos)]
    value = float(statistic(np.arange(len(photos))))
    if len(rows_of) == 1:
        return Interval(value, value, value)
    from scipy import stats  # slow to import

    def drawn(places: NDArray[np.int64]) -> float:
        return float(statistic(np.concatenate([rows_of[place] for place in places])))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of ends that are no numbers, told below
        result: Any = stats.bootstrap(
            (np.arange(len(rows_of)),),
            drawn,
            vectorized=False,
            method="percentile",
            n_resamples=resamples,
            confidence_level=level,
            rng=np.random.default_rng(seed),
        )
    low, high = result.confidence_interval
    if not np.isfinite([value, low, high]).all():
        raise ValueError(
            f"what is computed is {value} of all {len(rows_of)} photos, and not finite of some draws of them; take "
            "more photos, with right dots and wrong ones"
        )
    return Interval(value, float(low), float(high))
