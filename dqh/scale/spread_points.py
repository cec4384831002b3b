"""Points assigned to centres by an executor: what takes the time in iterations of k-means, and the pass of IQ-means.

Points are cut into partitions, each of which a worker reads once, codes from a part that lies in a folder, vectors from
where they are. An iteration sends it the centres, and takes back what centres are made of: whole numbers of codes, sums
of vectors in chunks that do not depend on partitions. They are added in the order of the partitions, so that every
result is that of one process, to the last bit. What is larger than `MOST_BYTES`, as labels and cells may be, comes as
a part too.

U distinct codes, N vectors, k centres.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_points import CHUNK, CellChunk, Space
from dqh.clustering.code_iterations import ClusteredSpace
from dqh.clustering.code_sums import CodeSums, WorstCodes, worst_codes
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.clustering.spreading import Opened
from dqh.clustering.vector_sums import SumTree, VectorSums
from dqh.executors import RETRIES, Executor
from dqh.progress import Progress
from dqh.scale.in_order import results_in_order
from dqh.scale.part_files import part_name, write_part
from dqh.scale.partition_points import (
    Arrays,
    MadeCodes,
    OpenedCells,
    OpenedLinks,
    OpenedRows,
    PointsQuestion,
    PointsSetup,
    answered,
    read_arrays_of,
)
from dqh.scale.spread_job import SpreadJob

MOST_CODES, MOST_VECTORS = 2**21, 2**20
"""Of a partition, beyond which there are more than were asked for."""


class SpreadPoints(SpreadJob):
    """Lets an executor assign points; see `dqh.clustering.spreading.Spread`.

    Arguments and errors as of `SpreadJob`; of codes there is one partition a worker where nobody says how many.
    """

    def __init__(
        self, executor: Executor, *, folder: Path, of: Path, partitions: int | None = None, retries: int = RETRIES
    ) -> None:
        super().__init__(executor, folder=folder, of=of, partitions=partitions, retries=retries)
        self._inputs: list[str] = []
        self._asked, self._run = 0, uuid.uuid4().hex  # answers of an earlier one may be about other points

    def codes(
        self, space: ClusteredSpace, codes: DistinctCodes, make: Callable[[DistinctCodes], ClusteredSpace]
    ) -> ClusteredSpace:
        """See `Spread.codes`; writes the codes into parts.

        Raises:
            ConfigError: the folder cannot be one, or holds something else.
            OSError: it cannot be written.
        """
        size = min(-(-len(codes.codes) // (self.asked_partitions or self.executor.workers)), MOST_CODES)
        starts = range(0, len(codes.codes), size)
        self._write([{"codes": codes.codes[at : at + size], "weights": codes.weights[at : at + size]} for at in starts])
        return _SpreadCodes(self, space, starts, PointsSetup(MadeCodes(make, self.folder)))

    def vectors(self, opened: Opened, total: int) -> "_SpreadVectors":
        """See `Spread.vectors`."""
        return _SpreadVectors(self, self._rows(total), PointsSetup(OpenedRows(opened)))

    def cells(self, opened: Opened, total: int, space: Space, start: int) -> Iterator[CellChunk]:
        """See `Spread.cells`.

        Raises:
            DqhError: a partition failed.
        """
        setup = PointsSetup(OpenedCells(opened, space))
        rows = [part for part in self._rows(total) if part.stop > start]
        rows = [slice(max(part.start, start), part.stop) for part in rows]
        for cells, counts, numbers, sizes, means, sums in self.answers(setup, rows, "chunks", (), verb="encoded"):
            firsts = np.cumsum(counts) - counts
            for place, (first, count) in enumerate(zip(firsts.tolist(), counts.tolist(), strict=True)):
                part, chunk = slice(first, first + count), slice(place * CHUNK, (place + 1) * CHUNK)
                yield CellChunk(cells[chunk], numbers[part], sizes[part], means[part], *sums[place].tolist())

    def links(self, codes: NDArray[np.uint8], radius: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """See `dqh.clustering.near_duplicates.Links`; errors as of `codes` and `answers`."""
        self._write([{"codes": codes[at : at + MOST_CODES]} for at in range(0, len(codes), MOST_CODES)])
        size = -(-len(codes) // self.partitions)
        rows = [slice(start, min(start + size, len(codes))) for start in range(0, len(codes), size)]
        setup = PointsSetup(OpenedLinks(self.folder, self._inputs, radius))
        for pairs in self.answers(setup, rows, "pairs", (), verb="compared"):
            yield pairs[0], pairs[1]

    def _write(self, parts: Sequence[dict[str, NDArray[Any]]]) -> None:
        """Write what workers read, named after its content."""
        self._inputs = [part_name({"of": [_digest(array) for array in part.values()]}) for part in parts]
        self.begin(self._inputs)
        for name, part in zip(self._inputs, parts, strict=True):
            write_part(self.folder, name, part, {})

    def answers(
        self,
        setup: PointsSetup,
        points: Sequence[Any],
        method: str,
        arguments: tuple[Any, ...],
        *,
        verb: str = "assigned",
    ) -> Iterator[Arrays]:
        """What a method of the points of each partition gives, in the order of the partitions.

        Raises:
            DqhError: a partition failed, or an answer is not in the folder.
            ConfigError, OSError: the folder cannot be one, or not be written.
        """
        self._asked += 1
        names = [part_name({"run": self._run, "asked": self._asked, "points": str(part)}) for part in points]
        self.begin([*self._inputs, *names])
        questions = [
            PointsQuestion(self.folder, part, method, arguments, name) for part, name in zip(points, names, strict=True)
        ]
        progress = Progress(verb, len(points), noun="partitions")
        results = results_in_order(
            self.executor, setup, answered, questions, retries=self.retries, done=lambda number: progress.advance(1)
        )
        for name, result in zip(names, results, strict=True):
            yield read_arrays_of(self.folder, name) if result is None else result

    def _rows(self, total: int) -> list[slice]:
        """Partitions of vectors: as many whole chunks each as a power of two, see `dqh.clustering.vector_sums`."""
        chunks = -(-total // CHUNK)
        most = -(-chunks // self.partitions)
        size = CHUNK * min(1 << (most - 1).bit_length(), MOST_VECTORS // CHUNK)
        return [slice(start, min(start + size, total)) for start in range(0, total, size)]


class _SpreadCodes:
    """A space but for what its codes are nearest to; see `ClusteredSpace`."""

    def __init__(self, job: SpreadPoints, space: ClusteredSpace, starts: range, setup: PointsSetup) -> None:
        self.weights, self.between, self.to_nearest = space.weights, space.between, space.to_nearest
        self.centres_at, self.moved, self.error = space.centres_at, space.moved, space.error
        self._job, self._starts, self._setup = job, starts, setup

    def sums(self, centres: NDArray[Any]) -> CodeSums:
        """See `ClusteredSpace.sums`."""
        first, *others = (CodeSums(*arrays) for arrays in self._answers("sums", centres))
        for sums in others:
            first = first.plus(sums)
        return first

    def worst(self, centres: NDArray[Any], count: int) -> WorstCodes:
        """See `ClusteredSpace.worst`."""
        worst = [WorstCodes(*arrays) for arrays in self._answers("worst", centres, count)]
        places = np.concatenate([start + part.places for start, part in zip(self._starts, worst, strict=True)])
        order = np.argsort(places)
        return worst_codes(places[order], np.concatenate([part.errors for part in worst])[order], count)

    def labels(self, centres: NDArray[Any]) -> NDArray[np.int32]:
        """See `ClusteredSpace.labels`."""
        return np.concatenate([labels for (labels,) in self._answers("labels", centres)])

    def _answers(self, method: str, *arguments: Any) -> Iterator[Arrays]:
        return self._job.answers(self._setup, self._job._inputs, method, arguments)


class _SpreadVectors:
    """See `AssignedVectors`."""

    def __init__(self, job: SpreadPoints, rows: Sequence[slice], setup: PointsSetup) -> None:
        self._job, self._rows, self._setup = job, rows, setup

    def sums(self, centres: NDArray[np.float32], *, after: Callable[[], None] | None = None) -> VectorSums:
        """See `AssignedVectors.sums`."""
        tree = SumTree()
        for arrays in self._job.answers(self._setup, self._rows, "sums", (centres,)):
            tree.add(VectorSums(*arrays))
        return tree.total()

    def assigned(self, centres: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """See `AssignedVectors.assigned`."""
        parts = self._job.answers(self._setup, self._rows, "assigned", (centres,))
        labels, distances = zip(*parts, strict=True)
        return np.concatenate(labels), np.concatenate(distances)


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).data).hexdigest()
