"""Arrays in .npy files: with a header that is known, which is compared byte for byte, and those of anyone.

`numpy.load` reads these files too. What is given back keeps no file open, so that an index may have more segments than
a process may have open files. Nothing is unpickled, and a header is measured before it is parsed.
"""

import io
import os
from io import BufferedReader
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dqh.files import open_regular, reopening

MAX_HEADER = 4096
"""Bytes of one that is parsed."""

_ALIGNMENT = 64


class _Header(NamedTuple):
    """What a header says, and where the values begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int


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


def read_npy(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The array of a file written from `npy_parts`, in memory, read-only.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it has another size or another header.
    """
    with open_regular(path) as file:
        _require_header(file, dtype, shape)
        content = file.read()
    if len(content) != npy_size(dtype, shape) - len(npy_header(dtype, shape)):
        raise ValueError("it was cut off while it was read")
    return np.frombuffer(content, dtype).reshape(shape)


def map_npy(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> tuple[NDArray[np.generic], os.stat_result]:
    """A read-only memory map of a file written from `npy_parts`, and what the system says of the file.

    The map keeps no descriptor, as those of `mmap` and `numpy.memmap` do. Reading it behind the end of a file that was
    cut off ends the process: compare what the system says first. Errors as of `read_npy`.
    """
    import pyarrow as pa

    with open_regular(path) as file:
        _require_header(file, dtype, shape)
        with pa.memory_map(os.fsencode(reopening(file, path))) as mapped:
            size = mapped.size()
            # A whole read would ask the system to load all of the file; what the first byte is a part of is the map.
            whole = mapped.read_buffer(1).parent
        status = os.fstat(file.fileno())
    assert whole.size == size
    if size != npy_size(dtype, shape):
        raise ValueError(f"it has {size} bytes, wanted {npy_size(dtype, shape)}")
    return np.frombuffer(whole, dtype, offset=len(npy_header(dtype, shape))).reshape(shape), status


def _require_header(file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    """Read the header of a file and compare it, and the size of the file."""
    header, wanted, size = npy_header(dtype, shape), npy_size(dtype, shape), os.fstat(file.fileno()).st_size
    if size != wanted:
        raise ValueError(f"it has {size} bytes, wanted {wanted}")
    if file.read(len(header)) != header:
        raise ValueError(f"its header does not say {np.dtype(dtype).str} of shape {shape}")


def parse_npy(content: bytes) -> NDArray[Any]:
    """The array of an .npy file of numbers that anyone may have made, read-only.

    Raises:
        ValueError: not the format, a header beyond `MAX_HEADER`, objects, or a shape of another size than what follows;
            the text says why.
    """
    header = _header(io.BytesIO(content), len(content))
    array = np.frombuffer(content, header.dtype, offset=header.start)
    return array.reshape(header.shape[::-1]).T if header.fortran else array.reshape(header.shape)


def map_any_npy(file: BufferedReader, path: Path) -> NDArray[Any]:
    """A read-only memory map of an .npy file of numbers that anyone may have made.

    Raises:
        ValueError: as `parse_npy`, or there is nothing to map.
        OSError: it cannot be read.
    """
    header = _header(file, os.fstat(file.fileno()).st_size)
    order = "F" if header.fortran else "C"
    place = reopening(file, path)
    mapped: NDArray[Any] = np.memmap(place, header.dtype, "r", offset=header.start, shape=header.shape, order=order)  # type: ignore[call-overload]
    return mapped


def _header(stream: BinaryIO, size: int) -> _Header:
    """What the header of a file of `size` bytes says; `ValueError` where the file is not as it says."""
    try:
        version = np.lib.format.read_magic(stream)
        start = stream.tell()
        length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
        if length > MAX_HEADER:
            raise ValueError(f"a header of {length} bytes")
        stream.seek(start)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream, max_header_size=MAX_HEADER)
    except (TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error
    if dtype.hasobject:
        raise ValueError(f"it holds {dtype}, which is not unpickled")
    rest = size - stream.tell()
    if min(shape, default=1) < 0 or prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"it names the shape {shape}, which does not fit its {rest} bytes")
    return _Header(shape, fortran, dtype, stream.tell())
