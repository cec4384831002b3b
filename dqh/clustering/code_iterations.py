"""Lloyd's iterations on distinct codes, whatever their distance: assignment to the nearest centre and update in turns.

U distinct codes, k centres.
"""

import logging
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.code_starts import CodeSpace, Start, drawn_codes
from dqh.clustering.code_sums import CodeSums, WorstCodes
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints

logger = logging.getLogger(__name__)

STAGE = "iterations"
"""Of checkpoints."""


class ClusteredSpace(CodeSpace, Protocol):
    """Distinct codes, and what centres of them are."""

    def centres_at(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Codes (m, ·) by their places, as centres."""
        ...

    def sums(self, centres: NDArray[Any]) -> CodeSums:
        """What the codes nearest to each of centres (k, ·) come to, of equally near ones the first."""
        ...

    def worst(self, centres: NDArray[Any], count: int) -> WorstCodes:
        """The codes that lie worst, at most `count`."""
        ...

    def labels(self, centres: NDArray[Any]) -> NDArray[np.int32]:
        """The nearest centre of each code (U,)."""
        ...

    def error(self, centres: NDArray[Any], sums: CodeSums) -> float:
        """The distances of all codes to their centres, as often as they come, by their sums."""
        ...

    def moved(self, centres: NDArray[Any], sums: CodeSums) -> NDArray[Any]:
        """The best centres of codes with these sums; one without codes stays as it is."""
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
    total = int(space.weights.sum(dtype=np.int64))
    sums = space.sums(centres)
    history = history or [space.error(centres, sums) / total]
    for number in range(len(history) - 1, iterations):
        checkpoints.offer(STAGE, partial(_state, centres, history))
        moved = space.moved(centres, sums)
        _replace_empty(moved, centres, sums, space)
        new_sums = space.sums(moved)
        distortion = space.error(moved, new_sums) / total
        if distortion > history[-1]:  # what is near in float32 need not be nearest
            break
        ended = distortion == history[-1] and new_sums.equals(sums)
        centres, sums = moved, new_sums
        history.append(distortion)
        logger.info("iteration %d of %d at most: distortion %.6g", number + 1, iterations, distortion)
        if ended:
            break
    return CodeClusters(centres, space.labels(centres), sums.counts, history[-1], history)


def _state(centres: NDArray[Any], history: list[float]) -> dict[str, NDArray[Any]]:
    return {"centres": centres, "history": np.array(history)}


def _replace_empty(moved: NDArray[Any], centres: NDArray[Any], sums: CodeSums, space: ClusteredSpace) -> None:
    empty = np.flatnonzero(sums.counts == 0)
    if len(empty):
        worst = space.worst(centres, len(empty)).places
        moved[empty[: len(worst)]] = space.centres_at(worst)
