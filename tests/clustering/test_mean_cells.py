"""Cells by the means of their points."""

from types import ModuleType

import numpy as np
import pytest

from dqh.clustering.cluster_means import cluster_means
from dqh.clustering.mean_cells import MeanCells
from dqh.native import cell_twins
from dqh.native.cell_kernels import kernels


@pytest.fixture(params=["native", "twins"])
def native(request: pytest.FixtureRequest) -> ModuleType:
    return cell_twins if request.param == "twins" else kernels()


def cells(count: int, *, seed: int = 0) -> MeanCells:
    """Of one to a hundred points, the small ones more often, in an order of their own."""
    generator = np.random.default_rng(seed)
    populations = np.ceil(100 ** generator.random(count)).astype(np.uint32)
    means = generator.standard_normal((count, 3)).astype(np.float32)
    return MeanCells(means, generator.permutation(count).astype(np.int32), populations)


def test_sums_and_nearest_centres_by_numpy(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqh.clustering.mean_cells.CHUNK", 64)
    own, centres = cells(300), np.random.default_rng(1).standard_normal((7, 3)).astype(np.float32)
    middles = own.means[own.rows]
    squares = ((middles[:, None].astype(np.float64) - centres) ** 2).sum(axis=2)
    labels, distances = own.nearest(centres)
    assert labels.tolist() == squares.argmin(axis=1).tolist()
    np.testing.assert_allclose(distances, squares.min(axis=1), atol=1e-5)
    labels[::5] = -1
    sums, populations = own.sums(labels, 7, native)
    for cluster in range(7):
        weights = own.populations[labels == cluster].astype(np.float64)
        assert populations[cluster] == weights.sum()
        np.testing.assert_allclose(sums[cluster], weights @ middles[labels == cluster], rtol=1e-5, atol=1e-4)


def test_a_centre_without_points_stays() -> None:
    centres = np.array([[1, 2], [3, 4]], np.float32)
    assert cluster_means(centres, np.array([[0, 0], [6.0, 9]]), np.array([0, 3])).tolist() == [[1, 2], [2, 3]]


def test_drawn_cells_stand_for_all() -> None:
    """Points, and sums of their means, are those of all cells in the mean over draws; large cells are always there."""
    own = cells(2000)
    weights = own.populations.astype(np.float64)
    draws = [own.drawn(800, np.random.default_rng(seed)) for seed in range(1, 301)]  # 0 is that of the populations
    sizes = np.array([len(draw.rows) for draw in draws])
    assert abs(sizes.mean() - 800) < 5
    assert sizes.std() < 25
    totals = np.array([draw.populations.sum() for draw in draws])
    assert abs(totals.mean() - weights.sum()) < 4 * totals.std() / 300**0.5
    sums = np.array([draw.populations.astype(np.float64) @ draw.means[draw.rows] for draw in draws])
    assert (np.abs(sums.mean(axis=0) - weights @ own.means[own.rows]) < 4 * sums.std(axis=0) / 300**0.5).all()
    largest = own.rows[own.populations == own.populations.max()]
    assert all(np.isin(largest, draw.rows).all() for draw in draws)


def test_few_cells_are_all_taken() -> None:
    own = cells(50)
    assert own.drawn(50, np.random.default_rng(0)) is own
