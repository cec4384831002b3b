r"""How likely a place in a list is looked at, from a log alone: position^−η.

Whether an item is saved is taken as two things that do not depend on each other: that its place is examined, which only
depends on the place, and that the item attracts beside its query (the examination hypothesis; Craswell et al., An
Experimental Comparison of Click Position-Bias Models, 2008). Where one pair of query and item was shown in several
places, how its saves fall on these tells of η, whatever the item: of K saves of a pair that was shown n_p times in
place p, given K, each falls on place p with the probability n_p p^−η / Σ_q n_q q^−η.

V shows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.action_log import UNKNOWN
from dqh.discovery.related.impressions import Impressions
from dqh.discovery.related.item_rows import sums

USUAL = 1.0
"""η where nothing tells: 1 / position."""

_LARGEST = 5.0
_LEAST_INFORMATION = 30.0
"""Of the log about η, whose inverse is the variance: below it the standard error is above .18."""


class Examination(NamedTuple):
    """The probability that a place is looked at is position^−`power`.

    Attributes:
        power: η, at least 0; 0 where every place is.
        error: standard error of it; None where it was given.
        note: where it comes from, in words.
    """

    power: float
    error: float | None
    note: str

    def probability(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of positions from 1, each 0 … 1; 1 of a position that is not known, 0.

        Example:
            >>> Examination(1.0, None, "given").probability(np.array([1, 4, 0])).tolist()
            [1.0, 0.25, 1.0]
        """
        return np.asarray(np.maximum(positions, 1).astype(np.float64) ** -self.power)


def fit_examination(shows: Impressions) -> Examination:
    """η by the largest conditional likelihood of where the saves of each pair fall, by Newton's method.

    The likelihood is concave in η, so that there is one maximum. `USUAL` stands where the log has no positions, or says
    too little: pairs that were shown in several places, and saved.
    """
    known = (shows.positions > 0) & (shows.queries != UNKNOWN)
    if not known.any():
        return Examination(0.0, None, "the log has no positions beside queries, so that nothing is corrected")
    shown = shows.where(known)
    pair = shown.queries * (int(shown.items.max()) + 1) + shown.items
    _, number = np.unique(pair, return_inverse=True)
    saves = sums(number, shown.saved, int(number.max()) + 1)
    kept = saves[number] > 0
    number, logs = number[kept], np.log(shown.positions[kept])
    saved = shown.saved[kept].astype(np.float64)
    power = USUAL
    information = 0.0
    for _ in range(50):
        slope, information = _score(power, number, logs, saved, saves)
        if information < _LEAST_INFORMATION:
            return Examination(USUAL, None, "too few pairs were saved and shown in several places to tell: as usual")
        step = slope / information
        power = float(np.clip(power + np.clip(step, -1, 1), 0, _LARGEST))
        if abs(step) < 1e-9:
            break
    return Examination(power, float(information**-0.5), f"from {int(saved.sum()):,} saves, by where they fall")


def _score(
    power: float,
    number: NDArray[np.int64],
    logs: NDArray[np.float64],
    saved: NDArray[np.float64],
    saves: NDArray[np.float64],
) -> tuple[float, float]:
    """Slope of the log-likelihood in η, and its information."""
    weights = np.exp(-power * logs)
    count = len(saves)
    total = sums(number, weights, count).clip(min=np.finfo(float).tiny)
    mean = sums(number, weights * logs, count) / total
    square = sums(number, weights * logs**2, count) / total
    slope = float((saves * mean).sum() - (saved * logs).sum())
    return slope, float((saves * (square - mean**2)).sum())
