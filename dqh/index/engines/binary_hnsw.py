"""A graph of binary codes."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.faiss_engine import BREADTH, LINKS, FaissEngine, require_graph
from dqh.lazy import faiss
from dqh.quantizers import Quantizer


class BinaryHNSW(FaissEngine):
    """faiss's `IndexBinaryHNSW`: quicker than lists, and slow to build, so that it is for those who ask for it."""

    name = "binary_hnsw"
    approximates: ClassVar[str] = "hamming"
    most_rows: ClassVar[float] = 0
    binary: ClassVar[bool] = True
    index_type: ClassVar[str] = "IndexBinaryHNSW"

    @classmethod
    def index_over(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Any:
        """Built row by row."""
        graph = faiss.IndexBinaryHNSW(8 * codes.shape[1], LINKS)
        graph.hnsw.efSearch = BREADTH
        graph.add(codes)
        return graph

    @classmethod
    def stored(cls, index: Any, quantizer: Quantizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """All at once."""
        require_graph(index.hnsw, index.ntotal)
        storage: Any = faiss.downcast_IndexBinary(index.storage)
        if type(storage).__name__ != "IndexBinaryFlat" or (storage.ntotal, storage.d) != (index.ntotal, index.d):
            raise ValueError("its graph is over something else")
        yield np.arange(index.ntotal), faiss.vector_to_array(storage.xb).reshape(index.ntotal, -1)
