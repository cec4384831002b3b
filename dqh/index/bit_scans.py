"""What scans packed codes for a `HammingIndex`: the kernels of `dqh._native` where they are built, else faiss.

On a device those of `dqh.native.device` do. All give the same answers. Q queries, N codes, B bits, k answers a query.
"""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dqh.lazy import faiss
from dqh.native.bitmaps import Bitmap, rows_allowed
from dqh.native.extension import extension
from dqh.native.hamming_codes import HammingCodes
from dqh.native.twins import MISSING

if TYPE_CHECKING:
    import torch


class BitScan(Protocol):
    """Codes that are compared with those of queries, all (N, ⌈B / 8⌉) uint8 of one length."""

    def __len__(self) -> int:
        """N."""
        ...

    def add(self, codes: NDArray[np.uint8], /) -> None:
        """Append codes, which are copied."""
        ...

    def nearest(
        self, queries: NDArray[np.uint8], k: int, /, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Rows and bits (Q, k) of the k ≤ N nearest codes of each query that are allowed, equal distances by row.

        Row -1 where there are fewer.
        """
        ...

    def within(
        self, queries: NDArray[np.uint8], radius: int, /, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Offsets (Q + 1,), rows and bits (H,) of all codes up to `radius` bits away, nearest first, equal by row."""
        ...


class FaissScan:
    """By faiss's `IndexBinaryFlat`, of codes of `size` bytes; those of a filter are copied for the search."""

    def __init__(self, size: int) -> None:
        self._index: Any = faiss.IndexBinaryFlat(8 * size)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, codes: NDArray[np.uint8]) -> None:
        """Append codes."""
        self._index.add(np.ascontiguousarray(codes))

    def nearest(
        self, queries: NDArray[np.uint8], k: int, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Out of its heaps, which compare (distance, id) pairs, so that ties at the cut go to the smallest id."""
        if allowed is None:
            distances, ids = self._index.search(queries, k)
            return ids.astype(np.int64), distances
        rows, part = self._part(allowed)
        ids = np.full((len(queries), k), -1, np.int64)
        distances = np.full((len(queries), k), MISSING, np.int32)
        if count := min(k, len(rows)):
            found_distances, places = part.search(queries, count)
            ids[:, :count], distances[:, :count] = rows[places], found_distances
        return ids, distances

    def within(
        self, queries: NDArray[np.uint8], radius: int, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Sorted, as faiss returns them in no stated order; what it is given is a radius that nothing reaches."""
        rows, index = (None, self._index) if allowed is None else self._part(allowed)
        offsets, distances, ids = index.range_search(queries, radius + 1)
        offsets = offsets.astype(np.int64)
        query = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = np.lexsort((ids, distances, query))
        ids = ids[order].astype(np.int64)
        return offsets, ids if rows is None else rows[ids], distances[order].astype(np.int32)

    def _part(self, allowed: Bitmap) -> tuple[NDArray[np.int64], Any]:
        """The rows of a filter, ascending, and an index over them."""
        rows = rows_allowed(allowed, len(self))
        codes = faiss.vector_to_array(self._index.xb).reshape(len(self), self._index.code_size)
        part = faiss.IndexBinaryFlat(self._index.d)
        part.add(codes[rows])
        return rows, part


def bit_scan(size: int, device: "torch.device | str" = "cpu") -> BitScan:
    """The quickest scan of codes of `size` bytes, which lie on a device, that there is."""
    if str(device) != "cpu":
        from dqh.native.device.hamming_tensors import HammingTensors

        return HammingTensors(size, device=device)
    kernels = extension()
    return FaissScan(size) if kernels is None else HammingCodes(size, kernels=kernels)
