"""Exact search by Hamming distance over packed binary codes, in memory.

Here: the k nearest items, and all items within a radius. What scans the codes is in `bit_scans`, re-ranking by features
in `coarse_to_fine`.

Q queries, N database items, B bits, k answers a query.
"""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dqh.codes import code_bytes, require_packed
from dqh.counts import MOST, require_counts
from dqh.errors import NotFittedError
from dqh.index.bit_scans import bit_scan
from dqh.index.radius_hits import RadiusHits
from dqh.native.bitmaps import Bitmap, require_bitmap
from dqh.ranking import Ranking

if TYPE_CHECKING:
    import torch


class BinaryQuantizer(Protocol):
    """What makes packed binary codes of embeddings; `dqh.quantizers.Threshold` is one."""

    bits: int

    def encode(self, embedding: NDArray[np.floating[Any]], /) -> NDArray[np.uint8]:
        """Packed codes (N, ⌈B / 8⌉) uint8 of embeddings (N, D)."""
        ...


class HammingIndex:
    """Exact nearest neighbours by Hamming distance.

    The database side is codes, the query side is embeddings, which the quantizer turns into codes.
    Equal distances are ordered by id, smallest first, also where k cuts through them.

    Args:
        quantizer: gives the number of bits, and the codes of query embeddings.
        device: where codes lie and are searched; answers are the same.

    Example:
        >>> from dqh.quantizers.threshold import Threshold
        >>> index = HammingIndex(Threshold(3))
        >>> index.add(np.array([[0b000], [0b111], [0b001]], dtype=np.uint8))
        >>> index.search(np.array([[0.9, 0.1, 0.2]], dtype=np.float32), 2)
        Ranking(ids=array([[2, 0]]), distances=array([[0., 1.]], dtype=float32))
    """

    def __init__(self, quantizer: BinaryQuantizer, *, device: "torch.device | str" = "cpu") -> None:
        self.quantizer = quantizer
        self._scan = bit_scan(code_bytes(quantizer.bits), device)

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.quantizer.bits

    def __len__(self) -> int:
        return len(self._scan)

    def add(self, codes: NDArray[np.uint8]) -> None:
        """Append items; their ids are the next free rows. Adding in two batches equals adding once.

        Args:
            codes: (N, ⌈B / 8⌉) uint8, packed low bit first, the unused bits of the last byte zero.

        Raises:
            ValueError: wrong dtype or shape, or a bit is set beyond the B bits of a code.
        """
        require_packed(codes, self.bits)
        self._scan.add(codes)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int, *, allowed: Bitmap | None = None) -> Ranking:
        """The k nearest items of each query; equal distances by id, smallest first.

        Args:
            embeddings: (Q, D) float, what the quantizer encodes.
            k: answers a query, at least 1; where it exceeds the size of the index the rest is padded.
            allowed: (⌈N / 8⌉,) uint8, bit r % 8 of byte ⌊r / 8⌋: whether item r may be in an answer, as
                `numpy.packbits(items, bitorder="little")` makes it; None: all may.

        Returns:
            Ranking of (Q, k), distances in bits.

        Raises:
            NotFittedError: the index is empty.
            TypeError: k is no whole number.
            ValueError: k is out of range, `allowed` is no bitmap of the items, or the quantizer refuses the embeddings.
        """
        self._require_items()
        require_counts(max(MOST, len(self)), k=k)
        require_bitmap(allowed, len(self))
        ids, bits = self._scan.nearest(self.quantizer.encode(embeddings), min(k, len(self)), allowed=allowed)
        distances = bits.astype(np.float32)
        if allowed is not None:
            distances[ids < 0] = np.inf
        return Ranking(ids, distances).padded(k)

    def search_radius(
        self, embeddings: NDArray[np.floating[Any]], radius: float, *, allowed: Bitmap | None = None
    ) -> RadiusHits:
        """All items at most `radius` bits away from each query, nearest first, equal distances by id.

        Args:
            embeddings: (Q, D) float, what the quantizer encodes.
            radius: bits, any number of at least 0; items at exactly this distance are included.
            allowed: as for `search`.

        Returns:
            RadiusHits.

        Raises:
            NotFittedError: the index is empty.
            ValueError: the radius is negative or NaN, `allowed` is no bitmap of the items, or the quantizer refuses the
                embeddings.
        """
        self._require_items()
        if not radius >= 0:
            raise ValueError(f"radius must be at least 0 bits, got {radius}")
        require_bitmap(allowed, len(self))
        limit = int(min(radius, self.bits))  # faiss holds it in 32 bits; no distance is beyond the number of bits
        offsets, ids, distances = self._scan.within(self.quantizer.encode(embeddings), limit, allowed=allowed)
        return RadiusHits(offsets, ids, distances.astype(np.float32))

    def _require_items(self) -> None:
        if not len(self):
            raise NotFittedError("HammingIndex is empty; call add(codes) first")
