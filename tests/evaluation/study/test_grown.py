"""Made-up vectors: the old ones stay, cells keep their mean and covariance, seeds decide."""

import numpy as np
import pytest

from dqh.evaluation.study.grown import grown


def clusters(count: int) -> np.ndarray:
    """Two far apart, of unlike shape."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((count, 3)) * (1, 0.1, 0)
    values[::2] += (100, 0, 5)
    return values.astype(np.float32)


def test_old_vectors_stay_in_front_and_new_ones_belong_to_the_clusters() -> None:
    vectors = clusters(150)  # one cell, of both clusters, would fill the space between them
    result = grown(np.repeat(vectors, 2, axis=0), 1000, seed=0)
    assert result.shape == (1000, 3)
    np.testing.assert_array_equal(result[:300], np.repeat(vectors, 2, axis=0))
    new = result[300:]
    centres = np.array([(0, 0, 0), (100, 0, 5)])
    assert (np.abs(new[:, None] - centres).max(2).min(1) < 5).all()


def test_a_cell_keeps_its_mean_and_its_covariance() -> None:
    vectors = clusters(80)[::2]  # one cluster, one cell
    new = grown(vectors, 20_000, seed=0)[40:].astype(np.float64)
    # the mean of 20,000 draws is within .02 of that of the cell; y is never x, which makes 1/39 of a difference
    np.testing.assert_allclose(new.mean(0), vectors.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(new.T)[:2, :2], np.cov(vectors.T)[:2, :2], atol=0.1)


def test_seeds_decide_and_equal_sizes_are_a_copy() -> None:
    vectors = clusters(120)
    np.testing.assert_array_equal(grown(vectors, 500, seed=1), grown(vectors, 500, seed=1))
    assert not np.array_equal(grown(vectors, 500, seed=1), grown(vectors, 500, seed=2))
    same = grown(vectors, 120, seed=0)
    np.testing.assert_array_equal(same, vectors)
    assert not np.shares_memory(same, vectors)


def test_one_vector_alone_is_repeated() -> None:
    np.testing.assert_array_equal(grown(np.array([[1, 2]], np.float32), 3, seed=0), [[1, 2]] * 3)


@pytest.mark.parametrize("count", [0, 4])
def test_there_must_be_vectors_and_no_fewer_are_wanted(count: int) -> None:
    vectors = np.zeros((5 if count else 0, 2), np.float32)
    with pytest.raises(ValueError, match="vectors must be from 1 to count"):
        grown(vectors, count, seed=0)
