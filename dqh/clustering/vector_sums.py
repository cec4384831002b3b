"""What assignment of vectors to centres comes to: sums of chunks, added in pairs.

Floating sums depend on their order. Here it hangs on the chunks alone: sums of two neighbouring chunks are added, those
of two such pairs, and so on, so that whoever has as many chunks as a power of two, from a multiple of it on, has what
the whole is made of, to the last bit.

N vectors of D dimensions, k centres.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.clustering.cell_points import Vectors, finite_rows
from dqh.quantizers.kmeans import nearest


class VectorSums(NamedTuple):
    """Of the vectors that are nearest to each centre.

    Attributes:
        sums: (k, D) float64.
        counts: (k,) int64.
        errors: (k,) float64, sums of squared distances.
        farthest: (k,) int64, row of the farthest, the first of several; -1 where there is none.
        reach: (k,) float32, its squared distance; -1 where there is none.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    errors: NDArray[np.float64]
    farthest: NDArray[np.int64]
    reach: NDArray[np.float32]

    @property
    def error(self) -> float:
        """The sum of all squared distances."""
        return float(self.errors.sum())

    def plus(self, later: "VectorSums") -> "VectorSums":
        """With those of the vectors behind them."""
        farther = later.reach > self.reach
        return VectorSums(
            self.sums + later.sums,
            self.counts + later.counts,
            self.errors + later.errors,
            np.where(farther, later.farthest, self.farthest),
            np.where(farther, later.reach, self.reach),
        )


def chunk_sums(
    rows: NDArray[np.float32], labels: NDArray[np.int32], distances: NDArray[np.float32], *, first: int, clusters: int
) -> VectorSums:
    """Of vectors (m, D) from row `first` on, with the centres (m,) that they belong to, and squared distances (m,)."""
    whole = VectorSums(
        np.zeros((clusters, rows.shape[1]), np.float64),
        np.zeros(clusters, np.int64),
        np.zeros(clusters, np.float64),
        np.full(clusters, -1, np.int64),
        np.full(clusters, -1, np.float32),
    )
    order = np.lexsort((-np.arange(len(labels)), distances, labels))
    own, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    last = order[starts + sizes - 1]
    whole.sums[own] = np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)
    whole.counts[own] = sizes
    whole.errors[own] = np.add.reduceat(distances[order], starts, dtype=np.float64)
    whole.farthest[own], whole.reach[own] = first + last, distances[last]
    return whole


class SumTree:
    """Sums of chunks while they come in, one after another.

    Args:
        nodes: sums of as many chunks as the powers of two in `number`, the most first.
        number: chunks so far.
    """

    def __init__(self, nodes: Sequence[VectorSums] = (), number: int = 0) -> None:
        self.nodes, self.number = list(nodes), number

    def add(self, sums: VectorSums) -> None:
        """Take in the sums of the next chunk."""
        self.number += 1
        number = self.number
        while number % 2 == 0:
            sums, number = self.nodes.pop().plus(sums), number // 2
        self.nodes.append(sums)

    def total(self) -> VectorSums:
        """Of all chunks, at least one."""
        *others, whole = self.nodes
        for node in reversed(others):
            whole = node.plus(whole)
        return whole


class AssignedVectors(Protocol):
    """Vectors, and what they are nearest to, in this process or elsewhere."""

    def sums(self, centres: NDArray[np.float32], *, after: Callable[[], None] = ...) -> VectorSums:
        """Of the vectors nearest to each of centres (k, D), of equally near ones the first.

        `after` is called behind each part of the work.
        """
        ...

    def assigned(self, centres: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The nearest centre of each vector, and its squared distance, (N,) each."""
        ...


def nothing() -> None:
    """Is called where nobody waits."""


class VectorRows:
    """Some rows of vectors, with the answers for the centres that they were compared with last.

    Args:
        vectors: (N, D).
        rows: of them, from the first row of a chunk on.
        chunk: vectors that are read at a time.

    Attributes:
        done: rows that are compared with the latest centres.
    """

    def __init__(self, vectors: Vectors, rows: slice, *, chunk: int) -> None:
        self._vectors, self._rows, self._chunk = vectors, rows, chunk
        self._labels = np.empty(rows.stop - rows.start, np.int32)
        self._distances = np.empty(rows.stop - rows.start, np.float32)
        self._centres: NDArray[np.float32] | None = None
        self._tree, self.done = SumTree(), 0

    def sums(self, centres: NDArray[np.float32], *, after: Callable[[], None] = nothing) -> VectorSums:
        """See `AssignedVectors.sums`; goes on where these centres were begun with."""
        if self._centres is None or not np.array_equal(centres, self._centres):
            self._tree, self.done, self._centres = SumTree(), 0, centres.copy()
        middle = centres.mean(axis=0, dtype=np.float64).astype(np.float32)  # a common offset would cost digits
        points = torch.from_numpy(centres - middle)
        while self.done < len(self._labels):
            first = self._rows.start + self.done
            vectors = finite_rows(self._vectors, first, min(first + self._chunk, self._rows.stop))
            labels, distances = (part.numpy() for part in nearest(torch.from_numpy(vectors - middle), points))
            part = slice(self.done, self.done + len(vectors))
            self._labels[part], self._distances[part] = labels, distances
            self._tree.add(chunk_sums(vectors, labels, distances, first=first, clusters=len(centres)))
            self.done += len(vectors)
            after()
        return self._tree.total()

    def assigned(self, centres: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """See `AssignedVectors.assigned`."""
        self.sums(centres)
        return self._labels, self._distances

    def state(self) -> dict[str, NDArray[Any]]:
        """What `restore` takes."""
        names = VectorSums._fields
        arrays = {name: np.stack([getattr(node, name) for node in self._tree.nodes]) for name in names}
        return arrays | {"labels": self._labels[: self.done], "distances": self._distances[: self.done]}

    def restore(self, centres: NDArray[np.float32], state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state, which belongs to these centres."""
        self._centres, self.done = centres.copy(), len(state["labels"])
        self._labels[: self.done], self._distances[: self.done] = state["labels"], state["distances"]
        nodes = [VectorSums(*node) for node in zip(*(state[name] for name in VectorSums._fields), strict=True)]
        self._tree = SumTree(nodes, -(-self.done // self._chunk))
