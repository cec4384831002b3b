"""The ranking of product-quantized codes by look-up tables of the queries: AQD and SQD.

Q queries, N database items, L queries of a chunk.
"""

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.index.aqd import Distance
from dqh.index.orders.order import Order, require_sides
from dqh.index.tables import decoded_norms, query_tables, table_distances
from dqh.quantizers import ProductQuantizer
from dqh.ranking.keys import float_keys
from dqh.ranking.side import Side

_KEPT_TABLES = 2**25
"""Look-up table values of all queries that are kept, 128 MiB; of more queries those of a chunk are made each time."""


class TableOrder(Order):
    """By the distance of each query to what the codes stand for, summed from a look-up table a query.

    The asymmetric distance (AQD, Jégou et al. 2011, equation 13) or, where the query is quantized too, the symmetric
    one (SQD, equation 12). Sums are float32 in one order, so that equal codes have equal distances.

    Labels of both sides and codes of the database are read; a `distance` of None is that of the quantizer. Errors as of
    `require_sides`.
    """

    def __init__(
        self,
        query: Side,
        database: Side,
        *,
        quantizer: ProductQuantizer,
        distance: Distance | None = None,
        symmetric: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(query, database, device=device)
        self.quantizer, self.symmetric = quantizer, symmetric
        self.distance: Distance = distance or quantizer.distance
        require_sides(query.codes, database.codes, bits=quantizer.bits, **self.labels)
        self._indices = torch.from_numpy(quantizer.codewords_of(database.codes)).int().to(device)
        self._norms = decoded_norms(quantizer, self._indices) if self.distance == "cosine" else None

    def keys(self, rows: slice) -> Tensor:
        """Keys of the distances of some queries, (L, N) int64."""
        tables = self._tables[rows] if self._tables is not None else self._tables_of(self.query.embedding[rows])
        distances = table_distances(tables, self._indices, norms=self._norms)
        return float_keys(distances.contiguous(), signed=True)

    @cached_property
    def _tables(self) -> Tensor | None:
        """Tables of all queries, or None where they are too many to keep."""
        values = len(self.query.embedding) * self.quantizer.subspaces * self.quantizer.codewords
        return self._tables_of(self.query.embedding) if values <= _KEPT_TABLES else None

    def _tables_of(self, embedding: NDArray[np.float32]) -> Tensor:
        tables = query_tables(self.quantizer, embedding, distance=self.distance, symmetric=self.symmetric)
        return tables.to(self.device)
