"""Packing and Hamming distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dqh.codes import code_bytes, hamming, pack, unpack

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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pack(np.zeros((2, 3))), r"bool array of shape \(N, B\), got float64"),
        (
            lambda: unpack(np.zeros((2, 2), np.uint8), 24),
            r"24 bits must be uint8 of shape \(N, 3\), got uint8 of shape",
        ),
        (lambda: hamming(np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8)), "one length, got 2 and 3 bytes"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
