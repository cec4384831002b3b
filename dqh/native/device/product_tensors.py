"""Codewords of items that lie on a device, and exact search of them by look-up tables: as `ProductCodes` on the host.

N items, M subspaces, K codewords each, Q queries, k answers a query.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native.bitmaps import Bitmap
from dqh.native.device import selection
from dqh.native.device.hits import GROUP, Compared, hits_in_shares
from dqh.native.device.selection import Kernels, empty_planes, in_shares, is_allowed, placed, rows_of, smallest
from dqh.ranking.keys import float_keys

Answers = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and distances."""


class ProductTensors:
    """Items to search by sums of look-up tables: M bytes an item on the device, 4 M where K is above 256.

    Memory of a search is as that of `HammingTensors`.

    Args:
        indices: (M, N) codewords of the items, any integer type.
        norms: (N,) float32, for the cosine: distances are 1 + sum / norm, and 1 where the norm is 0.
        device: where items lie.
        kernels: see `selection.kernels`; None for those.

    Example:
        >>> codes = ProductTensors(np.array([[0, 1, 1], [0, 0, 1]], np.uint8), device="cpu")
        >>> codes.nearest(np.array([[[0, 3], [5, 1]]], np.float32), 2)
        (array([[2, 0]]), array([[4., 5.]], dtype=float32))
    """

    def __init__(
        self,
        indices: NDArray[np.integer[Any]],
        *,
        norms: NDArray[np.float32] | None = None,
        device: torch.device | str,
        kernels: Kernels | None = None,
    ) -> None:
        self._device = torch.device(device)
        self._kernels = kernels or selection.kernels(self._device)
        kind = np.uint8 if indices.dtype == np.uint8 else np.int32
        values = torch.from_numpy(np.require(indices, kind, ["C", "W"])).to(self._device)
        self._indices = empty_planes(*values.shape, dtype=values.dtype, device=self._device).copy_(values)
        self._inverses: Tensor | None = None
        if norms is not None:
            lengths = torch.from_numpy(np.require(norms, np.float32, ["C", "W"])).to(self._device)
            self._inverses = torch.where(lengths > 0, 1 / lengths, 0)

    def __len__(self) -> int:
        return int(self._indices.shape[1])

    def nearest(self, tables: NDArray[np.float32], k: int, *, allowed: Bitmap | None = None) -> Answers:
        """The k nearest items of each query, by sums in float32 from the first subspace to the last; equal ones by row.

        Arguments and result as of `ProductCodes.nearest`; k may be above N.
        """
        wanted = torch.from_numpy(np.require(tables, np.float32, ["C", "W"])).to(self._device)
        mask = placed(allowed, self._device)

        def search(share: slice, size: int, taken: int) -> tuple[Tensor, Tensor]:
            return self._nearest(wanted[share], mask, size=size, taken=taken, k=k)

        missing = np.float32(np.inf)
        return in_shares(search, queries=len(tables), rows=len(self), k=k, missing=missing, device=self._device)

    def _nearest(
        self, tables: Tensor, allowed: Tensor | None, *, size: int, taken: int, k: int
    ) -> tuple[Tensor, Tensor]:
        """Rows and distances (L, m) of tables (L, M, K), m ≤ k as many as the groups taken have."""
        minima = self._kernels.table_minima(self._indices, tables, self._inverses, allowed, size)
        groups = smallest(float_keys(minima, signed=True), taken).columns
        rows = rows_of(groups.sort(dim=1).values, size)
        sums = torch.where(is_allowed(allowed, rows, len(self)), self._sums(tables, rows), torch.inf)
        best = smallest(float_keys(sums, signed=True), min(k, rows.shape[1])).columns
        distances = sums.gather(1, best)
        return torch.where(distances == torch.inf, -1, rows.gather(1, best)), distances

    def within(
        self, tables: NDArray[np.float32], radius: float, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """All items at most `radius` away from each query, nearest first, equal distances by row.

        Arguments and result as of `ProductCodes.within`.
        """
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            limit = float(np.float32(radius))
        wanted = torch.from_numpy(np.require(tables, np.float32, ["C", "W"])).to(self._device)
        mask = placed(allowed, self._device)

        def search(share: slice) -> tuple[Tensor, Compared]:
            part = wanted[share]

            def compared(query: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
                return self._sums(part[query[:, 0]], rows), is_allowed(mask, rows, len(self))

            return self._kernels.table_minima(self._indices, part, self._inverses, mask, GROUP), compared

        count = len(tables)
        return hits_in_shares(search, limit, queries=count, rows=len(self), kind=np.float32, device=self._device)

    def _sums(self, tables: Tensor, rows: Tensor) -> Tensor:
        """Distances of rows (L, m), those beyond the last one as that, by a table (L, M, K) each; −0 is +0."""
        known = rows.clamp(max=len(self) - 1)
        sums = tables.new_zeros(rows.shape)
        for table, column in zip(tables.unbind(1), self._indices, strict=True):
            sums += table.gather(1, column[known].long())
        if self._inverses is not None:
            sums.mul_(self._inverses[known]).add_(1)
        return sums + 0
