"""Coarse engines behind one interface: exact scans, and approximate ones of faiss for large collections.

    hamming      exact, binary codes          aqd          exact, product-quantized codes
    binary_ivf   inverted lists, binary       ivfpq        inverted lists, product-quantized
    binary_hnsw  graph, binary                hnsw         graph, product-quantized

Engines know rows 0 … N − 1 and nothing of ids, paths or deleted rows: they are built anew from the codes of a version
and are never the source of truth. None of them filters; a filtered search is an exact one over the rows that are left.

Q queries, N items, B bits a code, D dimensions, M subspaces, k answers a query.
"""

from typing import Any, NamedTuple, Protocol, cast

import faiss
import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import AQDIndex, CodebookQuantizer, Distance
from dqh.index.faiss_export import index_ivfpq
from dqh.index.hamming import HammingIndex
from dqh.quantizers import ProductQuantizer, Quantizer
from dqh.ranking import Ranking

EXACT_ROWS = {"binary": 10_000_000, "pq": 2_000_000}
"""Up to so many rows an exact scan answers a query in about 10 ms on one core, by the speed of faiss 1.15."""

PROBES, LEAST_PROBES = 1 / 16, 8
"""Share of the inverted lists that a query looks into, and how many at least."""

LINKS, BREADTH = 32, 128
"""Neighbours an item in a graph, and items that a search of it keeps at least."""

_SCAN = 2**18
_DECODED = 2**14
_SEED = 0


class CoarseEngine(Protocol):
    """Finds the nearest rows of query embeddings by their codes."""

    name: str

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The k nearest rows of each query, equal distances by row; what an engine does not find is padded."""
        ...


class ExactEngine(CoarseEngine, Protocol):
    """One that leaves nothing out."""

    def within(self, embedding: NDArray[np.floating[Any]], radius: float) -> Ranking:
        """All rows at most `radius` away from one query (1, D), as a ranking of one row, equal distances by row."""
        ...


class EngineKind(NamedTuple):
    """What is known of an engine before it is built.

    Attributes:
        codes: `binary` or `pq`.
        exact: whether it leaves nothing out.
    """

    codes: str
    exact: bool


ENGINES = {
    "hamming": EngineKind("binary", exact=True),
    "binary_ivf": EngineKind("binary", exact=False),
    "binary_hnsw": EngineKind("binary", exact=False),
    "aqd": EngineKind("pq", exact=True),
    "ivfpq": EngineKind("pq", exact=False),
    "hnsw": EngineKind("pq", exact=False),
}


def codes_of(quantizer: Quantizer) -> str:
    """`pq` for product-quantized codes, else `binary`."""
    return "pq" if isinstance(quantizer, ProductQuantizer) else "binary"


def distance_of(quantizer: Quantizer, distance: Distance | None = None) -> Distance:
    """The distance asked for, or that of product-quantized codes; of no meaning for binary ones."""
    return distance or (quantizer.distance if isinstance(quantizer, ProductQuantizer) else "l2")


def fitting(quantizer: Quantizer, *, distance: Distance = "l2") -> tuple[str, ...]:
    """Names of the engines that can search codes of a quantizer by a distance, the exact one first."""
    kind = codes_of(quantizer)
    names = [name for name, engine in ENGINES.items() if engine.codes == kind]
    if isinstance(quantizer, ProductQuantizer):
        if distance == "cosine":  # faiss would have to divide by the norms of decoded vectors
            names = names[:1]
        elif distance != "l2" or quantizer.codewords > 256:  # links of a graph are made by tables of 8 bits and L2
            names.remove("hnsw")
    return tuple(names)


def choose(quantizer: Quantizer, rows: int, *, distance: Distance = "l2") -> str:
    """The engine for a collection of this size: exact up to `EXACT_ROWS`, then inverted lists where they fit."""
    names = fitting(quantizer, distance=distance)
    return names[0] if rows <= EXACT_ROWS[codes_of(quantizer)] or len(names) == 1 else names[1]


def exact_engine(quantizer: Quantizer, codes: NDArray[np.uint8], *, distance: Distance = "l2") -> ExactEngine:
    """The exact engine over codes (N, ⌈B / 8⌉)."""
    if isinstance(quantizer, ProductQuantizer):
        return _AQD(quantizer, codes, distance)
    return _Hamming(quantizer, codes)


class _Hamming:
    name = "hamming"

    def __init__(self, quantizer: Quantizer, codes: NDArray[np.uint8]) -> None:
        self._index = HammingIndex(quantizer)
        self._index.add(codes)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        return self._index.search(embeddings, k) if len(self._index) else _nothing(len(embeddings), k)

    def within(self, embedding: NDArray[np.floating[Any]], radius: float) -> Ranking:
        if not len(self._index):
            return _nothing(len(embedding), 0)
        # faiss holds a radius in 32 bits; no distance is beyond the number of bits
        return self._index.search_radius(embedding, int(min(radius, self._index.bits))).to_ranking()


class _AQD:
    name = "aqd"

    def __init__(self, quantizer: CodebookQuantizer, codes: NDArray[np.uint8], distance: Distance) -> None:
        self._index = AQDIndex(quantizer, distance=distance)
        self._index.add(codes)
        self._codes = codes

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        return self._index.search(embeddings, k) if len(self._index) else _nothing(len(embeddings), k)

    def within(self, embedding: NDArray[np.floating[Any]], radius: float) -> Ranking:
        import torch

        from dqh.index.tables import decoded_norms, query_tables, table_distances

        quantizer, distance = self._index.quantizer, self._index.distance
        tables = query_tables(quantizer, embedding, distance=distance)
        rows, distances = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for start in range(0, len(self._codes), _SCAN):
            indices = torch.from_numpy(quantizer.codewords_of(self._codes[start : start + _SCAN]))
            norms = decoded_norms(quantizer, indices) if distance == "cosine" else None
            found = table_distances(tables, indices, norms=norms)[0].numpy()
            near = np.flatnonzero(found <= radius)
            rows.append(near + start)
            distances.append(found[near])
        return _ordered(np.concatenate(rows)[None], np.concatenate(distances)[None])


class Approximate:
    """An index of faiss as an engine.

    Attributes:
        name: of the engine.
        index: of faiss.

    Args:
        name: of the engine.
        index: of faiss, over rows 0 … N − 1.
        quantizer: makes codes of queries, where the index is a binary one.
    """

    def __init__(self, name: str, index: Any, quantizer: Quantizer) -> None:
        self.name = name
        self.index = index
        self._quantizer = quantizer

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The nearest rows that the index comes across; `ip` is given as its negative."""
        if ENGINES[self.name].codes == "binary":
            queries: NDArray[Any] = self._quantizer.encode(embeddings)
        else:
            queries = np.ascontiguousarray(embeddings, np.float32)
        count = min(k, self.index.ntotal)
        distances, rows = self.index.search(queries, count)
        inner = getattr(self.index, "metric_type", faiss.METRIC_L2) == faiss.METRIC_INNER_PRODUCT
        distances = np.where(rows < 0, np.inf, -distances if inner else distances).astype(np.float32)
        padding = ((0, 0), (0, k - count))
        return _ordered(
            np.pad(rows.astype(np.int64), padding, constant_values=-1),
            np.pad(distances, padding, constant_values=np.inf),
        )


def build(name: str, quantizer: Quantizer, codes: NDArray[np.uint8], *, distance: Distance = "l2") -> CoarseEngine:
    """An engine over codes.

    Args:
        name: one of `fitting(quantizer, distance=distance)`.
        quantizer: whose codes they are.
        codes: (N, ⌈B / 8⌉) uint8; at least one for an approximate engine.
        distance: of product-quantized codes.

    Raises:
        ValueError: no such engine for these codes.
    """
    names = fitting(quantizer, distance=distance)
    if name not in names:
        raise ValueError(f"engine must be one of {', '.join(names)} for these codes and this distance, got {name!r}")
    if ENGINES[name].exact:
        return exact_engine(quantizer, codes, distance=distance)
    if not len(codes):
        raise ValueError(f"engine {name} needs at least one item; search an empty index by {names[0]}")
    return Approximate(name, _faiss_index(name, quantizer, codes, distance), quantizer)


def _faiss_index(name: str, quantizer: Quantizer, codes: NDArray[np.uint8], distance: Distance) -> Any:
    if name == "binary_hnsw":
        graph = faiss.IndexBinaryHNSW(8 * codes.shape[1], LINKS)
        graph.hnsw.efSearch = BREADTH
        graph.add(codes)
        return graph
    lists = min(len(codes), max(1, round(4 * len(codes) ** 0.5)))
    if name == "binary_ivf":
        return _binary_ivf(codes, lists)
    books = cast(CodebookQuantizer, quantizer)
    metric: Any = distance
    if name == "ivfpq":
        index = index_ivfpq(books, codes, lists=lists, distance=metric, seed=_SEED)
        faiss.extract_index_ivf(index).nprobe = _probes(lists)
        return index
    return _graph_of_products(books, codes)


def _probes(lists: int) -> int:
    return min(lists, max(LEAST_PROBES, round(PROBES * lists)))


def _binary_ivf(codes: NDArray[np.uint8], lists: int) -> Any:
    width = 8 * codes.shape[1]
    index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(width), width, lists)
    index.cp.seed = _SEED
    index.cp.min_points_per_centroid = 1
    spread = np.linspace(0, len(codes) - 1, min(len(codes), 256 * lists)).astype(np.int64)
    index.train(codes[spread])
    index.add(codes)
    index.nprobe = _probes(lists)
    return index


def _graph_of_products(quantizer: CodebookQuantizer, codes: NDArray[np.uint8]) -> Any:
    """A graph over decoded items that keeps their codes."""
    subspaces, codewords, width = quantizer.codebooks.shape
    graph = faiss.IndexHNSWPQ(subspaces * width, subspaces, LINKS, codewords.bit_length() - 1)
    storage: Any = faiss.downcast_index(graph.storage)
    faiss.copy_array_to_vector(quantizer.codebooks.ravel(), storage.pq.centroids)
    storage.is_trained = graph.is_trained = True
    storage.pq.compute_sdc_table()
    graph.hnsw.efSearch = BREADTH
    index: Any = graph
    if quantizer.rotation is not None:  # faiss keeps a matrix A and computes A z, so A = Rᵀ
        turn = faiss.LinearTransform(len(quantizer.rotation), len(quantizer.rotation), False)
        faiss.copy_array_to_vector(quantizer.rotation.T.ravel(), turn.A)
        turn.is_trained = True
        index = faiss.IndexPreTransform(turn, graph)
    for start in range(0, len(codes), _DECODED):
        index.add(np.ascontiguousarray(quantizer.decode(codes[start : start + _DECODED])))
    return index


def _ordered(rows: NDArray[np.int64], distances: NDArray[np.float32]) -> Ranking:
    """By distance, equal ones by row, padding last."""
    order = np.lexsort((np.where(rows < 0, np.iinfo(np.int64).max, rows), distances), axis=1)
    return Ranking(np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1))


def _nothing(queries: int, k: int) -> Ranking:
    return Ranking(np.full((queries, k), -1, np.int64), np.full((queries, k), np.inf, np.float32))
