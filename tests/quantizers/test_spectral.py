"""Spectral hashing."""

import numpy as np
import pytest

from dqh.codes import unpack
from dqh.quantizers.spectral import SpectralHash, smoothest_modes


def rectangle() -> np.ndarray:
    """A uniform grid (51 · 21, 2) over [0, 5] × [0, 2]."""
    return np.stack(np.meshgrid(np.linspace(0, 5, 51), np.linspace(0, 2, 21), indexing="ij"), axis=-1).reshape(-1, 2)


def test_modes_by_hand() -> None:
    """k / 5 = .2 .4 .6 .8 1.0 …, k / 2 = .5 1.0 …: of the two 1.0 that of smaller k, k = 2 along the side of 2."""
    modes, axes = smoothest_modes(np.array([5.0, 2.0]), 7)
    assert modes.tolist() == [0.2, 0.4, 0.5, 0.6, 0.8, 1.0, 1.0]
    assert axes.tolist() == [0, 0, 1, 0, 0, 1, 0]


def test_flat_sides_have_no_modes() -> None:
    """k / 2 = .5, 1, 1.5 and k / 1 = 1: of the two 1 that of k = 1 comes first."""
    assert smoothest_modes(np.array([2.0, 0.0, 1.0]), 4)[1].tolist() == [0, 2, 0, 0]


def test_the_eigenfunctions_of_a_rectangle() -> None:
    """Bits are the signs of cos(kπ x / 5) and cos(kπ y / 2), k / side ascending, each up to the sign.

    A rotation and a shift of the plane change nothing. Where a cosine is 0 rounding decides: those are left out.
    """
    grid = rectangle()
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    method = SpectralHash(5).fit(grid @ turn + [7, -3])
    values = method.values(grid @ turn + [7, -3])
    bits = unpack(method.encode(grid @ turn + [7, -3]), 5)
    for b, (k, axis, side) in enumerate([(1, 0, 5), (2, 0, 5), (1, 1, 2), (3, 0, 5), (4, 0, 5)]):
        wanted = np.cos(k * np.pi * grid[:, axis] / side)
        sign = np.sign(values[:, b] @ wanted)  # a principal direction may point either way
        np.testing.assert_allclose(sign * values[:, b], wanted, atol=1e-9)
        clear = np.abs(wanted) > 1e-9
        assert np.array_equal(bits[clear, b], (sign * wanted >= 0)[clear])


def test_the_functions_are_uncorrelated_and_balanced_on_their_box() -> None:
    """Midpoints of a grid: the cosines are orthogonal to one another and to the constant."""
    points = (np.arange(60) + 0.5) / 60
    grid = np.stack(np.meshgrid(points * 5, points * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    method = SpectralHash(6).fit(np.concatenate([grid, [[0, 0], [5, 2], [0, 2], [5, 0]]]))  # the corners fix the box
    values = method.values(grid)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-3)  # the corners move the mean by a rounding
    np.testing.assert_allclose(values.T @ values / len(grid), np.eye(6) / 2, atol=1e-3)


def test_more_bits_than_dimensions() -> None:
    """On the line [0, 1] bit k is the sign of cos(kπ x), or of cos(kπ (1 − x)): ends differ for odd k.

    At x = 0.2 the first has kπ x = 36°, 72°, 108°, 144°: + + − −. The second has 144°, 288°, 432°, 576°: − + + −.
    """
    method = SpectralHash(4).fit(np.array([[0.0], [0.25], [1.0]]))
    bits = unpack(method.encode(np.array([[0.0], [0.2], [1.0]])), 4)
    assert bits[1].tolist() in ([True, True, False, False], [False, True, True, False])
    assert (bits[0] != bits[2]).tolist() == [True, False, True, False]


def test_equal_vectors_have_no_box() -> None:
    with pytest.raises(ValueError, match="vectors must differ from one another, got 9 equal ones"):
        SpectralHash(3).fit(np.ones((9, 4)))
