"""Which dots are shown: those from which a search is worth it, by one signal or by a classifier of several.

D dots, S signals.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.dot_signals import SIGNALS
from dqh.discovery.fitted import fitted_bytes, read_fitted
from dqh.errors import MismatchError
from dqh.files import write_bytes
from dqh.schema import HASH, Check, integer, maybe, number, one_of, record, sequence

if TYPE_CHECKING:
    from dqh.discovery.dot_curve import DotCurve

KIND = "dot filter"
"""What a file of one calls itself."""

SHARES = tuple(tenth / 10 for tenth in range(1, 11))
"""Shares of the dots kept of which a table has a row."""

FOLDS = 5
EQUAL = 1e-9
"""Part of a signal that its values may differ by and be the same: the deviation of equal numbers is not always 0."""

_LARGEST = 1e12


class Cut(NamedTuple):
    """A row of a table: what a threshold keeps.

    Attributes:
        threshold: a dot is shown whose worth is at least so much.
        kept: the share of the dots that are shown, 0 … 1.
        precision: the share of these that are right, 0 … 1.
        recall: the share of the right ones that are shown, 0 … 1; 1 where none is right.
    """

    threshold: float
    kept: float
    precision: float
    recall: float


def threshold_table(
    worth: NDArray[np.float64], right: NDArray[np.bool_], *, shares: Sequence[float] = SHARES
) -> tuple[Cut, ...]:
    """What thresholds keep, from the highest to the lowest.

    Dots of equal worth cannot be told apart by a threshold: a row keeps at least its share, and rows that would keep
    the same are one.

    Args:
        worth: (D,), not NaN; the higher, the better.
        right: (D,) bool.
        shares: of the dots to keep, each above 0 and at most 1.

    Raises:
        ValueError: there are no dots, shapes differ, a worth is NaN, or a share is out of range.

    Example:
        >>> table = threshold_table(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]), shares=(0.5,))
        >>> [tuple(round(value, 3) for value in cut) for cut in table]
        [(0.5, 0.75, 0.667, 1.0)]
    """
    from dqh.discovery.dot_curve import dot_curve  # which loads torch, of which whoever reads a filter needs nothing

    curve = dot_curve(worth, right)
    if not shares or not all(0 < share <= 1 for share in shares):
        raise ValueError(f"shares must be some, each above 0 and at most 1, got {list(shares)}")
    places = np.searchsorted(curve.dots, np.array(sorted(shares)) * len(worth) - 1e-9)
    falling = np.sort(worth)[::-1]
    return tuple(_cut(curve, int(place), falling) for place in np.unique(places.clip(min=1)))


def _cut(curve: "DotCurve", place: int, falling: NDArray[np.float64]) -> Cut:
    """What is kept down to the worth of a place of the curve."""
    kept, hits, total = curve.dots[place], curve.right[place], curve.right[-1]
    recall = hits / total if total else 1.0
    return Cut(float(falling[int(kept) - 1]), float(kept / len(falling)), float(hits / kept), float(recall))


@dataclass(frozen=True)
class DotFilter:
    """Tells dots that are worth showing by some of their signals.

    The worth of a dot is b + Σ_s w_s (x_s − m_s) / d_s over signals x: the log-odds of being right that a logistic
    regression gives, or the signal itself where it is one alone.

    Attributes:
        signals: S names of `SIGNALS`.
        mean: m, S.
        scale: d, S, above 0.
        weights: w, S.
        intercept: b.
        threshold: a dot is shown whose worth is at least so much.
        table: what thresholds kept of the held-out dots, each judged by a filter that had not seen its photo.
        dots: held-out dots that it was fitted to.
        photos: that they lie on.
        detector_id: of the detector that saw them; None where nobody said.
        encoder_id: of the index that was searched; None likewise.
    """

    signals: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    threshold: float
    table: tuple[Cut, ...]
    dots: int
    photos: int
    detector_id: str | None = None
    encoder_id: str | None = None

    def worth(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(D,) of (D, 6) signals, all that `signals_of` gives; `ValueError` for another shape."""
        _require_signals(values)
        chosen = values[:, [SIGNALS.index(name) for name in self.signals]]
        return np.asarray(((chosen - self.mean) / self.scale) @ np.array(self.weights) + self.intercept)

    def keeps(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(D,) bool, which dots are shown, of (D, 6) signals."""
        return self.worth(values) >= self.threshold

    def at(self, *, precision: float | None = None, share: float | None = None) -> "DotFilter":
        """The same with another threshold of its table.

        Args:
            precision: at least this share of the dots shown is to be right; of such rows the one that shows most.
            share: at least this share of the dots is to be shown; of such rows the one that shows fewest.

        Raises:
            ValueError: both or neither is given, or no row of the table has it.
        """
        if (precision is None) == (share is None):
            raise ValueError("give precision, or share, of the two")
        if precision is not None:
            rows = [cut for cut in reversed(self.table) if cut.precision >= precision]
            best, reached = f"precision {precision}", max(cut.precision for cut in self.table)
        else:
            rows = [cut for cut in self.table if share is not None and cut.kept >= share]
            best, reached = f"a share of {share}", max(cut.kept for cut in self.table)
        if not rows:
            raise ValueError(f"no threshold of the table has {best}, the most is {reached:.4f}; ask for less")
        return replace(self, threshold=rows[0].threshold)

    def require(self, *, detector_id: str, encoder_id: str) -> None:
        """Raise `MismatchError` where it was fitted to dots of another detector, or searches of another encoder."""
        for what, own, other in (
            ("detector", self.detector_id, detector_id),
            ("encoder", self.encoder_id, encoder_id),
        ):
            if own is not None and own != other:
                raise MismatchError(
                    f"the dot filter was fitted with {what} {own[:12]}…, this is {what} {other[:12]}…; fit it anew, or "
                    "leave the filter out"
                )

    def save(self, path: Path) -> None:
        """Write it, atomically, as JSON; `read_dot_filter` reads it again."""
        write_bytes(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of its file."""
        fields = {name: getattr(self, name) for name in _CHECKS}
        return fitted_bytes(KIND, fields | {"table": [cut._asdict() for cut in self.table]})


_NUMBER = number(-_LARGEST, _LARGEST)
_CHECKS: dict[str, Check] = {
    "signals": sequence(one_of(*SIGNALS), least=1, different=True),
    "mean": sequence(_NUMBER, least=1),
    "scale": sequence(number(1 / _LARGEST, _LARGEST), least=1),
    "weights": sequence(_NUMBER, least=1),
    "intercept": _NUMBER,
    "threshold": _NUMBER,
    "table": sequence(
        record({"threshold": _NUMBER, **{name: number(0, 1) for name in ("kept", "precision", "recall")}}), least=1
    ),
    "dots": integer(1),
    "photos": integer(1),
    "detector_id": maybe(HASH),
    "encoder_id": maybe(HASH),
}


def _one_length(value: Any, field: str) -> list[str]:
    """Check that what a filter has of each signal is of as many."""
    lengths = {name: len(value[name]) for name in ("signals", "mean", "scale", "weights")}
    return [] if len(set(lengths.values())) == 1 else [f"{field} must be of as many signals throughout, got {lengths}"]


def read_dot_filter(path: str | os.PathLike[str], *, content: bytes | None = None) -> DotFilter:
    """The filter that was saved.

    Args:
        path: of its file.
        content: of the file, where it has been read already.

    Raises:
        NoArtifactError: nothing is there.
        ArtifactError: it is damaged, of another format, or does not make sense.
    """
    fields = read_fitted(path, KIND, _CHECKS, together=_one_length, content=content)
    fields |= {name: tuple(fields[name]) for name in ("signals", "mean", "scale", "weights")}
    return DotFilter(**fields | {"table": tuple(Cut(**cut) for cut in fields["table"])})


def one_signal_filter(
    signal: str, values: NDArray[np.float64], right: NDArray[np.bool_], photos: NDArray[np.int64], *, share: float = 0.5
) -> DotFilter:
    """A threshold on one signal.

    Args:
        signal: of `SIGNALS`.
        values: (D, 6) signals of held-out dots.
        right: (D,) bool, whether they are worth showing.
        photos: (D,) number of the photo of each.
        share: of the dots to show, at least; `DotFilter.at` chooses otherwise.

    Raises:
        ValueError: there is no such signal, shapes differ, or there are no dots.
    """
    if signal not in SIGNALS:
        raise ValueError(f"signal must be one of {', '.join(SIGNALS)}, got {signal!r}")
    _require_signals(values)
    table = threshold_table(values[:, SIGNALS.index(signal)], right)
    plain = DotFilter((signal,), (0.0,), (1.0,), (1.0,), 0.0, 0.0, table, len(right), len(np.unique(photos)))
    return plain.at(share=share)


def fit_dot_filter(
    values: NDArray[np.float64],
    right: NDArray[np.bool_],
    photos: NDArray[np.int64],
    *,
    signals: Sequence[str] = SIGNALS,
    share: float = 0.5,
    detector_id: str | None = None,
    encoder_id: str | None = None,
) -> DotFilter:
    """A logistic regression on standardised signals, and what its thresholds keep.

    The table is of worths out of fold, see `out_of_fold_worth`, so that it does not flatter.

    Args:
        values: (D, 6) signals of dots on photos that are not in the index and that the detector was not trained on.
        right: (D,) bool, whether they are worth showing.
        photos: (D,) number of the photo of each.
        signals: to learn from.
        share: of the dots to show, at least; `DotFilter.at` chooses otherwise.
        detector_id: of the detector that saw the dots.
        encoder_id: of the index that was searched.

    Raises:
        ValueError: there is no such signal, shapes differ, or there are fewer than `FOLDS` photos with right dots, or
            with wrong ones.
    """
    table = threshold_table(out_of_fold_worth(values, right, photos, signals=signals), right)
    mean, scale, weights, intercept = _fitted(_chosen(values, signals), right)
    learnt = DotFilter(
        tuple(signals),
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        tuple(weights.tolist()),
        float(intercept),
        0.0,
        table,
        len(right),
        len(np.unique(photos)),
        detector_id,
        encoder_id,
    )
    return learnt.at(share=share)


def out_of_fold_worth(
    values: NDArray[np.float64],
    right: NDArray[np.bool_],
    photos: NDArray[np.int64],
    *,
    signals: Sequence[str] = SIGNALS,
    folds: int = FOLDS,
) -> NDArray[np.float64]:
    """(D,) the worth of each dot by a regression that was fitted to the dots of other photos.

    The photos are split into folds with like shares of right dots. Arguments and errors as for `fit_dot_filter`; at
    least two `folds`.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import

    chosen = _chosen(values, signals)
    if right.shape != (len(values),) or photos.shape != right.shape:
        raise ValueError(f"wanted right and photos of {len(values)} dots, got shapes {right.shape} and {photos.shape}")
    for kind, rows in (("right", right), ("wrong", ~right)):
        if (count := len(np.unique(photos[rows]))) < folds:
            raise ValueError(f"{count} photos have {kind} dots, wanted at least {folds}; take more photos")
    worth = np.empty(len(values))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for others, held in split.split(chosen, right, photos):
        mean, scale, weights, intercept = _fitted(chosen[others], right[others])
        worth[held] = ((chosen[held] - mean) / scale) @ weights + intercept
    return worth


def _fitted(
    chosen: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Means and deviations of (D, S) signals, and weights and intercept of a regression on what is standardised."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = chosen.mean(axis=0), chosen.std(axis=0)
    is_level = np.ptp(chosen, axis=0) <= EQUAL * np.abs(chosen).max(axis=0)  # the same of all dots: it says nothing
    scale = np.where(is_level, 1.0, scale)
    model = LogisticRegression(C=1.0, max_iter=1000).fit((chosen - mean) / scale, right)
    return mean, scale, model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _chosen(values: NDArray[np.float64], signals: Sequence[str]) -> NDArray[np.float64]:
    """(D, S) signals of (D, 6)."""
    unknown = [name for name in signals if name not in SIGNALS]
    if unknown or not signals or len(set(signals)) < len(signals):
        raise ValueError(f"signals must be different ones of {', '.join(SIGNALS)}, got {list(signals)}")
    _require_signals(values)
    return values[:, [SIGNALS.index(name) for name in signals]]


def _require_signals(values: NDArray[np.float64]) -> None:
    if values.ndim != 2 or values.shape[1] != len(SIGNALS) or not np.isfinite(values).all():
        raise ValueError(
            f"signals must be (D, {len(SIGNALS)}) finite numbers, as signals_of gives them, got shape {values.shape}"
        )
