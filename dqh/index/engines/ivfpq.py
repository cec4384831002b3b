"""Inverted lists of product-quantized codes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import CodebookQuantizer
from dqh.index.engines.faiss_engine import SEED, FaissEngine, list_count, lists_of, probes, require_codebooks
from dqh.index.faiss_export import index_ivfpq
from dqh.lazy import faiss
from dqh.quantizers import Quantizer

if TYPE_CHECKING:
    from dqh.index.ways import CodeWay


class IVFPQ(FaissEngine):
    """faiss's `IndexIVFPQ` with the codebooks given: lists around centres of decoded items."""

    name = "ivfpq"
    approximates: ClassVar[str] = "aqd"
    binary: ClassVar[bool] = False
    index_type: ClassVar[str] = "IndexIVFPQ"

    @classmethod
    def fits(cls, quantizer: Quantizer, way: "CodeWay") -> bool:
        """Codes that stand for vectors; not by cosine, as faiss would divide by the norms of decoded vectors."""
        return super().fits(quantizer, way) and way.distance != "cosine"

    @classmethod
    def index_over(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Any:
        """By squared L2 or the inner product."""
        lists, metric = list_count(len(codes)), cast(Literal["l2", "ip"], distance)
        index = index_ivfpq(cast(CodebookQuantizer, quantizer), codes, lists=lists, distance=metric, seed=SEED)
        faiss.extract_index_ivf(index).nprobe = probes(lists)
        return index

    @classmethod
    def stored(cls, index: Any, quantizer: Quantizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """List by list."""
        require_codebooks(index, cast(CodebookQuantizer, quantizer))
        index.by_residual, index.use_precomputed_table, index.polysemous_ht = False, 0, 0
        yield from lists_of(index)
