"""By codes first, then by features among the nearest (Lin et al. 2015, §3.4): composes with the way by codes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from dqh.index.coarse_to_fine import rerank
from dqh.index.engines import exact_on
from dqh.index.ways.way import Candidates, Reads, Searcher, Way, coded
from dqh.quantizers.quantizer import Coder
from dqh.ranking import Ranking
from dqh.ranking.side import Features, Side

if TYPE_CHECKING:
    import torch

    from dqh.index.orders.order import Order

_ANY = Candidates()
_HITS = 2**21
"""Candidates that a coarse search may hold at a time; each takes up to 70 bytes until it is re-ranked."""


class CoarseToFine(Way):
    """Candidates of the way that leads, in order of their features, the paper's HDS."""

    name = "coarse_to_fine"
    distance = "l2"
    reads: ClassVar[Reads] = "codes and features"
    meaning = "The nearest codes first, then only these candidates in order of their float features."

    def __init__(self, candidates: Candidates = _ANY, *, coarse: "Order | None" = None) -> None:
        self.candidates, self.coarse = candidates, coarse

    def among(self, candidates: Candidates, *, coarse: "Order | None" = None) -> Way:
        """The same with other candidates."""
        return CoarseToFine(candidates, coarse=coarse)

    def fits(self, quantizer: Coder | None) -> bool:
        """Any codes."""
        return quantizer is not None

    def item_bytes(self, database: Side) -> int:
        """Those of a code and of features."""
        return int(database.codes.shape[1] + database.features.shape[1] * database.features.dtype.itemsize)

    def searcher(
        self, database: Side, quantizer: Coder | None, *, k: int, device: "torch.device | str" = "cpu"
    ) -> Searcher:
        """Candidates by id where codes are equally far away, as many queries at a time as memory allows."""
        from dqh.index.ways import main_way

        way, codes, radius = main_way(coded(quantizer)), database.codes, self.candidates.radius
        index = exact_on(device, coded(quantizer), way, codes)
        fine, items = _fine(database.features, k=k, device=device), len(codes)
        pool = min(self.candidates.pool, items)
        step = max(1, _HITS // (pool if radius is None else items))

        def chunk(embedding: NDArray[np.float32], features: Features) -> Ranking:
            return fine(index.search(embedding, pool) if radius is None else index.within(embedding, radius), features)

        def coarse_to_fine(embedding: NDArray[np.float32], features: Features) -> Ranking:
            chunks = [slice(start, start + step) for start in range(0, max(1, len(embedding)), step)]
            parts = [chunk(embedding[rows], features[rows]) for rows in chunks]
            return Ranking(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

        return coarse_to_fine

    def order(
        self, query: Side, database: Side, quantizer: Coder | None, *, device: "torch.device | str" = "cpu"
    ) -> "Order":
        """By features within whole balls, so that the order of the database decides nothing."""
        from dqh.index.orders.coarse_to_fine import FineOrder
        from dqh.index.ways import main_way

        coarse = self.coarse
        if coarse is None:
            coarse = main_way(coded(quantizer)).order(query, database, quantizer, device=device)
        if self.candidates.radius is not None:
            return FineOrder(coarse, radius=self.candidates.radius)
        return FineOrder(coarse, pool=self.candidates.pool)


def _fine(database: Features, *, k: int, device: "torch.device | str") -> Callable[[Ranking, Features], Ranking]:
    """Candidates and features of queries → the k nearest of them, compared where the features of the database lie."""
    if str(device) == "cpu":
        return lambda coarse, features: rerank(coarse, features, database_features=database, k=k)
    from dqh.native.device.feature_tensors import FeatureTensors

    placed = FeatureTensors(database, device=device)
    return lambda coarse, features: Ranking(*placed.nearest(features, coarse.ids, k))


WAYS: tuple[Way, ...] = (CoarseToFine(),)
