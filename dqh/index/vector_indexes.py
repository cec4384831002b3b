"""Approximate indexes of float vectors by faiss, which count what a query is compared with: what codes compete with.

    ivf_flat   inverted lists of vectors: those around the centres that are nearest to the query are compared with it
    ivfpq      the same lists of product-quantized residuals (Jégou, Douze and Schmid 2011)
    hnsw       a graph of vectors, walked towards the query (Malkov and Yashunin 2020)

They are made of vectors and keep them, but for `ivfpq`; engines over codes are in `dqh.index.engines`. Distances are
squared L2, equal ones in the order of faiss. Counts come from statistics that faiss keeps for a whole process, so that
no other search may run beside `work`.

N vectors of D dimensions, L lists, M subspaces of K codewords, Q queries, k answers a query.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dqh.lazy import faiss
from dqh.ranking import Ranking
from dqh.ranking.side import Features

LINKS = 16
"""Neighbours of a vector in a graph; twice as many on its lowest level."""


class Work(NamedTuple):
    """With how much a query is compared: means over the queries.

    Attributes:
        vectors: float vectors, centres of lists among them.
        codes: codes.
    """

    vectors: float
    codes: float = 0.0


class VectorIndex(ABC):
    """An index of faiss over float vectors, searched with more or less effort.

    Attributes:
        name: of the method.
        knob: what faiss calls the effort.
        index: of faiss.
        item_bytes: of a vector or code, its number and its links.
        shared_bytes: of centres and codebooks, which all items share.
    """

    name: ClassVar[str]
    knob: ClassVar[str]
    index: Any
    item_bytes: float
    shared_bytes: int

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @abstractmethod
    def set_effort(self, value: int) -> None:
        """Set the knob, at least 1."""

    @property
    @abstractmethod
    def most_effort(self) -> int:
        """The effort from which more changes nothing."""

    @abstractmethod
    def work(self, queries: Features, k: int) -> Work:
        """Search, and count what queries (Q, D), at least one, are compared with."""

    def search(self, queries: Features, k: int) -> Ranking:
        """The nearest vectors that it comes across of queries (Q, D), (Q, k), padded."""
        distances, rows = self.index.search(np.ascontiguousarray(queries, np.float32), min(k, len(self)))
        return Ranking(rows.astype(np.int64), np.where(rows < 0, np.float32(np.inf), distances)).padded(k)


class _Lists(VectorIndex):
    """What inverted lists have in common; `nprobe` of them are looked into."""

    knob = "nprobe"

    def set_effort(self, value: int) -> None:
        """Lists that a query looks into."""
        self.index.nprobe = value

    @property
    def most_effort(self) -> int:
        """All lists."""
        return int(self.index.nlist)

    def _fill(self, vectors: Features, *, seed: int) -> None:
        self.index.cp.seed, self.index.cp.min_points_per_centroid = seed, 1
        values = np.ascontiguousarray(vectors, np.float32)
        self.index.train(values)
        self.index.add(values)

    def _in_lists(self, queries: Features, k: int) -> float:
        counts = _statistics().indexIVF_stats
        counts.reset()
        self.search(queries, k)
        return float(counts.ndis) / len(queries)


class InvertedFile(_Lists):
    """faiss's `IndexIVFFlat`: vectors in lists around centres of k-means.

    Args:
        vectors: (N, D) float32 or float16, finite, at least one.
        lists: L, 1 to N.
        seed: of the k-means.

    Raises:
        ValueError: no vectors, or lists out of range.
    """

    name = "ivf_flat"

    def __init__(self, vectors: Features, *, lists: int, seed: int = 0) -> None:
        _, dimension = _require_vectors(vectors, lists=lists)
        self.index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension), dimension, lists)
        self._fill(vectors, seed=seed)
        self.item_bytes = 4 * dimension + _ID_BYTES
        self.shared_bytes = 4 * lists * dimension

    def work(self, queries: Features, k: int) -> Work:
        """The centres, and what is in the lists."""
        return Work(vectors=self.index.nlist + self._in_lists(queries, k))


class InvertedCodes(_Lists):
    """faiss's `IndexIVFPQ`: codes of what is left of a vector behind the centre of its list.

    Args:
        vectors: (N, D) float32 or float16, finite.
        lists: L, 1 to N.
        subspaces: M, which divides D.
        codewords: K, a power of two up to 4,096, at most N.
        training: residuals that the codebooks learn from, about as many at most; K or more.
        seed: of all k-means.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "ivfpq"

    def __init__(
        self,
        vectors: Features,
        *,
        lists: int,
        subspaces: int,
        codewords: int = 256,
        training: int = 2**16,
        seed: int = 0,
    ) -> None:
        count, dimension = _require_vectors(vectors, lists=lists)
        width = codewords.bit_length() - 1
        if dimension % subspaces or codewords != 1 << width or not 1 <= width <= _LARGEST_WIDTH or codewords > count:
            raise ValueError(
                f"subspaces must divide the {dimension} dimensions, and codewords be a power of two from 2 to "
                f"{min(2**_LARGEST_WIDTH, count):,}, the vectors there are, got {subspaces} and {codewords}"
            )
        self.index = faiss.IndexIVFPQ(faiss.IndexFlatL2(dimension), dimension, lists, subspaces, width)
        books = self.index.pq.cp
        books.seed, books.niter, books.min_points_per_centroid = seed, self.index.cp.niter, 1
        books.max_points_per_centroid = max(1, training // codewords)
        self._fill(vectors, seed=seed)
        self.item_bytes = self.index.code_size + _ID_BYTES
        tables = faiss.vector_to_array(self.index.precomputed_table).nbytes if self.index.use_precomputed_table else 0
        self.shared_bytes = 4 * (lists + codewords) * dimension + tables

    def work(self, queries: Features, k: int) -> Work:
        """The centres, and the codes in the lists."""
        return Work(vectors=self.index.nlist, codes=self._in_lists(queries, k))


class VectorGraph(VectorIndex):
    """faiss's `IndexHNSWFlat`: vectors linked with their neighbours on levels, of which the upper ones hold few.

    Args:
        vectors: (N, D) float32 or float16, finite, at least one.

    Raises:
        ValueError: no vectors.
    """

    name = "hnsw"
    knob = "efSearch"

    def __init__(self, vectors: Features) -> None:
        count, dimension = _require_vectors(vectors)
        self.index = faiss.IndexHNSWFlat(dimension, LINKS)
        self.index.add(np.ascontiguousarray(vectors, np.float32))
        graph = self.index.hnsw
        links = 4 * graph.neighbors.size() + 8 * graph.offsets.size() + 4 * graph.levels.size()
        self.item_bytes = 4 * dimension + links / count
        self.shared_bytes = 0

    def set_effort(self, value: int) -> None:
        """Vectors that a search keeps as places to go on from."""
        self.index.hnsw.efSearch = value

    @property
    def most_effort(self) -> int:
        """All vectors."""
        return len(self)

    def work(self, queries: Features, k: int) -> Work:
        """The vectors on its way."""
        counts = _statistics().hnsw_stats
        counts.reset()
        self.search(queries, k)
        return Work(vectors=float(counts.ndis) / len(queries))


_ID_BYTES = 8
"""Of the number of an item in a list."""

_LARGEST_WIDTH = 12
"""Bits of a codeword's number at most."""


def _statistics() -> Any:
    """What faiss counts while it searches, in this process."""
    return faiss.cvar


def _require_vectors(vectors: Features, *, lists: int = 1) -> tuple[int, int]:
    """N and D, where there are vectors and no fewer than lists."""
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"vectors must have shape (N, D), at least one of them, got {vectors.shape}")
    if not 1 <= lists <= len(vectors):
        raise ValueError(f"lists must be from 1 to the number of vectors, {len(vectors):,}, got {lists:,}")
    return vectors.shape[0], vectors.shape[1]
