"""All rows within a distance of each query: those of the groups whose least distance is within, compared once more.

N rows, L queries at a time, G rows of a group, H hits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native.device.selection import CELLS, query_shares, rows_of
from dqh.ranking.keys import float_keys

GROUP = 256
"""Rows of a group."""

Compared = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Queries (P, 1) of a share, and rows (P, G) → distances (P, G), and which of the rows may be in an answer."""


def hits_in_shares(
    search: Callable[[slice], tuple[Tensor, Compared]],
    limit: float,
    *,
    queries: int,
    rows: int,
    kind: type[np.generic],
    device: torch.device,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """All hits of all queries on the host, some queries at a time, nearest first, equal distances by row.

    Args:
        search: of queries, the least distance of each group (L, ⌈N / G⌉), and what compares rows.
        limit: the largest distance of a hit.
        queries: Q.
        rows: N.
        kind: of distances on the host.
        device: that searches.

    Returns:
        Offsets (Q + 1,) int64: the hits of query q are `offsets[q]` to `offsets[q + 1]` of the rows (H,) int64 and of
        the distances (H,) that follow.
    """
    counts, ids, distances = np.zeros(queries + 1, np.int64), [np.empty(0, np.int64)], [np.empty(0, kind)]
    for share in query_shares(queries, cells=-(-rows // GROUP), device=device) if rows else []:
        query, row, distance = (values.cpu().numpy() for values in _hits(*search(share), limit, device))
        counts[share.start + 1 : share.stop + 1] = np.bincount(query, minlength=share.stop - share.start)
        ids.append(row)
        distances.append(distance.astype(kind))
    return np.cumsum(counts), np.concatenate(ids), np.concatenate(distances)


def _hits(minima: Tensor, compared: Compared, limit: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Query, row and distance (H,) of the hits of some queries, in the order of an answer."""
    near = (minima <= limit).nonzero()
    step = max(1, CELLS[device.type] // GROUP)
    parts = []
    for start in range(0, max(1, len(near)), step):
        query, group = near[start : start + step, :1], near[start : start + step, 1:]
        rows = rows_of(group, GROUP)
        distances, fits = compared(query, rows)
        place = ((distances <= limit) & fits).nonzero(as_tuple=True)
        parts.append((query[place[0], 0], rows[place], distances[place]))
    query, row, distance = map(torch.cat, zip(*parts, strict=True))
    keys = float_keys(distance, signed=True) if distance.is_floating_point() else distance
    order = ((query << 33) + keys).argsort(stable=True)  # rows ascend already
    return query[order], row[order], distance[order]
