"""A graph of binary codes."""

from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.faiss_engine import BREADTH, LINKS, FaissEngine
from dqh.quantizers import Quantizer


class BinaryHNSW(FaissEngine):
    """faiss's `IndexBinaryHNSW`: quicker than lists, and slow to build, so that it is for those who ask for it."""

    name: ClassVar[str] = "binary_hnsw"
    most_rows: ClassVar[float] = 0
    binary: ClassVar[bool] = True
    index_type: ClassVar[str] = "IndexBinaryHNSW"

    @classmethod
    def fits(cls, quantizer: Quantizer, distance: str) -> bool:
        """Codes that are compared bit by bit."""
        return "hamming" in quantizer.distances

    @classmethod
    def index_over(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Any:
        """Built row by row."""
        graph = faiss.IndexBinaryHNSW(8 * codes.shape[1], LINKS)
        graph.hnsw.efSearch = BREADTH
        graph.add(codes)
        return graph
