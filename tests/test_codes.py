"""Packing and Hamming distance."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dqh.codes import code_bytes, hamming, pack, pack_indices, unpack, unpack_indices

bit_matrices = hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 70)))


def test_low_bit_comes_first() -> None:
    """Bits 0 and 3 give 1 + 8 = 9; bit 8 is the first bit of the second byte."""
    bits = np.zeros((1, 9), bool)
    bits[0, [0, 3, 8]] = True
    assert pack(bits).tolist() == [[9, 1]]


@given(bit_matrices)
def test_unpack_inverts_pack(bits: np.ndarray) -> None:
    codes = pack(bits)
    assert codes.shape == (len(bits), code_bytes(bits.shape[1]))
    assert np.array_equal(unpack(codes, bits.shape[1]), bits)


@given(bit_matrices)
def test_hamming_counts_differing_bits(bits: np.ndarray) -> None:
    reference = [[sum(a != b for a, b in zip(one, other, strict=True)) for other in bits] for one in bits]
    assert hamming(pack(bits), pack(bits)).tolist() == reference


def test_hamming_of_nothing() -> None:
    assert hamming(np.zeros((0, 2), np.uint8), np.zeros((3, 2), np.uint8)).shape == (0, 3)


def test_an_index_follows_the_other_low_bit_first() -> None:
    """5 + 2·8 + 7·64 = 469 = 213 + 256; the third index crosses into the second byte."""
    assert pack_indices(np.array([[5, 2, 7]]), 3).tolist() == [[213, 1]]


@given(st.integers(0, 5), st.integers(1, 9), st.integers(1, 16), st.integers(0, 99))
def test_indices_are_packed_as_by_faiss(rows: int, count: int, width: int, seed: int) -> None:
    indices = np.random.default_rng(seed).integers(0, 2**width, (rows, count))
    codes = pack_indices(indices, width)
    assert np.array_equal(codes, faiss.pack_bitstrings(indices.astype(np.int32), width))
    assert np.array_equal(unpack_indices(codes, count, width), indices)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pack(np.zeros((2, 3))), r"bool array of shape \(N, B\), got float64"),
        (
            lambda: unpack(np.zeros((2, 2), np.uint8), 24),
            r"24 bits must be uint8 of shape \(N, 3\), got uint8 of shape",
        ),
        (lambda: hamming(np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8)), "one length, got 2 and 3 bytes"),
        (lambda: pack_indices(np.zeros((2, 3)), 4), r"integers of shape \(N, M\), got float64"),
        (lambda: pack_indices(np.array([[0, 16]]), 4), "below 16, got 0 to 16"),
        (lambda: pack_indices(np.array([[-1, 2]]), 4), "at least 0 and below 16, got -1 to 2"),
        (lambda: pack_indices(np.zeros((2, 3), int), 17), "width must be 1 to 16 bits an index, got 17"),
        (lambda: unpack_indices(np.zeros((2, 1), np.uint8), 3, 3), r"9 bits must be uint8 of shape \(N, 2\)"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
