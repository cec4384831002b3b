"""What the approximate engines of faiss have in common: how they are asked, and how they are kept in a file.

Q queries, N items, B bits a code, k answers a query.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from dqh.codes import code_bytes
from dqh.index.aqd import CodebookQuantizer
from dqh.index.engines.engine import BuiltEngine, ordered
from dqh.index.faiss_export import serial
from dqh.lazy import faiss
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking

SEED = 0
LINKS, BREADTH = 32, 128
"""Neighbours an item in a graph, and items that a search of it keeps at least."""

_LOOKED_AT = 2**14
"""Rows of a graph whose links are checked at a time."""

_PROBES, _LEAST_PROBES = 1 / 16, 8
"""Share of the inverted lists that a query looks into, and how many at least."""


class FaissEngine(BuiltEngine):
    """An index of faiss as an engine.

    Attributes:
        binary: whether the index takes codes of queries, as those of binary codes do, and not embeddings.
        index_type: of the index in faiss, behind a rotation where there is one.
        index: of faiss, over rows 0 … N − 1.

    Args:
        quantizer: makes codes of queries, where the index is a binary one.
        index: of faiss.
    """

    exact: ClassVar[bool] = False
    binary: ClassVar[bool]
    index_type: ClassVar[str]

    def __init__(self, quantizer: Quantizer, index: Any) -> None:
        self._quantizer = quantizer
        self.index = index

    @classmethod
    @abstractmethod
    def index_over(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Any:
        """The index of faiss over codes (N, ⌈B / 8⌉), at least one."""

    @classmethod
    def build(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Self:
        """Over codes (N, ⌈B / 8⌉), at least one."""
        return cls(quantizer, cls.index_over(quantizer, codes, distance))

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The nearest rows that the index comes across; `ip` is given as its negative."""
        if self.binary:
            queries: NDArray[Any] = self._quantizer.encode(embeddings)
        else:
            queries = np.ascontiguousarray(embeddings, np.float32)
        count = min(k, self.index.ntotal)
        distances, rows = self.index.search(queries, count)
        inner = getattr(self.index, "metric_type", faiss.METRIC_L2) == faiss.METRIC_INNER_PRODUCT
        distances = np.where(rows < 0, np.inf, -distances if inner else distances).astype(np.float32)
        return ordered(*Ranking(rows.astype(np.int64), distances).padded(k))

    def save(self) -> bytes:
        """The index as faiss writes it."""
        return serial(self.index)

    @classmethod
    @abstractmethod
    def stored(cls, index: Any, quantizer: Quantizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Rows and their codes as an index of this type holds them; how it is searched is set to what is so here.

        Raises:
            ValueError: what it holds beside codes is not for this quantizer, or would lead out of its memory.
        """

    @classmethod
    def load(
        cls,
        quantizer: Quantizer,
        content: NDArray[np.uint8],
        rows: int,
        codes: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
        *,
        distance: str | None = None,
    ) -> Self:
        """The engine of what `save` gave, which anybody may have written: its rows and codes are compared.

        Where lists or a graph lead is not: a file that was made to find little finds little, as `recall` tells.

        `content` is uint8, `codes` gives those of some rows, and the distance is of product-quantized codes.

        Raises:
            ValueError: it holds another index, or one of other rows or codes.
            RuntimeError: faiss cannot read it.
        """
        with _sizes_up_to(len(content)):
            index: Any = faiss.deserialize_index_binary(content) if cls.binary else faiss.deserialize_index(content)
        inner: Any = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
        dimension = 8 * code_bytes(quantizer.bits) if cls.binary else quantizer.dimension
        sizes = {(part.ntotal, part.d) for part in (index, inner)}
        if type(inner).__name__ != cls.index_type or sizes != {(rows, dimension)}:
            raise ValueError(f"it holds a {type(inner).__name__} of {index.ntotal} items and {index.d} dimensions")
        if not cls.binary:
            metric = faiss.METRIC_INNER_PRODUCT if (distance or quantizer.distance) == "ip" else faiss.METRIC_L2
            if {index.metric_type, inner.metric_type} != {metric}:
                raise ValueError("it compares by another distance")
            _require_rotation(index, cast(CodebookQuantizer, quantizer).rotation)
        left = np.ones(rows, np.bool_)
        for numbers, held in cls.stored(inner, quantizer):
            if numbers.size and not (int(numbers.min()) >= 0 and int(numbers.max()) < rows):
                raise ValueError(f"it holds rows beyond the {rows} of the index")
            if not left[numbers].all() or not np.array_equal(codes(numbers), held):
                raise ValueError("it holds other codes than the index")
            left[numbers] = False
        if left.any():
            raise ValueError(f"it lacks {left.sum()} of {rows} rows")
        return cls(quantizer, index)


@contextmanager
def _sizes_up_to(count: int) -> Iterator[None]:
    """No vector of more bytes is read, and nothing more often: else a size that is wrong fills the memory."""
    limits: Any = faiss
    if not hasattr(limits, "set_deserialization_loop_limit"):  # of faiss 1.14
        yield
        return
    before = limits.get_deserialization_vector_byte_limit(), limits.get_deserialization_loop_limit()
    limits.set_deserialization_vector_byte_limit(count)
    limits.set_deserialization_loop_limit(count)
    try:
        yield
    finally:
        limits.set_deserialization_vector_byte_limit(before[0])
        limits.set_deserialization_loop_limit(before[1])


def lists_of(index: Any) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Rows and codes of the inverted lists of an index, a list at a time; it looks into as many as `probes` says."""
    lists = index.invlists
    if index.nlist != list_count(index.ntotal) or {lists.nlist, index.quantizer.ntotal} != {index.nlist}:
        raise ValueError(f"it has {index.nlist} lists around {index.quantizer.ntotal} centres")
    if lists.code_size != index.code_size or index.quantizer.d != index.d:
        raise ValueError("its lists hold codes of another length")
    index.nprobe = probes(index.nlist)
    for number in range(index.nlist):
        if size := lists.list_size(number):
            rows = faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
            held = faiss.rev_swig_ptr(lists.get_codes(number), size * lists.code_size).reshape(size, -1).copy()
            if len(np.unique(rows)) < size:
                raise ValueError("it holds a row twice")
            yield rows, held


def require_graph(graph: Any, rows: int) -> None:
    """Raise `ValueError` unless every link of a graph of faiss leads to one of N rows that is on its level.

    How broadly it is searched is set to `BREADTH`.
    """
    graph.efSearch, graph.search_bounded_queue, graph.check_relative_distance = BREADTH, True, True
    levels, offsets, links, ends = (
        faiss.vector_to_array(values).astype(np.int64)
        for values in (graph.levels, graph.offsets, graph.neighbors, graph.cum_nneighbor_per_level)
    )
    fresh = faiss.IndexHNSWFlat(1, LINKS)
    wanted = faiss.vector_to_array(fresh.hnsw.cum_nneighbor_per_level).astype(np.int64)
    fits = (
        np.array_equal(ends[: len(wanted)], wanted[: len(ends)])
        and len(levels) == rows
        and bool(((levels >= 1) & (levels < len(ends))).all())
        and np.array_equal(offsets, np.concatenate([[0], np.cumsum(ends[levels])]))
        and len(links) == offsets[-1]
        and bool(((links >= -1) & (links < rows)).all())
        and 0 <= graph.entry_point < rows
        and levels[graph.entry_point] == levels.max() == graph.max_level + 1
    )
    if not fits:
        raise ValueError("its graph does not hold together")
    for start in range(0, rows, _LOOKED_AT):
        nodes = np.arange(start, min(start + _LOOKED_AT, rows))
        edges = slice(offsets[start], offsets[nodes[-1] + 1])
        owner = np.repeat(nodes, ends[levels[nodes]])
        place = np.arange(edges.start, edges.stop) - offsets[owner]
        level = np.searchsorted(ends, place, side="right") - 1
        linked = links[edges] >= 0
        if not (levels[links[edges][linked]] > level[linked]).all():
            raise ValueError("its graph links rows of different levels")


def require_codebooks(index: Any, quantizer: CodebookQuantizer) -> None:
    """Raise `ValueError` unless an index of faiss has the codebooks of a quantizer."""
    books, product = quantizer.codebooks, index.pq
    same = (product.M, product.ksub, product.dsub) == books.shape
    if not same or not np.array_equal(faiss.vector_to_array(product.centroids), books.ravel()):
        raise ValueError("it has other codebooks")


def _require_rotation(index: Any, rotation: NDArray[np.float32] | None) -> None:
    turned = isinstance(index, faiss.IndexPreTransform)
    if turned != (rotation is not None):
        raise ValueError("it has a rotation or none, where the codes have none or one")
    if rotation is not None:
        chain: list[Any] = [
            faiss.downcast_VectorTransform(index.chain.at(number)) for number in range(index.chain.size())
        ]
        turns = [
            faiss.vector_to_array(transform.A) for transform in chain if isinstance(transform, faiss.LinearTransform)
        ]
        if len(chain) != 1 or len(turns) != 1 or not np.array_equal(turns[0], rotation.T.ravel()) or chain[0].have_bias:
            raise ValueError("it has another rotation")


def list_count(rows: int) -> int:
    """How many inverted lists are made for so many rows."""
    wanted: int = round(4 * rows**0.5)
    return min(rows, max(1, wanted))


def probes(lists: int) -> int:
    """How many of the inverted lists a query looks into."""
    return min(lists, max(_LEAST_PROBES, round(_PROBES * lists)))
