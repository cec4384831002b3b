"""What a way of searching is: by which distance between what, and the two forms in which it answers.

A program asks an index, which returns the nearest items of a query; an evaluation ranks the whole database for each
query, with all items at one distance in one bucket. Both are of one way, so that what is measured is what is searched.

Q queries, N database items, D embedding dimensions, F feature dimensions, k answers a query.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines import exact_on
from dqh.index.engines.engine import ExactEngine
from dqh.quantizers.quantizer import Coder
from dqh.ranking import Ranking
from dqh.ranking.side import Features, Side

if TYPE_CHECKING:
    import torch

    from dqh.index.orders.order import Order

Searcher = Callable[[NDArray[np.float32], Features], Ranking]
"""Embeddings (Q, D) and features (Q, F) of queries → Ranking of (Q, k)."""

Reads = Literal["codes", "embedding", "features", "codes and features"]
READS: tuple[Reads, ...] = ("codes", "embedding", "features", "codes and features")
"""What a way reads of an item; ways are listed in this order."""


class Candidates(NamedTuple):
    """Which items a coarse search hands to the fine one.

    Attributes:
        pool: how many, at least 1; not read where `radius` is given.
        radius: bits; all items within are candidates; None to go by `pool`.
    """

    pool: int = 1000
    radius: int | None = None


class Way(ABC):
    """A way of searching.

    Attributes:
        name: of its row in an evaluation, and by which it is asked for.
        distance: `hamming`, `l2`, `ip` or `cosine`, or another that the way alone knows.
        reads: what of an item.
        meaning: what it does, a sentence for a report.
        against: what a comparison of the codes with it tells, for a report.
    """

    name: str
    distance: str
    reads: ClassVar[Reads]
    meaning: str
    against: str | None = None

    @abstractmethod
    def fits(self, quantizer: Coder | None) -> bool:
        """Whether it can search what a quantizer made; None stands for vectors that are their own embedding."""

    def leads(self, quantizer: Coder) -> bool:
        """Whether it is how codes of this quantizer are searched where nothing else is asked for."""
        return False

    def restates(self, other: "Way") -> bool:
        """Whether it compares the same with another way's, by another distance, so that a report need not."""
        return False

    def among(self, candidates: Candidates, *, coarse: "Order | None" = None) -> "Way":
        """The same with these candidates of its coarse search; itself where it has none.

        Args:
            candidates: which.
            coarse: the ranking by codes of the sides that are to be ranked, where it is there already.
        """
        return self

    @abstractmethod
    def item_bytes(self, database: Side) -> int:
        """Bytes that are searched of an item."""

    @abstractmethod
    def searcher(
        self, database: Side, quantizer: Coder | None, *, k: int, device: "torch.device | str" = "cpu"
    ) -> Searcher:
        """The search of a database, whose labels are not read, as a program does it; k is at least 1.

        Codes lie and are searched on a device, and so are features of candidates, where it is CUDA and an engine is
        there for it; all else is done on the CPU.

        Raises:
            ConfigError: CUDA is asked for, and torch sees none.
        """

    @abstractmethod
    def order(
        self, query: Side, database: Side, quantizer: Coder | None, *, device: "torch.device | str" = "cpu"
    ) -> "Order":
        """The ranking of the whole database for each query.

        Raises:
            ValueError: the two sides do not fit together, or a radius where distances are not bits.
        """


class CodeWay(Way):
    """A way of searching by codes alone.

    Attributes:
        ball: what a pool of candidates is called.
        asks: what of a query is compared with the codes, here and in faiss.
        engine: name of the exact engine that searches by it.
        most_rows: rows up to which that is chosen where no engine is asked for.
    """

    reads: ClassVar[Reads] = "codes"
    ball: str
    asks: ClassVar[Literal["codes", "embedding"]]
    engine: ClassVar[str]
    most_rows: ClassVar[float]

    def leads(self, quantizer: Coder) -> bool:
        """By the distance of the quantizer itself."""
        return self.fits(quantizer) and self.distance == quantizer.distance

    @abstractmethod
    def index(self, quantizer: Coder, codes: NDArray[np.uint8]) -> ExactEngine:
        """The exact search over codes (N, ⌈B / 8⌉) uint8, none included, of a quantizer that the way fits."""

    def in_faiss(self, quantizer: Coder, codes: NDArray[np.uint8]) -> Any:
        """The same search as an index of faiss over codes; `ValueError` where faiss has none."""
        raise ValueError(f"faiss has no index that searches by {self.name}")

    def empty_in_faiss(self, quantizer: Coder, sample: NDArray[np.uint8], *, lists: int) -> dict[str, Any]:
        """Indexes of faiss without items that search by it, the exact one first, by name; none where faiss has none.

        A sample (N, ⌈B / 8⌉) uint8 of the codes places the lists.
        """
        return {}

    def item_bytes(self, database: Side) -> int:
        """Those of a code."""
        return int(database.codes.shape[1])

    def searcher(
        self, database: Side, quantizer: Coder | None, *, k: int, device: "torch.device | str" = "cpu"
    ) -> Searcher:
        """By its index, or the engine on the device."""
        index = exact_on(device, coded(quantizer), self, database.codes)
        return lambda embedding, features: index.search(embedding, k)


def coded(quantizer: Any) -> Any:
    """The quantizer of a way by codes, which fits no other."""
    if quantizer is None:
        raise ValueError("a search by codes needs the quantizer that made them, got None")
    return quantizer
