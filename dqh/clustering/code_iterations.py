"""Lloyd's iterations on distinct codes, whatever their distance: assignment to the nearest centre and update in turns.

U distinct codes, k centres.
"""

import logging
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.code_starts import CodeSpace, Start, drawn_codes
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints

logger = logging.getLogger(__name__)

STAGE = "iterations"
"""Of checkpoints."""


class ClusteredSpace(CodeSpace, Protocol):
    """Distinct codes, and what centres of them are."""

    def centres_at(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Codes (m, ·) by their places, as centres."""
        ...

    def nearest(
        self, centres: NDArray[Any], last: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The nearest centre of each code, of equal ones the first, and its distance, (U,) each.

        `last` (U,) are the centres that the codes had before these moved, a hint that changes no answer.
        """
        ...

    def moved(self, centres: NDArray[Any], labels: NDArray[np.int32]) -> NDArray[Any]:
        """The best centres of the codes with these labels; one without codes stays as it is."""
        ...


class CodeClusters(NamedTuple):
    """What the iterations end with.

    Attributes:
        centres: (k, ·).
        labels: (U,) int32.
        populations: (k,) int64, codes of each, as often as they come.
        distortion: mean distance of a code to its centre.
        history: distortion of each iteration.
    """

    centres: NDArray[Any]
    labels: NDArray[np.int32]
    populations: NDArray[np.int64]
    distortion: float
    history: list[float]


def iterate_codes(
    space: ClusteredSpace,
    count: int,
    *,
    start: Start,
    iterations: int,
    generator: np.random.Generator,
    checkpoints: Checkpoints = KEEP_NOTHING,
) -> CodeClusters:
    """Cluster distinct codes, at least k of them; ends once the distortion falls no more.

    A centre that is nobody's nearest takes the place of the code that lies worst, by its distance as often as it comes,
    each that of another code. The stage `iterations` of the checkpoints has what is done.
    """
    state = checkpoints.load(STAGE)
    if state is None:
        centres, history = space.centres_at(drawn_codes(space, count, start=start, generator=generator)), []
    else:
        centres, history = state["centres"], state["history"].tolist()
    labels, distances = space.nearest(centres)
    history = history or [_mean(space, distances)]
    for number in range(len(history) - 1, iterations):
        checkpoints.offer(STAGE, partial(_state, centres, history))
        moved = space.moved(centres, labels)
        _replace_empty(moved, labels, distances, space)
        new_labels, new_distances = space.nearest(moved, labels)
        distortion = _mean(space, new_distances)
        if distortion > history[-1]:  # float32 sums may round up at the end
            break
        ended = distortion == history[-1] and np.array_equal(labels, new_labels)
        centres, labels, distances = moved, new_labels, new_distances
        history.append(distortion)
        logger.info("iteration %d of %d at most: distortion %.6g", number + 1, iterations, distortion)
        if ended:
            break
    populations = np.bincount(labels, weights=space.weights, minlength=count).astype(np.int64)
    return CodeClusters(centres, labels, populations, history[-1], history)


def _state(centres: NDArray[Any], history: list[float]) -> dict[str, NDArray[Any]]:
    return {"centres": centres, "history": np.array(history)}


def _mean(space: CodeSpace, distances: NDArray[np.float64]) -> float:
    return float(space.weights @ distances / space.weights.sum(dtype=np.int64))


def _replace_empty(
    centres: NDArray[Any], labels: NDArray[np.int32], distances: NDArray[np.float64], space: ClusteredSpace
) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=len(centres)) == 0)
    if not len(empty):
        return
    errors = space.weights * distances
    least = np.partition(errors, -len(empty))[-len(empty)]
    worst = np.flatnonzero(errors >= least)
    worst = worst[np.argsort(-errors[worst], kind="stable")][: len(empty)]
    worst = worst[errors[worst] > 0]
    centres[empty[: len(worst)]] = space.centres_at(worst)
