"""Packed codes that lie on a device, and exact search of them by Hamming distance: `HammingCodes` on a device.

N codes, B bits, W words of 32 bits a code, Q queries, k answers a query.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native.bitmaps import Bitmap
from dqh.native.device import selection
from dqh.native.device.hits import GROUP, Compared, hits_in_shares
from dqh.native.device.selection import MISSING, Kernels, empty_planes, in_shares, is_allowed, placed, rows_of, smallest
from dqh.native.device.torch_kernels import differing_bits

_ADDED = 2**22
"""Codes that are laid out at a time."""

Answers = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Rows and bits."""


class HammingTensors:
    """Codes to search by Hamming distance, in 32-bit words: 4 W bytes a code on the device.

    A search holds at most `selection.CELLS` distances at a time there, or those of one query, about √(N k), where these
    are more; what is within a radius is held besides.

    Args:
        size: bytes a code, ⌈B / 8⌉.
        device: where codes lie.
        kernels: see `selection.kernels`; None for those.

    Example:
        >>> codes = HammingTensors(1, device="cpu")
        >>> codes.add(np.array([[0b000], [0b111], [0b001]], np.uint8))
        >>> codes.nearest(np.array([[0b101]], np.uint8), 2)
        (array([[1, 2]]), array([[1, 1]], dtype=int32))
    """

    def __init__(self, size: int, *, device: torch.device | str, kernels: Kernels | None = None) -> None:
        self._device = torch.device(device)
        self._kernels = kernels or selection.kernels(self._device)
        self._parts = [torch.empty(max(1, -(-size // 4)), 0, dtype=torch.int32, device=self._device)]

    def __len__(self) -> int:
        return sum(part.shape[1] for part in self._parts)

    def add(self, codes: NDArray[np.uint8] | Tensor) -> None:
        """Append codes (N, ⌈B / 8⌉) uint8, of the host or of any device; they are copied."""
        if len(codes):
            self._parts.append(words_of(codes, self._device))

    def nearest(self, queries: NDArray[np.uint8], k: int, *, allowed: Bitmap | None = None) -> Answers:
        """The k nearest codes of each query, equal distances by row.

        Arguments and result as of `HammingCodes.nearest`; k may be above N.
        """
        wanted, mask = words_of(queries, self._device), placed(allowed, self._device)

        def search(share: slice, size: int, taken: int) -> tuple[Tensor, Tensor]:
            return self._nearest(wanted[:, share], mask, size=size, taken=taken, k=k)

        missing = np.int32(MISSING)
        return in_shares(search, queries=len(queries), rows=len(self), k=k, missing=missing, device=self._device)

    def _nearest(
        self, queries: Tensor, allowed: Tensor | None, *, size: int, taken: int, k: int
    ) -> tuple[Tensor, Tensor]:
        """Rows and bits (L, m) of queries (W, L), m ≤ k as many as the groups taken have."""
        minima = self._kernels.hamming_minima(self._words, queries, allowed, size)
        rows = rows_of(smallest(minima, taken).columns.sort(dim=1).values, size)
        distances = torch.where(is_allowed(allowed, rows, len(self)), self._bits(queries[:, :, None], rows), MISSING)
        best = smallest(distances, min(k, rows.shape[1]))
        return torch.where(best.values == MISSING, -1, rows.gather(1, best.columns)), best.values

    def within(
        self, queries: NDArray[np.uint8], radius: int, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """All codes at most `radius` bits away from each query, nearest first, equal distances by row.

        Arguments and result as of `HammingCodes.within`.
        """
        wanted, mask = words_of(queries, self._device), placed(allowed, self._device)

        def search(share: slice) -> tuple[Tensor, Compared]:
            part = wanted[:, share]

            def compared(query: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
                return self._bits(part[:, query], rows), is_allowed(mask, rows, len(self))

            return self._kernels.hamming_minima(self._words, part, mask, GROUP), compared

        limit, count = min(radius, MISSING - 1), len(queries)
        return hits_in_shares(search, limit, queries=count, rows=len(self), kind=np.int32, device=self._device)

    def _bits(self, queries: Tensor, rows: Tensor) -> Tensor:
        """In how many bits rows (L, m), those beyond the last one as that, differ from queries (W, L, 1)."""
        known = rows.clamp(max=len(self) - 1)
        return differing_bits((plane[known] for plane in self._words), queries)

    @property
    def _words(self) -> Tensor:
        """(W, N) int32; joins what was added since the last search."""
        if len(self._parts) > 1:
            whole = empty_planes(len(self._parts[0]), len(self), dtype=torch.int32, device=self._device)
            self._parts = [torch.cat(self._parts, dim=1, out=whole)]
        return self._parts[0]


def words_of(codes: NDArray[np.uint8] | Tensor, device: torch.device) -> Tensor:
    """Codes (N, ⌈B / 8⌉) uint8 as (W, N) int32 on a device, filled up with zeros, a part of them at a time."""
    count, size = codes.shape
    words = max(1, -(-size // 4))
    result = empty_planes(words, count, dtype=torch.int32, device=device)
    for start in range(0, count, _ADDED):
        part = codes[start : start + _ADDED]
        if not isinstance(part, Tensor):
            part = torch.from_numpy(np.require(part, requirements=["C", "W"]))
        filled = torch.nn.functional.pad(part.to(device), (0, 4 * words - size)).contiguous()
        result[:, start : start + _ADDED] = filled.view(torch.int32).T
    return result
