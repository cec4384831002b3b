"""Memory that kernels read a line of the cache at a time."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE = 64
"""Bytes of a line of the cache: what lies across two of them takes twice as long to read."""


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros, the first of which begins a line of the cache.

    Example:
        >>> aligned_zeros((2, 3), np.uint16).ctypes.data % LINE
        0
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    octets = np.zeros(size + LINE, np.uint8)
    start = -octets.ctypes.data % LINE
    return octets[start : start + size].view(dtype).reshape(shape)
