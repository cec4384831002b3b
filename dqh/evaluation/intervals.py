"""How sure the numbers of an evaluation are: bootstrap intervals of its rows, and of differences between them.

Queries are drawn again with replacement, as if the experiment were repeated with other queries of the same kind. The
database and the trained network stay as they are: what another seed or another split would change is not in these
intervals.

Q queries, R resamples.
"""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.measure import PerQuery
from dqh.index.ways import WAYS

_DRAWS = 2**19
"""Queries drawn at a time, or kept by the jackknife: some 15 MB."""


class Interval(NamedTuple):
    """A mean, or a difference of means, with an interval that holds the true one at the level asked for."""

    value: float
    low: float
    high: float


def bootstrap(
    values: NDArray[np.float64],
    *,
    kept: NDArray[np.bool_] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bias-corrected and accelerated (BCa) bootstrap interval of a mean over queries.

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, eq. 14.9, 14.10, 14.14 and 14.15, by
    `scipy.stats.bootstrap`. Average precisions crowd at 1 with a long tail below, and there the plain percentile
    interval of 13.3 sits too high. A departure: of the resamples that equal the mean half count as below it, because
    queries that all score 1 make such ties common. Time grows with Q², of the jackknife; memory does not.

    Args:
        values: (Q,) of each query, such as its average precision; finite.
        kept: (Q,) bool, the queries that enter the mean; None for all. The others are left out before drawing, as in
            the conventions that drop queries without a hit.
        level: of confidence, between 0 and 1.
        resamples: R, at least 1; hundreds for ends that mean something.
        seed: of the draws; the same seed draws the same queries whatever their values.

    Returns:
        Interval; the mean thrice where all values are equal up to rounding, and 0 thrice where no query is kept.

    Raises:
        ValueError: an argument is out of range, a value is not finite, or the resamples are so few that all of them
            lie on one side of the mean.

    Example:
        >>> bootstrap(np.array([0.0, 0.5, 1.0, 1.0]), level=0.9)
        Interval(value=0.625, low=0.25, high=0.875)
    """
    chosen = _kept(values, kept)
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level must lie between 0 and 1, resamples at least 1, got {level} and {resamples}")
    mean = float(chosen.mean()) if len(chosen) else 0.0
    if len(chosen) < 2 or np.ptp(chosen) <= _equal_within(chosen):
        return Interval(mean, mean, mean)
    from scipy import stats  # slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of ends that are no numbers, told below
        drawn = stats.bootstrap(
            (chosen,),
            np.mean,
            n_resamples=resamples,
            batch=max(1, _DRAWS // len(chosen)),
            vectorized=True,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    low, high = drawn.confidence_interval
    if not np.isfinite([low, high]).all():
        raise ValueError(f"resamples={resamples} are too few, all lie on one side of the mean {mean}; draw hundreds")
    return Interval(mean, float(low), float(high))


def paired_bootstrap(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    kept: NDArray[np.bool_] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of mean(one) − mean(other), where both rows get the same resampled queries.

    Much narrower than two intervals side by side, because a hard query is hard for both rows: an interval above 0 says
    that the first row is better on queries of this kind.

    Arguments, result and errors as for `bootstrap`; both rows must have the same queries.
    """
    if one.shape != other.shape:
        raise ValueError(f"both rows must have the same queries, got shapes {one.shape} and {other.shape}")
    return bootstrap(one - other, kept=kept, level=level, resamples=resamples, seed=seed)


def _kept(values: NDArray[np.float64], kept: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    if values.ndim != 1 or not np.all(np.isfinite(values)):
        raise ValueError(f"values must be (Q,) finite numbers, got {values.dtype} of shape {values.shape}")
    if kept is None:
        return values
    if kept.shape != values.shape or kept.dtype != np.bool_:
        raise ValueError(f"kept must be {values.shape} bool, got {kept.dtype} of shape {kept.shape}")
    return values[kept]


def _equal_within(values: NDArray[np.float64]) -> float:
    """Largest difference of values whose means without one of them may all be the same number."""
    return float(4 * len(values) * np.finfo(np.float64).eps * np.abs(values).max())


LEVEL, RESAMPLES, SEED = 0.95, 2000, 0
LEAST = 10
"""Fewest queries of an interval: fewer, drawn again, say more of themselves than of others; one has length 0."""


def intervals(
    measured: Mapping[str, PerQuery],
    *,
    main: str = "binary",
    counterparts: Mapping[str, PerQuery] | None = None,
) -> dict[str, Any]:
    """Intervals over the queries, as they go into `metrics.json`.

    A difference is taken query by query, so that queries hard for both rows do not widen it; queries that a convention
    leaves out of either row are left out.

    Args:
        measured: by row, average precision of the same queries.
        main: the row of the codes alone.
        counterparts: by row that was measured on some queries and items, the average precision of the codes alone on
            the same ones; None for none.

    Returns:
        `metric`, `level`, `resamples`, `least` queries; `rows`: `search`, `value`, `low`, `high`, the last two None of
        fewer queries than that; `pairs`: `search`, `against` and the
        same of the difference of means: coarse-to-fine against its two halves, and codes against everything else but
        another distance between the same codes or embeddings; `queries` where these are not all.
    """
    settings: dict[str, Any] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}
    rows = [
        {"search": name}
        | _ends(bootstrap(scores.values, kept=scores.kept, **settings), queries=int(np.count_nonzero(scores.kept)))
        for name, scores in measured.items()
    ]
    first = [("coarse_to_fine", main), ("coarse_to_fine", "exhaustive")]
    others = [
        (main, name)
        for name in measured
        if name not in (main, "coarse_to_fine") and not by_another_distance(name, main)
    ]
    references = counterparts or {}

    def pair(one: str, other: str) -> dict[str, Any]:
        here, against = references.get(other, measured[one]), measured[other]
        kept = here.kept & against.kept
        interval = paired_bootstrap(here.values, against.values, kept=kept, **settings)
        ends = _ends(interval, queries=int(np.count_nonzero(kept)))
        return (
            {"search": one, "against": other} | ends | ({"queries": len(against.values)} if other in references else {})
        )

    pairs = [pair(one, other) for one, other in (*first, *others) if one in measured and other in measured]
    metric = next(iter(measured.values())).metric
    head = {"metric": metric, "level": LEVEL, "resamples": RESAMPLES, "least": LEAST}
    return head | {"rows": rows, "pairs": pairs}


def _ends(interval: Interval, *, queries: int) -> dict[str, float | None]:
    """The fields of an interval, without its ends where it has too few queries."""
    return {**interval._asdict(), **({} if queries >= LEAST else {"low": None, "high": None})}


def by_another_distance(name: str, main: str) -> bool:
    """Whether a row searches the codes or embeddings of the main one by another distance than it does."""
    way, own = WAYS.get(name), WAYS.get(main)
    return way is not None and own is not None and way.restates(own)
