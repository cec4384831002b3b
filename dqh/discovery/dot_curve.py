"""What a filter of dots keeps against how much of it is right.

D dots, of each a number, its worth, and whether it is right.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class DotCurve(NamedTuple):
    """How many dots are kept, and how many of them are right, as worth falls; dots of equal worth come together.

    Attributes:
        dots: (T + 1,) float64, from 0 to D.
        right: (T + 1,) float64, from 0 to those that are right.
    """

    dots: NDArray[np.float64]
    right: NDArray[np.float64]

    def precision_at(self, share: float) -> float:
        """The share of right dots among the best `share` of all dots, 0 < share ≤ 1.

        Where the cut falls among dots of equal worth, as many of them are right as on average over their orders.
        """
        _require_share(share, "share")
        count = share * self.dots[-1]
        return float(np.interp(count, self.dots, self.right) / count)

    def precision_at_recall(self, recall: float) -> float:
        """The share of right dots among the fewest best dots that hold `recall` of all right ones, 0 < recall ≤ 1.

        `ValueError` where no dot is right.
        """
        _require_share(recall, "recall")
        if not self.right[-1]:
            raise ValueError("no dot is right, so that there is no recall; take photos with objects of the index")
        wanted = recall * self.right[-1]
        place = int(np.searchsorted(self.right, wanted, side="left"))
        before, gained = self.right[place - 1], self.right[place] - self.right[place - 1]
        count = self.dots[place - 1] + (wanted - before) / gained * (self.dots[place] - self.dots[place - 1])
        return float(wanted / count)

    def auc(self) -> float:
        """The chance that a right dot is worth more than a wrong one, equal worth counting half; NaN if either lacks.

        The area below the ROC curve, by trapezia, which is what scikit-learn computes.
        """
        wrong = self.dots - self.right
        if not wrong[-1] or not self.right[-1]:
            return float("nan")
        return float(np.trapezoid(self.right, wrong) / (wrong[-1] * self.right[-1]))


def _require_share(value: float, name: str) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name} must lie above 0 and be at most 1, got {value}")


def dot_curve(worth: NDArray[np.float64], right: NDArray[np.bool_]) -> DotCurve:
    """The curve of D dots.

    Args:
        worth: (D,), not NaN; the higher, the better.
        right: (D,) bool.

    Raises:
        ValueError: there are no dots, shapes differ, or a worth is NaN.

    Example:
        >>> curve = dot_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
        >>> curve.precision_at(0.5), curve.precision_at_recall(1.0), curve.auc()
        (0.75, 0.6666666666666666, 0.875)
    """
    if worth.shape != right.shape or worth.ndim != 1 or not len(worth) or np.isnan(worth).any():
        raise ValueError(
            f"a curve needs (D,) numbers and (D,) bool of at least one dot, got shapes {worth.shape} and {right.shape}"
            f"{', and NaN' if np.isnan(worth).any() else ''}"
        )
    order = np.argsort(-worth, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(worth[order])), len(worth) - 1)
    kept, hits = ends + 1.0, np.cumsum(right[order])[ends].astype(np.float64)
    return DotCurve(np.append(0.0, kept), np.append(0.0, hits))
