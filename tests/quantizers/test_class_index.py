"""The class index as a code."""

import numpy as np
import pytest

from dqh.codes import hamming
from dqh.quantizers import QUANTIZERS, ClassIndex


def test_the_highest_score_sets_its_bit() -> None:
    """Class 9 of 10 is bit 1 of the second byte; of equal scores the first counts."""
    scores = np.zeros((2, 10), np.float32)
    scores[0, 9] = 1
    assert ClassIndex(10).encode(scores).tolist() == [[0, 2], [1, 0]]


def test_codes_differ_in_two_bits_where_the_classes_differ() -> None:
    scores = np.random.default_rng(0).standard_normal((20, 7))
    codes, named = ClassIndex(7).encode(scores), scores.argmax(1)
    assert np.array_equal(hamming(codes, codes), 2 * (named[:, None] != named))
    assert np.array_equal(ClassIndex(7).decode(codes).argmax(1), named)


def test_soft_bits_are_those_of_classes_nearly_as_high() -> None:
    scores = np.array([[0.0, 1.0, 1.0 - 1e-7], [0.0, 1.0, 0.5]])
    codes = ClassIndex(3).encode(scores)
    assert ClassIndex(3).soft(scores, codes, codes).tolist() == [
        [False, True, True],
        [False, False, False],
    ]


def test_the_state_gives_the_quantizer_again() -> None:
    quantizer = QUANTIZERS["class_index"].from_state(5, ClassIndex(5).state())
    assert (type(quantizer), quantizer.bits) == (ClassIndex, 5)


def test_a_state_that_nobody_kept() -> None:
    with pytest.raises(ValueError, match="threshold must not be there, wanted nothing alone"):
        ClassIndex.from_state(5, {"threshold": np.array(0.5)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClassIndex(0), "bits must be at least 1, got 0"),
        (lambda: ClassIndex(4).encode(np.zeros((2, 5))), r"shape \(N, 4\), got \(2, 5\)"),
        (lambda: ClassIndex(2).encode(np.array([[0, 0], [0, np.nan]])), "NaN, got it in 1 rows, first row 1"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
