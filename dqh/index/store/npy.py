"""Arrays in .npy files whose header is known before it is read: it is compared byte for byte, never parsed.

`numpy.load` reads these files too.
"""

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

_ALIGNMENT = 64


def npy_header(dtype: DTypeLike, shape: tuple[int, ...]) -> bytes:
    """The header of a C-contiguous array in .npy format 1.0, filled with spaces to a multiple of 64 bytes.

    Example:
        >>> npy_header(np.uint8, (3, 2))[10:].split(b" }")[0]
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2),"
    """
    text = f"{{'descr': {np.dtype(dtype).str!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    length = -(-(10 + len(text) + 1) // _ALIGNMENT) * _ALIGNMENT - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1) + b"\n"


def npy_size(dtype: DTypeLike, shape: tuple[int, ...]) -> int:
    """Bytes of such a file."""
    return len(npy_header(dtype, shape)) + int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize


def npy_parts(array: NDArray[np.generic]) -> list[bytes | memoryview]:
    """Header and content of a file, from a C-contiguous array with at least one element."""
    return [npy_header(array.dtype, array.shape), array.reshape(-1).view(np.uint8).data]


def map_npy(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """A read-only memory map of a file written from `npy_parts`.

    Raises:
        OSError: it cannot be read.
        ValueError: it has another size or another header.
    """
    header, wanted, size = npy_header(dtype, shape), npy_size(dtype, shape), path.stat().st_size
    if size != wanted:
        raise ValueError(f"it has {size} bytes, wanted {wanted}")
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise ValueError(f"its header does not say {np.dtype(dtype).str} of shape {shape}")
    return np.memmap(path, dtype=dtype, mode="r", offset=len(header), shape=shape)
