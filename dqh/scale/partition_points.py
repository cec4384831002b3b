"""Points of a partition in a worker, and what it answers about them; who asks is `dqh.scale.spread_points`."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_points import CHUNK, Space, chunks_of_vectors
from dqh.clustering.code_iterations import ClusteredSpace
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.clustering.near_duplicates import linked_codes
from dqh.clustering.spreading import Opened
from dqh.clustering.vector_sums import VectorRows
from dqh.index.bit_scans import BitScan, bit_scan
from dqh.scale.part_files import read_part, required, write_part

MOST_BYTES = 2**25
"""Of an answer that a worker sends; a larger one it writes."""

HELD = 4
"""Partitions that a worker keeps from one iteration to the next, with what they were nearest to."""

Arrays = Sequence[NDArray[Any]]


class PointsQuestion(NamedTuple):
    """What a worker is asked about the points of a partition; `answer` is the part that a large answer becomes."""

    folder: Path
    points: Any
    method: str
    arguments: tuple[Any, ...]
    answer: str


class HeldPoints:
    """The state of a worker: the points of the partitions that it had last."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make, self._points = make, OrderedDict[str, Any]()

    def points(self, partition: Any) -> Any:
        """Those of a partition."""
        name = str(partition)
        if name not in self._points:
            self._points[name] = self._make(partition)
        self._points.move_to_end(name)
        while len(self._points) > HELD:
            self._points.popitem(last=False)
        return self._points[name]


@dataclass(frozen=True)
class PointsSetup:
    """Makes the state of a worker from what makes points of a partition."""

    make: Any

    def __call__(self) -> HeldPoints:
        """That of a worker without points yet."""
        return HeldPoints(self.make)


@dataclass(frozen=True)
class MadeCodes:
    """Makes points of codes that are a part in a folder."""

    make: Callable[[DistinctCodes], ClusteredSpace]
    folder: Path

    def __call__(self, name: str) -> ClusteredSpace:
        """Those of a part."""
        codes, weights = read_arrays_of(self.folder, name)
        return self.make(DistinctCodes(codes, weights, np.empty(0, np.int32)))


class OpenedRows:
    """Makes points of rows of vectors, which a worker opens itself."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def __call__(self, rows: slice) -> VectorRows:
        """Those of some rows."""
        return VectorRows(self._opened(), rows, chunk=CHUNK)


@dataclass(frozen=True)
class OpenedCells:
    """Makes points of rows of vectors that become cells."""

    opened: Opened
    space: Space

    def __call__(self, rows: slice) -> "CellRows":
        """Those of some rows."""
        return CellRows(self, rows)


class CellRows(NamedTuple):
    """Some rows of vectors, as cells."""

    of: OpenedCells
    rows: slice

    def chunks(self) -> Arrays:
        """All fields of the chunks behind one another, and how many cells each has."""
        of, rows = self.of, self.rows
        chunks = list(chunks_of_vectors(of.opened(), of.space, start=rows.start, stop=rows.stop))
        cells, numbers, sizes, means = (np.concatenate([chunk[field] for chunk in chunks]) for field in range(4))
        counts = np.array([len(chunk.numbers) for chunk in chunks])
        return cells, counts, numbers, sizes, means, np.array([(chunk.square, chunk.error) for chunk in chunks])


class OpenedLinks:
    """Codes that a worker reads once, and searches for each partition."""

    def __init__(self, folder: Path, names: Sequence[str], radius: int) -> None:
        self._folder, self._names, self._radius = folder, names, radius

    def __call__(self, rows: slice) -> "LinkRows":
        """Those of some rows."""
        return LinkRows(self, rows)

    @cached_property
    def searched(self) -> tuple[NDArray[np.uint8], BitScan]:
        """The codes, and the scan of them."""
        codes = np.concatenate([read_arrays_of(self._folder, name)[0] for name in self._names])
        scan = bit_scan(codes.shape[1])
        scan.add(codes)
        return codes, scan

    def pairs(self, rows: slice) -> Arrays:
        """See `linked_codes`."""
        return linked_codes(*self.searched, self._radius, rows)


class LinkRows(NamedTuple):
    """Some rows of codes, which are compared with all."""

    of: OpenedLinks
    rows: slice

    def pairs(self) -> Arrays:
        """See `linked_codes`."""
        return self.of.pairs(self.rows)


def answered(held: HeldPoints, question: PointsQuestion) -> Arrays | None:
    """What the points of a partition have to say; None where that is in the part `answer`.

    Raises:
        DqhError: the points are not there.
        OSError: the answer cannot be written.
    """
    value = getattr(held.points(question.points), question.method)(*question.arguments)
    arrays = tuple(value) if isinstance(value, tuple) else (value,)
    if sum(array.nbytes for array in arrays) <= MOST_BYTES and question.method in ("sums", "worst"):
        return arrays
    write_part(question.folder, question.answer, {f"{place:02}": array for place, array in enumerate(arrays)}, {})
    return None


def read_arrays_of(folder: Path, name: str) -> Arrays:
    """The arrays of a part, by the order of their names; `DqhError` where it is not there."""
    arrays = required(read_part(folder, name), folder, name).arrays
    return tuple(arrays[field] for field in sorted(arrays))
