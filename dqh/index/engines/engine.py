"""What a coarse engine is: it finds the nearest rows of query embeddings by their codes.

Engines know rows 0 … N − 1 and nothing of ids, paths or deleted rows: they are built anew from the codes of a version
and are never the source of truth. A filtered search is an exact one: by an engine that takes a bitmap of rows, or by
one over the rows that are left.

Q queries, N items, B bits a code, k answers a query.
"""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dqh.native.bitmaps import Bitmap
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking

if TYPE_CHECKING:
    from dqh.index.ways import CodeWay


class Engine(ABC):
    """A coarse engine over codes.

    Attributes:
        name: by which it is asked for.
        exact: whether it leaves nothing out.
    """

    name: str
    exact: ClassVar[bool]

    @abstractmethod
    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The k nearest rows of each query, equal distances by row; what an engine does not find is padded."""


class ExactEngine(Engine):
    """One that leaves nothing out: that of a way of searching, in `dqh.index.ways`."""

    exact: ClassVar[bool] = True

    @abstractmethod
    def within(self, embeddings: NDArray[np.floating[Any]], radius: float) -> Ranking:
        """All rows at most `radius` away from each query (Q, D), equal distances by row, shorter lists padded."""


class FilteringEngine(ExactEngine):
    """One that leaves out all rows but those of a bitmap, see `dqh.native.bitmaps`; None: none is left out."""

    @abstractmethod
    def search(self, embeddings: NDArray[np.floating[Any]], k: int, *, allowed: Bitmap | None = None) -> Ranking:
        """The k nearest rows of each query among those allowed, equal distances by row, padded where they are fewer."""

    @abstractmethod
    def within(self, embeddings: NDArray[np.floating[Any]], radius: float, *, allowed: Bitmap | None = None) -> Ranking:
        """All rows allowed at most `radius` away from each query, equal distances by row, shorter lists padded."""


class BuiltEngine(Engine):
    """One that is built from codes, beside the exact one of a way.

    Attributes:
        approximates: the exact engine whose answers it gives, but for what it leaves out.
        device: where it computes, `cpu` or `cuda`; on the latter it is chosen only where that is asked for.
        most_rows: rows up to which it is chosen where none is asked for; of several the one with the least. 0: never.
    """

    approximates: ClassVar[str]
    device: ClassVar[str] = "cpu"
    most_rows: ClassVar[float] = math.inf

    @classmethod
    def fits(cls, quantizer: Quantizer, way: "CodeWay") -> bool:
        """Whether it can search codes of a quantizer by a way that fits it."""
        return way.engine == cls.approximates

    @classmethod
    @abstractmethod
    def build(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Self:
        """The engine over codes (N, ⌈B / 8⌉) uint8 that it fits; at least one unless it is exact."""


def ordered(rows: NDArray[np.int64], distances: NDArray[np.float32]) -> Ranking:
    """By distance, equal ones by row, padding last."""
    order = np.lexsort((np.where(rows < 0, np.iinfo(np.int64).max, rows), distances), axis=1)
    return Ranking(np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1))


def nothing(queries: int, k: int) -> Ranking:
    """A ranking (Q, k) of padding."""
    return Ranking(np.full((queries, k), -1, np.int64), np.full((queries, k), np.inf, np.float32))
