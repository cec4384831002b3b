"""What the approximate engines of faiss have in common: how they are asked, and how they are kept in a file.

Q queries, N items, B bits a code, k answers a query.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from dqh.codes import code_bytes
from dqh.index.engines.engine import Engine, ordered
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking

SEED = 0
LINKS, BREADTH = 32, 128
"""Neighbours an item in a graph, and items that a search of it keeps at least."""

_PROBES, _LEAST_PROBES = 1 / 16, 8
"""Share of the inverted lists that a query looks into, and how many at least."""


class FaissEngine(Engine):
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
        padding = ((0, 0), (0, k - count))
        return ordered(
            np.pad(rows.astype(np.int64), padding, constant_values=-1),
            np.pad(distances, padding, constant_values=np.inf),
        )

    def save(self) -> bytes:
        """The index as faiss writes it."""
        serial = faiss.serialize_index_binary(self.index) if self.binary else faiss.serialize_index(self.index)
        return bytes(serial.tobytes())

    @classmethod
    def load(cls, quantizer: Quantizer, content: NDArray[np.uint8], rows: int) -> Self:
        """The engine of what `save` gave for codes of a quantizer.

        Args:
            quantizer: whose codes they are.
            content: uint8, checked to be what was written.
            rows: N.

        Raises:
            ValueError: it holds another index, or one of other rows or codes.
            RuntimeError: faiss cannot read it.
        """
        index = faiss.deserialize_index_binary(content) if cls.binary else faiss.deserialize_index(content)
        inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
        dimension = 8 * code_bytes(quantizer.bits) if cls.binary else quantizer.dimension
        if type(inner).__name__ != cls.index_type or index.ntotal != rows or index.d != dimension:
            raise ValueError(f"it holds a {type(inner).__name__} of {index.ntotal} items and {index.d} dimensions")
        return cls(quantizer, index)


def list_count(rows: int) -> int:
    """How many inverted lists are made for so many rows."""
    wanted: int = round(4 * rows**0.5)
    return min(rows, max(1, wanted))


def probes(lists: int) -> int:
    """How many of the inverted lists a query looks into."""
    return min(lists, max(_LEAST_PROBES, round(_PROBES * lists)))
