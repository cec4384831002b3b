"""CRC-32 of the rows of an array."""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.native import twins


def row_crc32(values: NDArray[Any], *, kernels: ModuleType) -> NDArray[np.uint32]:
    """(n,) uint32, the CRC-32 of the bytes of each row of C-contiguous values (n, F), as of `zlib.crc32`.

    `kernels` is `dqh._native`, or `dqh.native.twins`.

    Example:
        >>> [hex(value) for value in row_crc32(np.frombuffer(b"123456789", np.uint8)[None], kernels=twins).tolist()]
        ['0xcbf43926']
    """
    octets = values.view(np.uint8).reshape(len(values), values.shape[1] * values.itemsize)
    sums = np.empty(len(values), np.uint32)
    twins.require_ok(kernels.crc32(octets, len(values), octets.shape[1], sums))
    return sums
