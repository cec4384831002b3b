"""Ways of ordering a database: by Hamming distance, by look-up tables of product-quantized codes, by float vectors.

Each gives the buckets of its ranking; those that go by codes also give keys and pools, with which they serve as the
coarse search before a fine one. What is measured on the buckets is in `metrics`.

Q queries, N database items, L queries of a chunk, B bits.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.evaluation.buckets import Buckets, Pools, hamming_buckets, hamming_pools, require_sides, signs
from dqh.evaluation.ranked import exhaustive_buckets, float_keys, key_buckets, key_pools
from dqh.evaluation.searches import Search, Side, distance_of, searches_of
from dqh.index.aqd import Distance
from dqh.index.hamming import BinaryQuantizer
from dqh.index.tables import decoded_norms, query_tables, table_distances
from dqh.quantizers import ProductQuantizer, Quantizer

_DATABASE_CHUNK = 2**14

_KEPT_TABLES = 2**25
"""Look-up table values of all queries that are kept, 128 MiB; of more queries those of a chunk are made each time."""


class Order(Protocol):
    """A ranking of the database for each query."""

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        """Buckets of items at equal distances, in the order of the queries; `stable` breaks ties by database row."""
        ...


class HammingOrder:
    """By the number of bits in which codes differ.

    Args:
        query: the queries; codes and labels are read.
        database: what is ranked; codes and labels are read.
        bits: B.
        device: where to compute.

    Raises:
        ValueError: codes of another shape, labels of two kinds, or no query or database item.
    """

    def __init__(self, query: Side, database: Side, *, bits: int, device: torch.device | str = "cpu") -> None:
        self.query, self.database, self.bits, self.device = query, database, bits, device
        self._labels = _labels(query, database)
        require_sides(query.codes, database.codes, bits=bits, **self._labels)

    @cached_property
    def histograms(self) -> Buckets:
        """Buckets of (Q, B + 1), one for each number of bits."""
        return hamming_buckets(
            self.query.codes, self.database.codes, bits=self.bits, device=self.device, **self._labels
        )

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        """Histograms, which need no sort, unless they must be `stable`."""
        if stable:
            return key_buckets(self.keys, stable=True, device=self.device, **self._labels)
        return self.histograms.chunks()

    def keys(self, rows: slice) -> Tensor:
        """Hamming distances of some queries, (L, N) int32."""
        query, database = self._signs
        queries = query[rows].float()
        result = torch.empty(len(queries), len(database), dtype=torch.int32, device=queries.device)
        half = torch.full((1, 1), queries.shape[1] / 2, device=queries.device)
        for start in range(0, len(database), _DATABASE_CHUNK):
            some = slice(start, start + _DATABASE_CHUNK)
            result[:, some] = torch.addmm(half, queries, database[some].float().T, alpha=-0.5)
        return result

    def pools(self, *, pool: int | None = None, radius: int | None = None) -> Pools:
        """The smallest whole Hamming ball with at least `pool` items, or the ball of a radius, bits."""
        return hamming_pools(self.histograms, pool=pool, radius=radius)

    @cached_property
    def _signs(self) -> tuple[Tensor, Tensor]:
        query, database = (signs(side.codes, self.bits, device=self.device) for side in (self.query, self.database))
        return query, database


class TableOrder:
    """By the distance of each query to what the codes stand for, summed from a look-up table a query.

    The asymmetric distance (AQD, Jégou et al. 2011, equation 13) or, where the query is quantized too, the symmetric
    one (SQD, equation 12). Sums are float32 in one order, so that equal codes have equal distances.

    Args:
        query: the queries.
        database: what is ranked; codes and labels are read.
        quantizer: made the codes.
        distance: squared L2, the negative inner product, or 1 − cosine; None for that of the quantizer.
        symmetric: whether the query is what its code stands for.
        device: where to compute.

    Raises:
        ValueError: codes of another shape, labels of two kinds, or no query or database item.
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
        self.quantizer, self.symmetric, self.device = quantizer, symmetric, device
        self.distance: Distance = distance or quantizer.distance
        self._labels = _labels(query, database)
        require_sides(query.codes, database.codes, bits=quantizer.bits, **self._labels)
        self._embedding = query.embedding
        self._indices = torch.from_numpy(quantizer.codewords_of(database.codes)).int().to(device)
        self._norms = decoded_norms(quantizer, self._indices) if self.distance == "cosine" else None

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        """From a sort of the keys."""
        return key_buckets(self.keys, stable=stable, device=self.device, **self._labels)

    def keys(self, rows: slice) -> Tensor:
        """Keys of the distances of some queries, (L, N) int64."""
        tables = self._tables[rows] if self._tables is not None else self._made(self._embedding[rows])
        distances = table_distances(tables, self._indices, norms=self._norms)
        return float_keys(distances.contiguous(), signed=True)

    def pools(self, *, pool: int | None = None, radius: int | None = None) -> Pools:
        """The smallest whole ball with at least `pool` items; `ValueError` for a radius, which is in bits."""
        if pool is None or radius is not None:
            raise ValueError(f"radius is in bits, which product-quantized codes are not compared by; got {radius}")
        queries, items = len(self._embedding), len(self._indices)
        return key_pools(self.keys, queries=queries, items=items, pool=pool, device=self.device)

    @cached_property
    def _tables(self) -> Tensor | None:
        """Tables of all queries, or None where they are too many to keep."""
        values = len(self._embedding) * self.quantizer.subspaces * self.quantizer.codewords
        return self._made(self._embedding) if values <= _KEPT_TABLES else None

    def _made(self, embedding: NDArray[np.float32]) -> Tensor:
        tables = query_tables(self.quantizer, embedding, distance=self.distance, symmetric=self.symmetric)
        return tables.to(self.device)


class VectorOrder:
    """By a distance between embeddings or features, which are not quantized.

    Args:
        query: the queries.
        database: what is ranked.
        by: which vectors.
        distance: squared L2, the negative inner product, or 1 − cosine.
        device: where to compute.
    """

    def __init__(
        self,
        query: Side,
        database: Side,
        *,
        by: Literal["embedding", "features"],
        distance: Distance = "l2",
        device: torch.device | str = "cpu",
    ) -> None:
        self.query, self.database, self.by, self.distance, self.device = query, database, by, distance, device

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        """From a sort of the distances; `ValueError` where a vector is not finite."""
        return exhaustive_buckets(
            getattr(self.query, self.by),
            getattr(self.database, self.by),
            distance=self.distance,
            stable=stable,
            device=self.device,
            **_labels(self.query, self.database),
        )


def main_order(
    query: Side, database: Side, *, quantizer: BinaryQuantizer, device: torch.device | str = "cpu"
) -> HammingOrder | TableOrder:
    """The ranking by the codes of a quantizer alone: by Hamming distance, or by AQD."""
    if isinstance(quantizer, ProductQuantizer):
        return TableOrder(query, database, quantizer=quantizer, device=device)
    return HammingOrder(query, database, bits=quantizer.bits, device=device)


def further_orders(
    query: Side, database: Side, *, quantizer: Quantizer, device: torch.device | str = "cpu"
) -> Iterator[tuple[Search, Order]]:
    """The other rankings by codes or embedding, by name; none of binary codes."""
    for search in searches_of(quantizer)[1:]:
        kind = search.partition("_")[0]
        if kind == "embedding":
            yield search, VectorOrder(query, database, by="embedding", distance=distance_of(search), device=device)
        elif isinstance(quantizer, ProductQuantizer) and kind in ("aqd", "sqd"):
            yield (
                search,
                TableOrder(
                    query,
                    database,
                    quantizer=quantizer,
                    distance=distance_of(search),
                    symmetric=kind == "sqd",
                    device=device,
                ),
            )


def _labels(query: Side, database: Side) -> dict[str, Any]:
    return {"query_labels": query.labels, "database_labels": database.labels}
