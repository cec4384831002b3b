"""Random hyperplanes."""

import faiss
import numpy as np
import pytest

from dqh.codes import unpack
from dqh.quantizers.lsh import LSH


@pytest.mark.parametrize("angle", [0.2, 1.0, 2.5])
def test_bits_differ_in_proportion_to_the_angle(angle: float) -> None:
    """Each bit differs with probability θ / π, independently: within 4 standard deviations, missed once in 16,000."""
    bits, share = 20_000, angle / np.pi
    vectors = np.array([[1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    method = LSH(bits).fit(np.concatenate([vectors, -vectors]))  # mean 0
    one, other = unpack(method.encode(vectors), bits)
    assert abs((one != other).mean() - share) < 4 * np.sqrt(share * (1 - share) / bits)


def test_codes_equal_those_of_faiss_with_the_same_hyperplanes() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 12)).astype(np.float32) + 3
    method = LSH(21).fit(vectors)
    index = faiss.IndexLSH(12, 21, True)
    faiss.copy_array_to_vector(method.projection.T.astype(np.float32).ravel(), index.rrot.A)
    centred = (vectors - method.mean).astype(np.float32)
    margin = np.abs(method.values(vectors)).min()
    assert margin > 1e-4, "a value near 0, whose sign float32 may miss"
    assert np.array_equal(method.encode(vectors), index.sa_encode(centred))


def test_opposite_vectors_have_opposite_codes() -> None:
    vectors = np.random.default_rng(1).standard_normal((20, 5))
    vectors = np.concatenate([vectors, -vectors])
    bits = unpack(LSH(13).fit(vectors).encode(vectors), 13)
    assert np.array_equal(bits[:20], ~bits[20:])


def test_a_longer_code_begins_with_the_shorter() -> None:
    vectors = np.random.default_rng(2).standard_normal((20, 5))
    short, long = (unpack(LSH(bits, seed=4).fit(vectors).encode(vectors), bits) for bits in (6, 40))
    assert np.array_equal(long[:, :6], short)
