"""RankSVM: a linear score that puts of two candidates of a query the better one first.

R pairs of a query and a candidate, C features.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.lessons import Lessons
from dqh.discovery.related.propensity import fit_prior

MOST_COMPARISONS = 400_000
"""Two candidates of one query that are compared; of more, so many are drawn by how much the two differ."""

LEAST_SPREAD = 0.25
"""Of the rates of pairs: where each was shown once, the log cannot say how much they differ, but they do."""


@dataclass(frozen=True)
class RankSVM:
    """A score Σ w_c (x_c − m_c) / d_c of features x.

    Attributes:
        mean: m, (C,) float64.
        scale: d, (C,) float64, above 0.
        weights: w, (C,) float64.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(R,) of features (R, C); the higher, the better, and comparable within a query alone."""
        return np.asarray(((features - self.mean) / self.scale) @ self.weights)


class _Comparisons(NamedTuple):
    """Places of two pairs of one group, and by how much the first is better, above 0."""

    better: NDArray[np.int64]
    worse: NDArray[np.int64]
    by: NDArray[np.float64]


def fit_rank_svm(
    lessons: Lessons, *, penalty: float = 0.01, seed: int = 0, target: NDArray[np.float64] | None = None
) -> RankSVM:
    """A linear support vector machine on differences of features (Joachims, Optimizing Search Engines, 2002).

    The better of two candidates is the one of more saves over expected views, drawn to the mean as far as little was
    seen, so that the place in which it was shown does not decide; comparisons count by that difference, as the weights
    of Joachims, Swaminathan and Schnabel (Unbiased Learning-to-Rank with Biased Feedback, 2017) do in expectation.

    Args:
        lessons: with saves.
        penalty: C of the machine.
        seed: of what is drawn.
        target: (R,) which of two is better; None for the corrected rates.

    Raises:
        ValueError: no two candidates of a query differ.
    """
    from sklearn.svm import LinearSVC  # slow to import

    if target is None:
        prior = fit_prior(lessons.saves, lessons.views, lessons.squares)
        prior = prior._replace(spread=max(prior.spread, LEAST_SPREAD))
        target = prior.posterior(lessons.saves, lessons.views)
    generator = np.random.default_rng(seed)
    compared = _drawn(_comparisons(lessons.groups, target), generator)
    if not len(compared.by):
        raise ValueError("no two candidates of any query differ in how often they were saved; give a longer log")
    mean, scale = lessons.features.mean(axis=0), lessons.features.std(axis=0)
    scale = np.where(scale > 1e-9 * np.abs(mean).clip(min=1), scale, 1.0)
    differences = (lessons.features[compared.better] - lessons.features[compared.worse]) / scale
    signs = np.where(np.arange(len(differences)) % 2, 1, -1)
    machine = LinearSVC(C=penalty, loss="squared_hinge", dual=False, fit_intercept=False, max_iter=2000)
    machine.fit(differences * signs[:, None], signs)
    return RankSVM(mean, scale, machine.coef_[0].astype(np.float64))


def _comparisons(groups: NDArray[np.int64], target: NDArray[np.float64]) -> _Comparisons:
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = [(np.empty(0, np.int64),) * 2]
    for own in np.split(np.arange(len(groups)), np.flatnonzero(np.diff(groups)) + 1):
        one, other = np.triu_indices(len(own), 1)
        parts.append((own[one], own[other]))
    one, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    by = target[one] - target[other]
    kept = by != 0
    one, other, by = one[kept], other[kept], by[kept]
    return _Comparisons(np.where(by > 0, one, other), np.where(by > 0, other, one), np.abs(by))


def _drawn(compared: _Comparisons, generator: np.random.Generator) -> _Comparisons:
    """So many of them that each counts by how much its two differ."""
    if not len(compared.by):
        return compared
    count = min(MOST_COMPARISONS, 4 * len(compared.by))
    chosen = generator.choice(len(compared.by), count, p=compared.by / compared.by.sum())
    return _Comparisons(compared.better[chosen], compared.worse[chosen], compared.by[chosen])
