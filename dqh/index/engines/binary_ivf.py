"""Inverted lists of binary codes."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.faiss_engine import SEED, FaissEngine, list_count, lists_of, probes
from dqh.lazy import faiss
from dqh.quantizers import Quantizer


class BinaryIVF(FaissEngine):
    """faiss's `IndexBinaryIVF`: codes in lists around centres of k-means, of which a query looks into some."""

    name = "binary_ivf"
    approximates: ClassVar[str] = "hamming"
    binary: ClassVar[bool] = True
    index_type: ClassVar[str] = "IndexBinaryIVF"

    @classmethod
    def index_over(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Any:
        """Trained on up to 256 codes a list."""
        width, lists = 8 * codes.shape[1], list_count(len(codes))
        index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(width), width, lists)
        index.cp.seed = SEED
        index.cp.min_points_per_centroid = 1
        spread = np.linspace(0, len(codes) - 1, min(len(codes), 256 * lists)).astype(np.int64)
        index.train(codes[spread])
        index.add(codes)
        index.nprobe = probes(lists)
        return index

    @classmethod
    def stored(cls, index: Any, quantizer: Quantizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """List by list."""
        yield from lists_of(index)
