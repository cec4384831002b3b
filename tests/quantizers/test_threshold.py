"""The threshold quantizer."""

import numpy as np
import pytest

from dqh.quantizers import Threshold


def test_a_bit_is_set_strictly_above_the_threshold() -> None:
    """0.5 itself gives 0; bits 1, 2 set: 2 + 4 = 6."""
    embedding = np.array([[0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.9, 0.1]], np.float32)
    assert Threshold(4).encode(embedding).tolist() == [[6]]


def test_decoding_gives_the_bits_back() -> None:
    embedding = np.random.default_rng(0).random((7, 13)).astype(np.float32)
    quantizer = Threshold(13)
    assert np.array_equal(quantizer.decode(quantizer.encode(embedding)), (embedding > 0.5).astype(np.float32))


def test_the_state_gives_the_quantizer_again() -> None:
    quantizer = Threshold.from_state(5, Threshold(5, threshold=0.1).state())
    assert (quantizer.bits, quantizer.threshold) == (5, 0.1)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "threshold must be there, got nothing"),
        ({"codebooks": np.zeros(1)}, "threshold must be there, got codebooks; codebooks must not be there"),
        ({"threshold": np.array(np.nan)}, "threshold must be finite"),
        ({"threshold": np.array(-np.inf)}, "threshold must be finite"),
        ({"threshold": np.array(0.5, np.float32)}, "must be float64 of 0 dimensions, got float32"),
        ({"threshold": np.array([0.5])}, r"got float64 of shape \(1,\)"),
    ],
)
def test_a_state_that_nobody_kept(state: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Threshold.from_state(4, state)


@pytest.mark.parametrize("bits", [48.0, True, 0])
def test_bits_of_another_type(bits: object) -> None:
    with pytest.raises(ValueError, match="bits must be an integer of at least 1"):
        Threshold.from_state(bits, Threshold(48).state())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Threshold(0), "bits must be at least 1, got 0"),
        (lambda: Threshold(4, threshold=np.nan), "threshold must be finite, got nan"),
        (lambda: Threshold(4).encode(np.zeros((2, 5))), r"shape \(N, 4\), got \(2, 5\)"),
        (lambda: Threshold(2).encode(np.array([[0, 0], [0, np.nan]])), "NaN, got it in 1 rows, first row 1"),
        (lambda: Threshold(9).decode(np.zeros((2, 1), np.uint8)), r"shape \(N, 2\)"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_soft_bits_lie_near_the_threshold() -> None:
    embedding = np.array([[0.5, 0.5 + 9e-7, 0.5 - 2e-6, 1.0]])
    assert Threshold(4).soft(embedding, *2 * [Threshold(4).encode(embedding)]).tolist() == [[True, True, False, False]]
