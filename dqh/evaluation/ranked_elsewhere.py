"""Who ranks the queries of an evaluation in the place of this process; see `dqh.scale.spread_queries`."""

from typing import Protocol

import torch

from dqh.index.orders.order import Asked
from dqh.index.ways import Way
from dqh.quantizers.quantizer import Coder
from dqh.ranking.side import Side


class Elsewhere(Protocol):
    """Lets others rank, to the same bits."""

    def order(
        self, way: Way, query: Side, database: Side, quantizer: Coder | None, *, device: torch.device | str
    ) -> Asked:
        """The ranking of a way, see `Way.order`, that is computed elsewhere."""
        ...


def order_of(
    way: Way,
    query: Side,
    database: Side,
    quantizer: Coder | None,
    *,
    device: torch.device | str = "cpu",
    elsewhere: Elsewhere | None = None,
) -> Asked:
    """The ranking of a way, by this process where there is no `elsewhere`; arguments and errors as of `Way.order`."""
    if elsewhere is not None:
        return elsewhere.order(way, query, database, quantizer, device=device)
    return way.order(query, database, quantizer, device=device)
