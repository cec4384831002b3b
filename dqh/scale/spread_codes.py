"""Codes assigned to centres by an executor: what takes the time in each iteration of binary and PQ k-means.

The distinct codes are cut into partitions, each of which goes to a worker with the centres, and comes back as labels
and distances; starts, updates and empty centres stay with the space here. So every result is that of one process, to
the last bit.

U distinct codes, k centres.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.code_iterations import ClusteredSpace
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.errors import ConfigError, DqhError
from dqh.executors import RETRIES, Executor, Failure
from dqh.plural import counted

logger = logging.getLogger(__name__)

MOST_CODES = 2**21
"""Of a partition: its answer takes 24 MiB."""

MakeSpace = Callable[[DistinctCodes], ClusteredSpace]


class SpreadCodes:
    """Makes spaces whose codes an executor assigns; see `dqh.clustering.code_clusters.Spread`.

    Args:
        executor: that runs the partitions.
        partitions: how many at most; None for one a worker. More where one would have more than `MOST_CODES`.
        retries: attempts of a partition beyond the first.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(self, executor: Executor, *, partitions: int | None = None, retries: int = RETRIES) -> None:
        limits = {"partitions": (partitions, 1), "retries": (retries, 0)}
        problems = [
            f"{name} must be at least {least}, got {value}"
            for name, (value, least) in limits.items()
            if value is not None and value < least
        ]
        if problems:
            raise ConfigError(problems)
        self.executor, self.retries = executor, retries
        self.partitions = partitions or executor.workers

    def __call__(self, space: ClusteredSpace, codes: DistinctCodes, make: MakeSpace) -> ClusteredSpace:
        """The space with its codes assigned elsewhere."""
        return _SpreadSpace(self, space, codes, _Setup(make))


class _Assignment(NamedTuple):
    """Codes of a partition (n, ·), how often each comes (n,), and centres (k, ·)."""

    codes: NDArray[np.uint8]
    weights: NDArray[np.uint32]
    centres: NDArray[Any]


class _SpreadSpace:
    """A space but for `nearest`; see `ClusteredSpace`."""

    def __init__(self, job: SpreadCodes, space: ClusteredSpace, codes: DistinctCodes, setup: "_Setup") -> None:
        self.weights = space.weights
        self.between, self.to_nearest = space.between, space.to_nearest
        self.centres_at, self.moved = space.centres_at, space.moved
        self._job, self._codes, self._setup = job, codes, setup
        size = min(-(-len(codes.codes) // job.partitions), MOST_CODES)
        self._starts = range(0, len(codes.codes), size)

    def nearest(
        self, centres: NDArray[Any], last: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """See `ClusteredSpace.nearest`; the hint `last` stays here.

        Raises:
            DqhError: a partition failed: without its labels there are no centres.
        """
        total, size = len(self._codes.codes), self._starts.step
        labels, distances = np.empty(total, np.int32), np.empty(total, np.float64)
        partitions = [
            _Assignment(self._codes.codes[start : start + size], self._codes.weights[start : start + size], centres)
            for start in self._starts
        ]
        results = self._job.executor.run(self._setup, assigned, partitions, retries=self._job.retries)
        for number, result in results:
            if isinstance(result, Failure):
                raise DqhError(
                    f"partition {number} of {len(partitions)} failed ({counted(result.attempts, 'attempt')}): "
                    f"{result.reason}; mend that, and run the same command, which goes on from its last iteration"
                )
            part = slice(self._starts[number], self._starts[number] + size)
            labels[part], distances[part] = result
        return labels, distances


@dataclass(frozen=True)
class _Setup:
    """Makes the state of a worker: what makes spaces."""

    make: MakeSpace

    def __call__(self) -> MakeSpace:
        return self.make


def assigned(make: MakeSpace, partition: _Assignment) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nearest centre of each code of a partition, and its distance, (n,) each."""
    places = np.empty(0, np.int32)  # of codes that are not merged; no assignment asks for them
    return make(DistinctCodes(partition.codes, partition.weights, places)).nearest(partition.centres)
