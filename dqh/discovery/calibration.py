"""From a number that rises with being right to a confidence: of all that get .8, eight in ten should be right.

n cases, of each a number and whether it was right; b bins.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.schema import Check, number, record, sequence

_LARGEST = 1e12


class Calibration(NamedTuple):
    """A line through some points that nowhere falls, level before the first and behind the last.

    Attributes:
        values: of the points, rising.
        confidences: of the points, 0 … 1, not falling.
    """

    values: tuple[float, ...]
    confidences: tuple[float, ...]

    def __call__(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Confidences, 0 … 1, of numbers, of the same shape."""
        return np.asarray(np.interp(values, self.values, self.confidences))

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values; `calibration_of` is the inverse."""
        return {name: list(points) for name, points in self._asdict().items()}


def calibration_of(fields: Mapping[str, Any]) -> Calibration:
    """The calibration of what `to_json` gave, in which `CALIBRATION` sees nothing wrong."""
    return Calibration(tuple(fields["values"]), tuple(fields["confidences"]))


def _rises(value: Any, field: str) -> list[str]:
    """Check of a calibration."""
    points = {"values": number(-_LARGEST, _LARGEST), "confidences": number(0, 1)}
    problems = record({name: sequence(check, least=1) for name, check in points.items()})(value, field)
    if problems:
        return problems
    values, confidences = value["values"], value["confidences"]
    if len(values) != len(confidences):
        return [f"{field} must have as many values as confidences, got {len(values)} and {len(confidences)}"]
    if any(np.diff(values) <= 0) or any(np.diff(confidences) < 0):
        return [f"{field} must have rising values and confidences that do not fall"]
    return []


CALIBRATION: Check = _rises
"""What a calibration must be, as JSON has it."""


def fit_calibration(values: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    """The rising line that is nearest to what was right, by isotonic regression (Zadrozny and Elkan 2002).

    A departure: at either end half a case is added that was right and half a one that was wrong, so that few cases
    never give a confidence of 0 or 1, and what lies beyond them is no surer than they are.

    Args:
        values: (n,), finite; the higher, the likelier right.
        right: (n,) bool.

    Raises:
        ValueError: there are no cases, the two are of different lengths, or a value is not finite.

    Example:
        >>> np.round(fit_calibration(np.array([0.2, 0.4, 0.6]), np.array([False, False, True])).confidences, 3)
        array([0.167, 0.167, 0.75 ])
    """
    if values.shape != right.shape or values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            "a calibration needs (n,) finite values and (n,) bool of at least one held-out case, got shapes "
            f"{values.shape} and {right.shape}; search for more crops whose words are known"
        )
    from sklearn.isotonic import IsotonicRegression  # slow to import

    ends = np.array([values.min(), values.max()])
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(
        np.concatenate([values, ends, ends]),
        np.concatenate([right.astype(np.float64), [0.0, 0.0, 1.0, 1.0]]),
        sample_weight=np.concatenate([np.ones(len(values)), np.full(4, 0.5)]),
    )
    return Calibration(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))


class Bin(NamedTuple):
    """Some cases of like confidence: its mean, the share that was right, and how many they are."""

    confidence: float
    right: float
    cases: int


def calibration_bins(confidences: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = 5) -> tuple[Bin, ...]:
    """The cases in bins of equal mass, from the least sure to the surest; their sizes differ by one at most.

    Cases of equal confidence that fall into two bins count with the share of them that was right, so that their order
    does not matter.

    Args:
        confidences: (n,), 0 … 1.
        right: (n,) bool.
        bins: b, 1 … n.

    Raises:
        ValueError: the two are of different lengths, or there are fewer cases than bins.
    """
    if confidences.shape != right.shape or confidences.ndim != 1 or not 1 <= bins <= len(right):
        raise ValueError(
            f"{bins} bins need (n,) confidences and (n,) bool of at least as many cases, got shapes "
            f"{confidences.shape} and {right.shape}"
        )
    order = np.argsort(confidences, kind="stable")
    _, group, sizes = np.unique(confidences[order], return_inverse=True, return_counts=True)
    shares = (np.bincount(group, weights=right[order]) / sizes)[group]
    parts = zip(np.array_split(confidences[order], bins), np.array_split(shares, bins), strict=True)
    return tuple(Bin(float(part.mean()), float(share.mean()), len(part)) for part, share in parts)


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Expected calibration error: how far share and mean confidence of a bin differ, on average over all cases.

    Example:
        >>> calibration_error((Bin(0.5, 0.25, 3), Bin(0.75, 0.75, 1)))
        0.1875
    """
    return sum(part.cases * abs(part.confidence - part.right) for part in bins) / sum(part.cases for part in bins)
