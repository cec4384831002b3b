"""Search by features: re-ranking the candidates of a coarse search, or, for comparison, scanning everything.

`rerank` composes with any `Ranking`: the top m of an index, or all items within a radius through
`RadiusHits.to_ranking`. The coarse search itself is in `hamming`.

Q queries, N database items, m candidates a query, F feature dimensions, k answers a query.
"""

import sys
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dqh.cores import threads
from dqh.counts import MOST, require_counts
from dqh.lazy import faiss
from dqh.native.extension import extension
from dqh.native.row_distances import row_distances
from dqh.native.threads import in_threads
from dqh.ranking import Ranking
from dqh.ranking.side import Features

CHUNK_BYTES = 64 * 2**20
"""Features of a whole database that are read and converted at a time, bytes of float32."""

POOL_BYTES = 2 * 2**20
"""Features of candidates that are read and compared at a time, bytes of float32: what the cache of a core holds."""

_SHARED = 2**20
"""Values compared from which on queries are shared by threads."""

_ALONE = 2**15 - 1
"""Values that torch converts in the calling thread: its others may wait for a core on which those of faiss spin."""


def rerank(ranking: Ranking, query_features: Features, *, database_features: Features, k: int) -> Ranking:
    """The k candidates of each query that are nearest by features (Lin et al. 2015, §3.4).

    Only the candidates' rows are read, in ascending order and `POOL_BYTES` at a time, so that the database may be a
    memory map. Distances are summed in float32 from float32 differences. Equal distances are ordered by id, smallest
    first.

    Args:
        ranking: (Q, m) candidates, -1 where a query has fewer; their order and distances do not matter.
        query_features: (Q, F) float32 or float16.
        database_features: (N, F) float32 or float16, array or memory map, or what has `shape`, `dtype` and `take` as
            these have, and may have `squared_l2`, as `dqh.index.store.version.Features` has.
        k: answers a query, at least 1; where a query has fewer candidates the rest is padded.

    Returns:
        Ranking of (Q, k), squared L2 distances.

    Raises:
        ValueError: k is below 1, the shapes do not fit together, an id is not a row of the database, or a feature of a
            query or of a candidate is not finite.
        TypeError: features of another dtype.
    """
    _require_features(query_features, database_features, k=k)
    if ranking.ids.ndim != 2 or len(ranking.ids) != len(query_features):
        raise ValueError(
            f"ranking must have a row for each of the {len(query_features)} query features, "
            f"got ids of shape {ranking.ids.shape}"
        )
    if ranking.ids.size and int(ranking.ids.max()) >= len(database_features):
        raise ValueError(
            f"ranking holds id {ranking.ids.max()}, database_features has {len(database_features)} rows; "
            "both must come from one database"
        )
    ids = np.full((len(query_features), k), -1, dtype=np.int64)
    distances = np.full((len(query_features), k), np.inf, dtype=np.float32)

    def share(first: int, last: int) -> None:
        distances_to = _PoolDistances(database_features, most=max(1, ranking.ids.shape[1]))
        for q in range(first, last):
            candidates = ranking.ids[q]
            pool = np.sort(candidates[candidates >= 0])
            squared = distances_to(np.asarray(query_features[q], dtype=np.float32), pool)
            _require_finite(squared)
            best = np.argsort(squared, kind="stable")[:k]
            ids[q, : len(best)], distances[q, : len(best)] = pool[best], squared[best]

    count = _shares(ranking, database_features)
    ends = [len(ids) * number // count for number in range(count + 1)]
    in_threads([partial(share, first, last) for first, last in pairwise(ends)])
    return Ranking(ids, distances)


def exhaustive(query_features: Features, database_features: Features, *, k: int) -> Ranking:
    """The k items of the whole database that are nearest by features: what a coarse search saves.

    Float32 arithmetic of faiss, `CHUNK_BYTES` of the database at a time. Equal distances come in the order of faiss.

    Arguments, result and errors as for `rerank`; k beyond N is padded. Of items, a feature that is not finite is found
    where fewer than k others are left.
    """
    _require_features(query_features, database_features, k=k)
    queries = np.ascontiguousarray(query_features, dtype=np.float32)
    _require_finite(queries)
    ids = np.full((len(queries), k), -1, dtype=np.int64)
    distances = np.full((len(queries), k), np.inf, dtype=np.float32)
    step = _chunk_rows(database_features, CHUNK_BYTES)
    for start in range(0, len(database_features), step):
        part = _as_float32(database_features[start : start + step])
        part_distances, part_ids = faiss.knn(queries, part, min(k, len(part)))
        _require_finite(np.where(part_ids < 0, np.nan, part_distances))  # faiss leaves such items out
        all_ids = np.concatenate([ids, part_ids + start], axis=1)
        all_distances = np.concatenate([distances, part_distances], axis=1)
        order = np.argsort(all_distances, axis=1, kind="stable")[:, :k]
        ids = np.take_along_axis(all_ids, order, axis=1)
        distances = np.take_along_axis(all_distances, order, axis=1)
    return Ranking(ids, distances)


def _shares(ranking: Ranking, features: Features) -> int:
    """Threads among which queries are shared: one but where a kernel compares so much that it is worth more."""
    if features.dtype != np.float16 or ranking.ids.size * features.shape[1] < _SHARED or extension() is None:
        return 1
    return max(1, min(threads(), len(ranking.ids)))


class _PoolDistances:
    """Squared L2 distances of queries to rows of a database; what is read and compared at a time is `POOL_BYTES`.

    By the kernel of `dqh._native` for float16, where it is built: out of an array or map without a copy of the rows, or
    by `squared_l2` of what has it, which may answer None. `most` rows are asked for at a time.
    """

    def __init__(self, features: Features, *, most: int) -> None:
        self._features = features
        self._kernels = extension() if features.dtype == np.float16 else None
        self._in_place = isinstance(features, np.ndarray) and features.flags.c_contiguous
        self._own = getattr(features, "squared_l2", None) if self._kernels is not None else None
        self._step = min(_chunk_rows(features, POOL_BYTES), most)

    @cached_property
    def _read(self) -> NDArray[Any]:
        """Memory for all pieces: the system takes longer to hand out and clear a new one than it takes to fill it."""
        return np.empty((self._step, self._features.shape[1]), self._features.dtype)

    @cached_property
    def _compared(self) -> NDArray[np.float32]:
        """Likewise."""
        return np.empty((self._step, self._features.shape[1]), np.float32)

    def __call__(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m,) of a query (F,) to the rows (m,), which ascend."""
        if self._kernels is not None and self._in_place:
            return row_distances(query, cast(NDArray[np.float16], self._features), rows, kernels=self._kernels)
        own: NDArray[np.float32] | None = None if self._own is None else self._own(query, rows)
        if own is not None:
            return own
        squared, step = np.empty(len(rows), dtype=np.float32), self._step
        for start in range(0, len(rows), step):
            part, place = rows[start : start + step], slice(start, start + step)
            read = self._read[: len(part)]
            self._features.take(part, axis=0, out=read, mode="clip")  # other modes copy twice
            if self._kernels is not None:
                values = cast(NDArray[np.float16], read)
                squared[place] = row_distances(query, values, np.arange(len(part)), kernels=self._kernels)
            else:
                _squared_l2(query, read, memory=self._compared[: len(part)], out=squared[place])
        return squared


def _squared_l2(
    query: NDArray[np.float32], items: Features, *, memory: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """‖query − item‖² of each item (m, F), into `out` (m,); `memory` (m, F) is overwritten."""
    if items.dtype == np.float16 and "torch" in sys.modules:  # quicker, but not worth the seconds that it takes to load
        import torch

        few = max(1, _ALONE // max(1, items.shape[1]))
        to, values = torch.from_numpy(memory), torch.from_numpy(items)  # numpy takes 10 times as long
        for start in range(0, len(items), few):
            to[start : start + few].copy_(values[start : start + few])
    else:
        memory[:] = items
    memory -= query
    np.einsum("mf,mf->m", memory, memory, out=out)


def _as_float32(features: Features) -> NDArray[np.float32]:
    """The same numbers, C-contiguous; a copy unless they are so already. By torch where it is loaded, see above."""
    if features.dtype != np.float16 or "torch" not in sys.modules:
        return np.ascontiguousarray(features, dtype=np.float32)
    import torch

    owned = features if features.flags.writeable else features.copy()  # torch warns of memory that it may not write
    converted: NDArray[np.float32] = torch.from_numpy(np.ascontiguousarray(owned)).float().numpy()
    return converted


def _require_finite(values: NDArray[np.float32]) -> None:
    """Features, or squared distances between them."""
    if not np.isfinite(values).all():
        raise ValueError("query_features and database_features must be finite, and squared distances within float32")


def _chunk_rows(features: Features, limit: int) -> int:
    return max(1, limit // (4 * max(1, int(features.shape[1]))))


def _require_features(query: NDArray[Any], database: NDArray[Any], *, k: int) -> None:
    require_counts(max(MOST, len(database)), k=k)
    for name, features in (("query_features", query), ("database_features", database)):
        if features.dtype not in (np.float32, np.float16):
            raise TypeError(f"{name} must be float32 or float16, got {features.dtype}; convert with astype")
    if query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise ValueError(
            "query_features and database_features must have shapes (Q, F) and (N, F), "
            f"got {query.shape} and {database.shape}"
        )
