"""Which centres stay."""

import numpy as np
import pytest

from dqh.clustering.overlap import kept_centres, nearest_centres, owners_on_trails


def test_shares_by_hand() -> None:
    """Variances of 1 a dimension: the second, 1 from the first with twice its points, has 1 / (1 + 2 e^(-1/4)) = 0.391.

    The third is 3 from the second and 4 from the first: 1 / (1 + 2 e^(-4)) = 0.965, once the second is gone.
    """
    centres = np.array([[0.0], [1.0], [4.0]])
    near, populations, spreads = np.array([[1, 2], [0, 2], [0, 1]]), np.array([20, 10, 10]), np.ones(3)
    keep = {
        overlap: kept_centres(centres, populations, spreads, near, overlap=overlap) for overlap in (0.39, 0.4, 0.96)
    }
    assert [kept.tolist() for kept in keep.values()] == [[True, True, True], [True, False, True], [True, False, True]]
    assert kept_centres(centres, populations, spreads, near, overlap=0.97).tolist() == [True, False, False]


def test_a_neighbour_that_goes_counts_no_more() -> None:
    """The second goes for the first; the third overlaps the second alone, and stays."""
    centres = np.array([[0.0], [1.0], [2.0]])
    near = np.array([[1, -1], [0, 2], [1, -1]])
    assert kept_centres(centres, np.array([9, 8, 7]), np.ones(3), near, overlap=0.6).tolist() == [True, False, True]


def test_a_wide_neighbour_covers_a_narrow_one_less() -> None:
    """N(0; d², (σ_a² + σ_b²)): at one place, variances 1 and 3: (2 / 4)^(D/2), in 4 dimensions a quarter."""
    centres, near = np.zeros((2, 4)), np.array([[1], [0]])
    spreads = 4 * np.array([3.0, 1.0])
    for overlap, stays in ((0.79, True), (0.81, False)):  # 1 / (1 + 1/4)
        kept = kept_centres(centres, np.array([10, 10]), spreads, near, overlap=overlap)
        assert kept.tolist() == [True, stays]


def test_centres_without_points_go() -> None:
    near = np.full((2, 1), -1)
    assert kept_centres(np.zeros((2, 1)), np.array([0, 3]), np.zeros(2), near, overlap=0.9).tolist() == [False, True]
    assert kept_centres(np.zeros((2, 1)), np.array([0, 0]), np.zeros(2), near, overlap=0.9).tolist() == [False, False]


def test_equal_centres_of_equal_points() -> None:
    """Without any spread, one of them stays; itself and repetitions are no neighbours."""
    near = np.array([[0, 1, 1], [0, 0, 1]])
    kept = kept_centres(np.zeros((2, 3)), np.array([5, 5]), np.zeros(2), near, overlap=0.6)
    assert kept.tolist() == [True, False]


@pytest.mark.parametrize("count", [1, 3, 50])
def test_the_nearest_centres(count: int) -> None:
    centres = np.random.default_rng(0).standard_normal((20, 5))
    distances = ((centres[:, None] - centres) ** 2).sum(axis=2)
    wanted = np.argsort(distances, axis=1)[:, 1 : 1 + count]
    assert nearest_centres(centres, count).tolist() == wanted.tolist()


def test_owners_of_cells_on_a_walk() -> None:
    """Cell 0 is the first centre's, cell 1 the second's, cell 2 nobody's."""
    labels, trail = np.array([0, 1, -1], np.int32), np.array([[0, 1, 2], [0, 1, -1]], np.int32)
    assert owners_on_trails(trail, labels).tolist() == [[-1, 1, -1], [0, -1, -1]]
