"""A graph of product-quantized codes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import CodebookQuantizer
from dqh.index.engines.faiss_engine import BREADTH, LINKS, FaissEngine, require_codebooks, require_graph
from dqh.lazy import faiss
from dqh.quantizers import Quantizer

if TYPE_CHECKING:
    from dqh.index.ways import CodeWay

_CODEWORDS = 256
"""Links are made by tables of 8 bits."""

_DECODED = 2**14
"""Items decoded at a time."""


class HNSW(FaissEngine):
    """faiss's `IndexHNSWPQ` over decoded items that keeps their codes; for those who ask for it."""

    name = "hnsw"
    approximates: ClassVar[str] = "aqd"
    most_rows: ClassVar[float] = 0
    binary: ClassVar[bool] = False
    index_type: ClassVar[str] = "IndexHNSWPQ"

    @classmethod
    def fits(cls, quantizer: Quantizer, way: "CodeWay") -> bool:
        """Codes that stand for vectors, by squared L2, of up to 256 codewords a subspace."""
        return (
            super().fits(quantizer, way)
            and way.distance == "l2"
            and cast(CodebookQuantizer, quantizer).codebooks.shape[1] <= _CODEWORDS
        )

    @classmethod
    def index_over(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Any:
        """A graph over decoded items, behind the rotation where there is one."""
        books = cast(CodebookQuantizer, quantizer)
        subspaces, codewords, width = books.codebooks.shape
        graph = faiss.IndexHNSWPQ(subspaces * width, subspaces, LINKS, codewords.bit_length() - 1)
        storage: Any = faiss.downcast_index(graph.storage)
        faiss.copy_array_to_vector(books.codebooks.ravel(), storage.pq.centroids)
        storage.is_trained = graph.is_trained = True
        storage.pq.compute_sdc_table()
        graph.hnsw.efSearch = BREADTH
        index: Any = graph
        if books.rotation is not None:  # faiss keeps a matrix A and computes A z, so A = Rᵀ
            turn = faiss.LinearTransform(len(books.rotation), len(books.rotation), False)
            faiss.copy_array_to_vector(books.rotation.T.ravel(), turn.A)
            turn.is_trained = True
            index = faiss.IndexPreTransform(turn, graph)
        for start in range(0, len(codes), _DECODED):
            index.add(np.ascontiguousarray(books.decode(codes[start : start + _DECODED])))
        return index

    @classmethod
    def stored(cls, index: Any, quantizer: Quantizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """All at once."""
        require_graph(index.hnsw, index.ntotal)
        storage: Any = faiss.downcast_index(index.storage)
        plain: Any = faiss.IndexPQ
        if type(storage).__name__ != "IndexPQ" or (storage.ntotal, storage.d) != (index.ntotal, index.d):
            raise ValueError("its graph is over something else")
        require_codebooks(storage, cast(CodebookQuantizer, quantizer))
        storage.search_type, storage.metric_type = plain.ST_PQ, faiss.METRIC_L2
        storage.pq.compute_sdc_table()
        yield np.arange(index.ntotal), faiss.vector_to_array(storage.codes).reshape(index.ntotal, -1)
