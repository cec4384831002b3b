"""Which rows may be in an answer: a bitmap, bit r % 8 of byte ⌊r / 8⌋ for row r."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bitmap = NDArray[np.uint8]
"""(⌈N / 8⌉,) of N rows."""


def bitmap_of(allowed: NDArray[np.bool_]) -> Bitmap:
    """The bitmap of (N,) bool.

    Example:
        >>> bitmap_of(np.array([True, False, True]))
        array([5], dtype=uint8)
    """
    return np.packbits(allowed, bitorder="little")


def rows_allowed(bitmap: Bitmap, rows: int) -> NDArray[np.int64]:
    """The rows of N that a bitmap allows, ascending.

    Example:
        >>> rows_allowed(np.array([5], np.uint8), 3)
        array([0, 2])
    """
    return np.flatnonzero(np.unpackbits(bitmap, count=rows, bitorder="little"))


def require_bitmap(bitmap: NDArray[Any] | None, rows: int) -> None:
    """Raise `ValueError` where it is no bitmap of N rows; None stands for all of them."""
    if bitmap is not None and (bitmap.dtype != np.uint8 or bitmap.shape != (-(-rows // 8),)):
        raise ValueError(
            f"allowed must be uint8 of shape ({-(-rows // 8)},), a bit for each of {rows} rows, got {bitmap.dtype} of "
            f"shape {bitmap.shape}; numpy.packbits(rows, bitorder='little') makes it"
        )
