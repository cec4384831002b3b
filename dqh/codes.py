"""Codes: bits or indices packed into bytes, low bit first, and the Hamming distance between packed rows.

Bit b of a code is bit b mod 8 of byte ⌊b / 8⌋, as in `numpy.packbits(bitorder="little")` and in faiss. Where B is no
multiple of 8 the last byte is filled with zeros, which no distance sees.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_CODEWORDS = 65_536
"""Most codewords that a subspace has."""


def code_bytes(bits: int) -> int:
    """Bytes that a code of `bits` bits takes, ⌈bits / 8⌉."""
    return -(-bits // 8)


def count_subspaces(bits: int, codewords: int, dimension: int) -> int:
    """M, the subspaces of a product quantizer with codes of B = M · log2 K bits.

    Args:
        bits: B.
        codewords: K of each subspace.
        dimension: D, length of an embedding.

    Raises:
        ValueError: K is no power of two from 2 to 65,536, or B or D does not divide.

    Example:
        >>> count_subspaces(32, codewords=256, dimension=288)
        4
    """
    width = codewords.bit_length() - 1
    if not 2 <= codewords <= MOST_CODEWORDS or codewords != 1 << width:
        raise ValueError(f"codewords must be a power of two from 2 to {MOST_CODEWORDS}, got {codewords}")
    if bits < 1 or bits % width:
        fitting = [2**b for b in range(16, 0, -1) if bits > 0 and bits % b == 0]
        hint = f"; of {bits} bits, codewords can be {', '.join(map(str, fitting))}" if fitting else ""
        raise ValueError(f"bits must be a multiple of log2 codewords = {width}, got {bits}{hint}")
    if dimension < 1 or dimension % (bits // width):
        raise ValueError(
            f"dimension must be a multiple of bits / log2 codewords = {bits // width}, the number of subspaces, got "
            f"{dimension}"
        )
    return bits // width


def pack(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Bits (N, B) bool packed into bytes (N, ⌈B / 8⌉) uint8.

    Raises:
        ValueError: `bits` is not a bool matrix.

    Example:
        >>> pack(np.array([[True, False, False, False, False, False, False, False, True]]))
        array([[1, 1]], dtype=uint8)
    """
    if bits.ndim != 2 or bits.dtype != np.bool_:
        raise ValueError(f"bits must be a bool array of shape (N, B), got {bits.dtype} of shape {bits.shape}")
    return np.packbits(bits, axis=1, bitorder="little")


def unpack(codes: NDArray[np.uint8], bits: int) -> NDArray[np.bool_]:
    """The first `bits` bits (N, B) bool of each code (N, ⌈B / 8⌉) uint8, the inverse of `pack`.

    Raises:
        ValueError: `codes` is not uint8 or its rows do not have ⌈bits / 8⌉ bytes.
    """
    require_codes(codes, bits)
    return np.unpackbits(codes, axis=1, count=bits, bitorder="little").astype(bool)


def pack_indices(indices: NDArray[np.integer[Any]], width: int) -> NDArray[np.uint8]:
    """Pack rows of indices, `width` bits each, into codes: the bitstream of `faiss.pack_bitstrings`.

    Index m takes bits m·width to (m + 1)·width − 1 of the code, its low bit first.

    Args:
        indices: (N, M) integers, each at least 0 and below 2^width.
        width: bits an index, 1 to 16.

    Returns:
        (N, ⌈M·width / 8⌉) uint8.

    Raises:
        ValueError: `indices` is no integer matrix, or an index does not fit into `width` bits.

    Example:
        >>> pack_indices(np.array([[1, 2, 3]]), 4).tolist()
        [[33, 3]]
    """
    _require_width(width)
    if indices.ndim != 2 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"indices must be integers of shape (N, M), got {indices.dtype} of shape {indices.shape}")
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >> width):
        raise ValueError(
            f"indices of {width} bits must be at least 0 and below {2**width}, got {indices.min()} to {indices.max()}"
        )
    octets = np.ascontiguousarray(indices, "<u2").view(np.uint8).reshape(*indices.shape, 2)
    bits = np.unpackbits(octets, axis=2, count=width, bitorder="little")
    return np.packbits(bits.reshape(len(indices), indices.shape[1] * width), axis=1, bitorder="little")


def unpack_indices(codes: NDArray[np.uint8], count: int, width: int) -> NDArray[np.int64]:
    """Indices (N, M) int64, M = `count`, of codes (N, ⌈M·width / 8⌉) uint8, the inverse of `pack_indices`.

    Raises:
        ValueError: `codes` is not uint8 or its rows do not have ⌈count·width / 8⌉ bytes.
    """
    _require_width(width)
    require_codes(codes, count * width)
    bits = np.unpackbits(codes, axis=1, count=count * width, bitorder="little").reshape(len(codes), count, width)
    octets = np.zeros((len(codes), count, 2), np.uint8)
    octets[:, :, : code_bytes(width)] = np.packbits(bits, axis=2, bitorder="little")
    return octets.view("<u2")[:, :, 0].astype(np.int64)


def hamming(queries: NDArray[np.uint8], database: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of bits in which each query (Q, bytes) differs from each database code (N, bytes), (Q, N) int64.

    The whole matrix is returned: meant for a handful of queries; `dqh.index` searches large collections.

    Raises:
        ValueError: the two differ in bytes a code.
    """
    if queries.shape[1] != database.shape[1]:
        raise ValueError(
            f"queries and database must have codes of one length, got {queries.shape[1]} and {database.shape[1]} bytes"
        )
    distances = np.empty((len(queries), len(database)), np.int64)
    for query, row in zip(queries, distances, strict=True):
        np.bitwise_count(query ^ database).sum(axis=1, dtype=np.int64, out=row)
    return distances


def require_codes(codes: NDArray[np.uint8], bits: int) -> None:
    """Raise `ValueError` unless `codes` is a (N, ⌈bits / 8⌉) uint8 array."""
    wanted = code_bytes(bits)
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != wanted:
        raise ValueError(
            f"codes of {bits} bits must be uint8 of shape (N, {wanted}), got {codes.dtype} of shape {codes.shape}"
        )


def require_packed(codes: NDArray[np.uint8], bits: int) -> None:
    """Raise `ValueError` unless `codes` is (N, ⌈bits / 8⌉) uint8 whose bits beyond the first `bits` are zero."""
    require_codes(codes, bits)
    used = bits % 8
    if used and len(codes) and int(codes[:, -1].max()) >> used:
        row = int(np.flatnonzero(codes[:, -1] >> used)[0])
        raise ValueError(
            f"codes of {bits} bits must have zeros after bit {bits}, row {row} has not; take them from quantizer.encode"
        )


def _require_width(width: int) -> None:
    if not 1 <= width <= 16:
        raise ValueError(f"width must be 1 to 16 bits an index, got {width}")
