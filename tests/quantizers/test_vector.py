"""The vector quantizer."""

import numpy as np
import pytest

from dqh.quantizers import ProductQuantizer, VectorQuantizer


def test_it_is_a_product_quantizer_of_one_subspace() -> None:
    vectors = np.random.default_rng(0).standard_normal((100, 6)).astype(np.float32)
    vector, product = VectorQuantizer(16, seed=3).fit(vectors), ProductQuantizer(1, 16, seed=3).fit(vectors)
    assert (vector.bits, vector.subspaces, vector.dimension) == (4, 1, 6)
    assert np.array_equal(vector.codebooks, product.codebooks)


def test_as_many_codewords_as_vectors_lose_nothing() -> None:
    vectors = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    quantizer = VectorQuantizer(64).fit(vectors)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(vectors)), vectors, atol=1e-6)  # the mean, off and on


def test_the_state_gives_the_quantizer_again() -> None:
    quantizer = VectorQuantizer.from_codebooks(np.arange(8.0).reshape(1, 4, 2))
    again = VectorQuantizer.from_state(2, quantizer.state())
    assert np.array_equal(again.codebooks, quantizer.codebooks)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VectorQuantizer(3), "power of two"),
        (lambda: VectorQuantizer.from_codebooks(np.zeros((2, 4, 1))), "one codebook, got 2; use ProductQuantizer"),
        (lambda: VectorQuantizer(32).fit(np.zeros((31, 2))), "got 32 codewords for 31 vectors"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
