"""Cells that centres start from."""

from types import ModuleType

import numpy as np
import pytest

from dqh.clustering.cell_points import Points, Space, points_of_vectors
from dqh.clustering.cell_starts import ROUNDS, drawn_cells, spread_cells
from dqh.native import cell_twins
from dqh.native.cell_kernels import kernels
from dqh.quantizers.product import ProductQuantizer


@pytest.fixture(params=["native", "twins"])
def native(request: pytest.FixtureRequest) -> ModuleType:
    return cell_twins if request.param == "twins" else kernels()


def heaps(count: int) -> Points:
    """So many heaps on a line, of 32 points each, which lie in 16 cells next to one another."""
    book = (100 * np.arange(count)[:, None] + np.arange(4)).reshape(1, -1, 1).astype(np.float32)
    space = Space(ProductQuantizer.from_codebooks(np.concatenate([book, book])))
    values = (
        100 * np.arange(count)[:, None, None] + np.arange(16)[:, None] % np.array([4, 16]) // np.array([1, 4])
    ).reshape(-1, 2)
    return points_of_vectors(np.repeat(values, 2, axis=0).astype(np.float32), space)


def test_cells_are_drawn_by_their_points() -> None:
    """Out of 1, 1 and 998 points one cell is nearly always the third; all that are drawn are distinct."""
    populations = np.array([1, 1, 998], np.uint32)
    draws = [drawn_cells(populations, 1, np.random.default_rng(seed)).tolist() for seed in range(200)]
    assert draws.count([2]) > 190
    assert drawn_cells(populations, 3, np.random.default_rng(0)).tolist() == [0, 1, 2]
    assert drawn_cells(populations, 0, np.random.default_rng(0)).tolist() == []


def test_a_heap_that_was_walked_is_left_alone(native: ModuleType) -> None:
    """Of 8 heaps, with 8 rounds of one cell each, every one is drawn once: a walk of N / k points is a heap."""
    points = heaps(8)
    assert ROUNDS == 8
    for seed in range(5):
        drawn = spread_cells(points, 8, window=4, generator=np.random.default_rng(seed), native=native)
        assert (drawn // 16).tolist() == list(range(8))


@pytest.mark.parametrize("count", [1, 3, 40, 128])
def test_all_are_distinct_up_to_as_many_as_there_are(native: ModuleType, count: int) -> None:
    """Where all cells were walked, any others are drawn."""
    points = heaps(8)
    drawn = spread_cells(points, count, window=64, generator=np.random.default_rng(0), native=native)
    assert len(set(drawn.tolist())) == count
    assert drawn.min() >= 0
    assert drawn.max() < 128
