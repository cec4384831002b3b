"""Rankings by float vectors: squared L2, the inner product, the cosine, and L1.

Q queries, N database items, L queries of a chunk, F dimensions of a vector.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from dqh.index.aqd import Distance
from dqh.index.orders.order import Order
from dqh.lazy import faiss
from dqh.ranking.buckets import Buckets, group
from dqh.ranking.keys import ALL, chunk_size, float_keys
from dqh.ranking.parallel import in_order
from dqh.ranking.relevance import label_tensor, relevance
from dqh.ranking.side import Features, Side

_BLOCK_CHUNKS = {"cpu": 20, "cuda": 8}
"""Chunks of queries whose distances one pass over the database makes."""

_READ_VALUES = {"cpu": 2**20, "cuda": 2**26}
"""Values of the database, and distances to it, in float64 at a time: 8 MiB and 512 MiB."""

_DEVICE_BYTES = 8 * 2**30
"""Vectors of one side that stay on a GPU; of larger ones a part at a time goes there."""

INFINITY_BITS = 0x7F800000
_RELATIVE_ZERO = 1e-12

Chunk = TypeVar("Chunk")


class VectorOrder(Order):
    """By a distance between embeddings or features, which are not quantized.

    Distances come from float64 matrix products and are rounded to float32, so that equal vectors have equal distances
    wherever they stand in the database; equal distances form one bucket. Nothing of size Q × N is held.

    The distance is squared L2, the negative inner product, or 1 − cosine. `ValueError` on first use, where a vector is
    not finite.
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
        super().__init__(query, database, device=device)
        self.by, self.distance = by, distance

    def together(self, *, stable: bool = False) -> int:
        """Those of a block, whose distances come from the same products."""
        return chunk_size(len(self.database.labels), self.device) * _BLOCK_CHUNKS[torch.device(self.device).type]

    def buckets(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[Buckets]:
        """From a sort of the distances."""
        return self.by_distance(lambda keys, chunk, relevant: group(keys, relevant, stable=stable), rows=rows)

    def by_distance(self, rank: Callable[[Tensor, slice, Tensor], Chunk], *, rows: slice = ALL) -> Iterator[Chunk]:
        """What `rank` makes of the keys, the rows and the relevance of a chunk of queries, chunk by chunk."""
        device = self.device
        labels, items = label_tensor(self.query.labels, device), label_tensor(self.database.labels, device)
        queries, vectors = self._read() if rows == ALL else self._vectors  # other rows will be asked for
        step = chunk_size(len(vectors), device)
        length = self.together()
        begin, end, _ = rows.indices(len(queries))

        def block(first: int) -> list[Chunk]:
            stop = min(first + length, end)
            distances = _distances(queries, vectors, rows=slice(first, stop), distance=self.distance)
            chunks = []
            for start in range(first, stop, step):
                chunk = slice(start, min(start + step, stop))
                keys = float_keys(distances[start - first : chunk.stop - first], signed=self.distance == "ip")
                chunks.append(rank(keys, chunk, relevance(labels[chunk], items)))
            return chunks

        for chunks in in_order(block, range(begin, end, length), device=device):
            yield from chunks

    def keys(self, rows: slice) -> Tensor:
        """Keys of the distances of some queries, (L, N)."""
        return float_keys(self.distances(rows), signed=self.distance == "ip")

    def distances(self, rows: slice) -> Tensor:
        """Distances of some queries, (L, N) float32 on the device; not negative, unless they are `ip`.

        l2: ‖q − x‖² = ‖q‖² + ‖x‖² − 2 q·x. ip: −q·x. cosine: 1 − q·x / (‖q‖ ‖x‖), and 1 where a vector is zero. What is
        below 1e-12 of ‖q‖² + ‖x‖², of ‖q‖ ‖x‖ or of 1 is rounding, and is 0.
        """
        return _distances(*self._vectors, rows=rows, distance=self.distance)

    @cached_property
    def _vectors(self) -> tuple["_Vectors", "_Vectors"]:
        return self._read()

    def _read(self) -> tuple["_Vectors", "_Vectors"]:
        query, database = (getattr(side, self.by) for side in (self.query, self.database))
        return _Vectors(query, "query", self.device), _Vectors(database, "database", self.device)


class L1Order(Order):
    """By Σ |q − x| between features, summed in float32 by faiss, on the CPU.

    Equal vectors have equal distances wherever they stand in the database; equal distances form one bucket.
    """

    def keys(self, rows: slice) -> Tensor:
        """Keys of the distances of some queries, (L, N) int32."""
        query, database = (
            np.ascontiguousarray(features, np.float32)
            for features in (self.query.features[rows], self.database.features)
        )
        distances = torch.from_numpy(faiss.pairwise_distances(query, database, metric=faiss.METRIC_L1))
        return float_keys(distances.to(self.device), signed=False)


class _Vectors:
    """Vectors (N, F) that are read in float64, some rows at a time.

    On a GPU they are kept there as far as they fit. Squared norms are made once, and tell of values that are not
    finite: squares of float32 never overflow in float64.

    Attributes:
        norms: (N,) float64, squared, on the device.
    """

    def __init__(self, values: Features, name: str, device: torch.device | str) -> None:
        self.values, self.device = values, torch.device(device)
        self.step = max(1, _READ_VALUES[self.device.type] // max(1, int(values.shape[1])))
        self._kept: Tensor | None = None
        if self.device.type != "cpu" and values.size * values.dtype.itemsize <= _DEVICE_BYTES:
            kept = np.require(values, None if values.dtype == np.float16 else np.float32, ["C", "W"])
            self._kept = torch.from_numpy(kept).to(self.device)
        starts = range(0, max(1, len(values)), self.step)
        self.norms = torch.cat([self[start : start + self.step].square_().sum(1) for start in starts])
        if not bool(self.norms.isfinite().all()):
            row = int((~self.norms.isfinite()).nonzero()[0])
            raise ValueError(f"{name} features must be finite, got NaN or infinity in row {row}")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> Tensor:
        """A copy of some rows, float64 on the device."""
        if self._kept is not None:
            return self._kept[rows].double()
        values = torch.from_numpy(np.require(self.values[rows], np.float32, ["C", "W"]))
        return values.to(self.device).to(torch.float64, copy=True)


def _distances(queries: _Vectors, items: _Vectors, *, rows: slice, distance: Distance) -> Tensor:
    """`VectorOrder.distances`."""
    query, norms = queries[rows], queries.norms[rows, None]
    result = torch.empty(len(query), len(items), dtype=torch.float32, device=query.device)
    step = max(1, min(items.step, _READ_VALUES[query.device.type] // max(1, len(query))))
    for start in range(0, len(items), step):
        chunk = slice(start, start + step)
        item_norms = items.norms[chunk]
        if distance == "l2":
            scale = norms + item_norms
            values = torch.addmm(scale, query, items[chunk].T, alpha=-2)
            values.masked_fill_(values < scale.mul_(_RELATIVE_ZERO), 0)
        else:
            scale = norms.sqrt() * item_norms.sqrt()
            values = (query @ items[chunk].T).neg_()
            values.masked_fill_(values.abs() < _RELATIVE_ZERO * scale, 0)
            if distance == "cosine":
                values = values.div_(scale.masked_fill_(scale == 0, 1)).add_(1)
                values.masked_fill_(values < _RELATIVE_ZERO, 0)
        result[:, chunk] = values
    return result
