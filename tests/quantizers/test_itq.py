"""Iterative quantization."""

import itertools

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from dqh.codes import unpack
from dqh.quantizers.itq import ITQ, learn_rotation
from dqh.quantizers.sign_hash import principal_directions


def skewed(count: int, dimension: int) -> np.ndarray:
    """Skewed and correlated vectors."""
    generator = np.random.default_rng(0)
    return np.exp(generator.standard_normal((count, dimension))) @ generator.standard_normal((dimension, dimension))


def test_a_rotated_square_turns_back() -> None:
    """Four clusters at 0°, 90°, 180°, 270°: PCA leaves them on the axes; ITQ gives each a quadrant of its own."""
    corners = np.array([[1.0, 0], [0, 1.1], [-1, 0], [0, -1.1]])
    vectors = np.repeat(corners, 10, axis=0) + 0.05 * np.random.default_rng(1).standard_normal((40, 2))
    method = ITQ(2).fit(vectors)
    assert len(np.unique(method.encode(corners))) == 4
    assert len(np.unique(method.encode(vectors))) == 4
    np.testing.assert_allclose(np.abs(method.values(corners)), 0.74, atol=0.12)  # cos 45° · 1 … cos 45° · 1.1


def test_a_rotation_is_the_nearest_of_all() -> None:
    """Given the codes of the rotation before, it is scipy's solution of the orthogonal Procrustes problem."""
    projected = skewed(300, 8)
    projected -= projected.mean(axis=0)
    before, after = (learn_rotation(projected, iterations=iterations, seed=5) for iterations in (3, 4))
    wanted, _ = orthogonal_procrustes(projected, np.where(projected @ before >= 0, 1.0, -1.0))
    np.testing.assert_allclose(after, wanted, atol=1e-9)
    np.testing.assert_allclose(after @ after.T, np.eye(8), atol=1e-12)


def test_the_loss_never_rises() -> None:
    vectors = skewed(500, 16)
    losses = []
    for iterations in range(12):
        values = ITQ(10, iterations=iterations).fit(vectors).values(vectors)
        losses.append(float(((np.where(values >= 0, 1, -1) - values) ** 2).mean()))
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(losses))
    assert losses[-1] < losses[0]


def test_the_projection_spans_the_principal_directions() -> None:
    vectors = skewed(100, 9)
    method = ITQ(4).fit(vectors)
    mean, directions = principal_directions(vectors, 4, seed=0)
    np.testing.assert_allclose(method.mean, mean)
    np.testing.assert_allclose(method.projection.T @ method.projection, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(directions @ directions.T @ method.projection, method.projection, atol=1e-9)


def test_as_many_bits_as_dimensions() -> None:
    vectors = skewed(10, 9)
    assert unpack(ITQ(9).fit(vectors).encode(vectors), 9).shape == (10, 9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ITQ(5).fit(skewed(50, 4)),
            "bits must be at most F and at most N - 1, got 5 for N = 50 vectors of F = 4",
        ),
        (lambda: ITQ(5).fit(skewed(5, 8)), "got 5 for N = 5 vectors of F = 8"),
        (lambda: ITQ(2).fit(np.ones((9, 4))), "must differ from one another"),
        (lambda: ITQ(2, iterations=-1), "iterations must be at least 0, got -1"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
