"""The optimized product quantizer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer
from dqh.quantizers.optimized import balanced_rotation, procrustes


def anisotropic(seed: int, dimension: int = 8, count: int = 300) -> np.ndarray:
    """Correlated normal vectors whose directions differ in scale by up to 20."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    return (rng.standard_normal((count, dimension)) * np.geomspace(1, 20, dimension) @ turn).astype(np.float32)


def error(quantizer: ProductQuantizer, vectors: np.ndarray) -> float:
    return float(((vectors - quantizer.decode(quantizer.encode(vectors))) ** 2).sum(1).mean())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 4]), st.sampled_from([2, 16]))
def test_the_rotation_is_orthogonal_and_the_error_not_above_that_of_pq(seed: int, m: int, k: int) -> None:
    """Its start is as good as plain product quantization at least, and no turn makes it worse, but for rounding."""
    vectors = anisotropic(seed)
    optimized = OptimizedProductQuantizer(m, k, rotations=8).fit(vectors)
    assert optimized.rotation is not None
    assert np.abs(optimized.rotation.T @ optimized.rotation - np.eye(8)).max() < 1e-5
    plain = error(ProductQuantizer(m, k).fit(vectors), vectors)
    assert error(optimized, vectors) <= plain * (1 + 1e-5)


def test_a_turned_grid_is_turned_back() -> None:
    """Corners of a long box, turned by 0.6 rad: two codewords a side of the box lose nothing once it stands straight.

    Plain PQ with two codewords a dimension cannot hold four points that have four different values in each.
    """
    corners = np.array([[x, y] for x in (-1.0, 1.0) for y in (-5.0, 5.0)])
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    vectors = np.repeat(corners @ turn, 5, axis=0)
    assert error(OptimizedProductQuantizer(2, 2).fit(vectors), vectors) < 1e-8
    assert error(ProductQuantizer(2, 2).fit(vectors), vectors) > 0.1


def test_the_seed_decides() -> None:
    vectors = anisotropic(0)
    one, same = (OptimizedProductQuantizer(2, 8, rotations=3, seed=5).fit(vectors) for _ in range(2))
    assert all(np.array_equal(one.state()[name], tensor) for name, tensor in same.state().items())


def test_a_warm_start_goes_on_from_rotation_and_codebooks() -> None:
    vectors = anisotropic(1)
    quantizer = OptimizedProductQuantizer(2, 16, rotations=2, iterations=2).fit(vectors)
    before = error(quantizer, vectors)
    again = quantizer.fit(vectors, start=quantizer.codebooks)
    assert again is quantizer
    assert error(quantizer, vectors) <= before * (1 + 1e-5)  # rounding


def test_a_warm_start_without_a_rotation_begins_at_none() -> None:
    vectors = anisotropic(2)
    plain = ProductQuantizer(2, 16).fit(vectors)
    quantizer = OptimizedProductQuantizer(2, 16).fit(vectors, start=plain.codebooks)
    assert error(quantizer, vectors) <= error(plain, vectors) * (1 + 1e-5)


def test_the_state_gives_the_quantizer_again() -> None:
    vectors = anisotropic(3)
    quantizer = OptimizedProductQuantizer(2, 8, rotations=2).fit(vectors)
    for kind in (OptimizedProductQuantizer, ProductQuantizer):
        again = kind.from_state(6, quantizer.state())
        assert np.array_equal(again.encode(vectors), quantizer.encode(vectors))
        assert np.array_equal(again.decode(again.encode(vectors)), quantizer.decode(quantizer.encode(vectors)))


def test_procrustes_against_scipy() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.randn(50, 6, generator=draw) for _ in range(2))
    reference, _ = orthogonal_procrustes(one.double().numpy(), other.double().numpy())
    np.testing.assert_allclose(procrustes(one, other).numpy(), reference, atol=1e-5)  # float32


def test_directions_are_dealt_by_hand() -> None:
    """Variances 64, 16, 4, 1 along the axes, two to each of two subspaces, logarithms base 2: 6, 4, 2, 0.

    6 goes to the first (both are 0), 4 to the second, 2 to the second (4 < 6), which is full; 0 to the first: 6 and 6.
    """
    scales = torch.tensor([4.0, 2.0, 8.0, 1.0])
    vectors = torch.cat([torch.diag(scales), -torch.diag(scales)])
    found = balanced_rotation(vectors, 2)
    assert found.abs().argmax(0).tolist() == [2, 3, 0, 1]
    assert torch.allclose(found.T @ found, torch.eye(4), atol=1e-6)


def test_fewer_directions_than_dimensions() -> None:
    """Vectors on a line: the other directions have variance 0."""
    vectors = np.outer(np.arange(20.0), [1, 2, 3, 4])
    quantizer = OptimizedProductQuantizer(2, 4).fit(vectors)
    assert np.isfinite(quantizer.decode(quantizer.encode(vectors))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: OptimizedProductQuantizer(2, 4, rotations=0), "rotations must be at least 1, got 0"),
        (lambda: OptimizedProductQuantizer(2, 4).fit(np.zeros((9, 5))), "must divide the 5 dimensions"),
        (lambda: OptimizedProductQuantizer(2, 4).fit(np.zeros((3, 4))), "got 4 codewords for 3 vectors"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
