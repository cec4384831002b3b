"""Random hyperplanes."""

import faiss
import numpy as np
import pytest

from dqh.codes import unpack
from dqh.quantizers.lsh import LSH, orthonormal_blocks


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("angle", [0.2, 1.0, 2.5])
def test_bits_differ_in_proportion_to_the_angle(angle: float, orthogonal: bool) -> None:
    """Each bit differs with probability θ / π, independently: within 4 standard deviations, missed once in 16,000."""
    bits, share = 20_000, angle / np.pi
    vectors = np.array([[1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    method = LSH(bits, orthogonal=orthogonal).fit(np.concatenate([vectors, -vectors]))  # mean 0
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


@pytest.mark.parametrize("orthogonal", [True, False])
def test_a_longer_code_begins_with_the_shorter(orthogonal: bool) -> None:
    vectors = np.random.default_rng(2).standard_normal((20, 5))
    short, long = (
        unpack(LSH(bits, seed=4, orthogonal=orthogonal).fit(vectors).encode(vectors), bits) for bits in (6, 40)
    )
    assert np.array_equal(long[:, :6], short)


def test_directions_are_orthonormal_in_blocks_of_the_dimension() -> None:
    """Eight directions in three dimensions are two bases and two directions of a third."""
    vectors = np.random.default_rng(3).standard_normal((20, 3))
    projection = LSH(8).fit(vectors).projection
    assert projection.shape == (3, 8)
    for start, columns in ((0, 3), (3, 3), (6, 2)):
        block = projection[:, start : start + columns]
        assert np.allclose(block.T @ block, np.eye(columns), atol=1e-12)
    assert np.abs(projection[:, :3].T @ projection[:, 3:6]).max() > 0.1, "the second basis is another one"
    gaussian = LSH(8, orthogonal=False).fit(vectors).projection
    assert np.abs(gaussian.T @ gaussian - np.eye(8)).max() > 0.5


def test_orthogonal_directions_measure_the_angle_more_closely() -> None:
    """π/3 and 16 bits in 16 dimensions: independent bits deviate by √(p (1 − p) / 16) = 0.118, p = 1/3."""
    vectors = np.zeros((2, 16))
    vectors[:, :2] = [1, 0], [np.cos(np.pi / 3), np.sin(np.pi / 3)]
    draws = np.random.default_rng(4).standard_normal((2000, 16, 16))
    deviations = []
    for directions in (draws, np.stack([orthonormal_blocks(draw) for draw in draws])):
        bits = vectors @ directions >= 0
        deviations.append(np.sqrt(np.square((bits[:, 0] != bits[:, 1]).mean(axis=1) - 1 / 3).mean()))
    gaussian, orthogonal = deviations
    assert abs(gaussian - 0.118) < 0.01
    assert orthogonal < 0.9 * gaussian
