"""What a coarse engine is: it finds the nearest rows of query embeddings by their codes.

Engines know rows 0 … N − 1 and nothing of ids, paths or deleted rows: they are built anew from the codes of a version
and are never the source of truth. None of them filters; a filtered search is an exact one over the rows that are left.

Q queries, N items, B bits a code, k answers a query.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers import Quantizer
from dqh.ranking import Ranking


class Engine(ABC):
    """A coarse engine over codes.

    Attributes:
        name: by which it is asked for.
        exact: whether it leaves nothing out.
        most_rows: rows up to which it is chosen where none is asked for; of several the one with the least. 0: never.
    """

    name: ClassVar[str]
    exact: ClassVar[bool]
    most_rows: ClassVar[float] = math.inf

    @classmethod
    @abstractmethod
    def fits(cls, quantizer: Quantizer, distance: str) -> bool:
        """Whether it can search codes of a quantizer by a distance; it means nothing to codes compared bit by bit."""

    @classmethod
    @abstractmethod
    def build(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Self:
        """The engine over codes (N, ⌈B / 8⌉) uint8 that it fits; at least one unless it is exact."""

    @abstractmethod
    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The k nearest rows of each query, equal distances by row; what an engine does not find is padded."""


class ExactEngine(Engine):
    """One that leaves nothing out."""

    exact: ClassVar[bool] = True

    @abstractmethod
    def within(self, embedding: NDArray[np.floating[Any]], radius: float) -> Ranking:
        """All rows at most `radius` away from one query (1, D), as a ranking of one row, equal distances by row."""


def ordered(rows: NDArray[np.int64], distances: NDArray[np.float32]) -> Ranking:
    """By distance, equal ones by row, padding last."""
    order = np.lexsort((np.where(rows < 0, np.iinfo(np.int64).max, rows), distances), axis=1)
    return Ranking(np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1))


def nothing(queries: int, k: int) -> Ranking:
    """A ranking (Q, k) of padding."""
    return Ranking(np.full((queries, k), -1, np.int64), np.full((queries, k), np.inf, np.float32))
