"""Which centre a cell belongs to."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.clustering import cell_assignment as module
from dqh.clustering.cell_assignment import assign_exactly, assign_inverted, distances_of, labels_of
from dqh.clustering.cell_points import Space, points_of_vectors
from dqh.native import cell_twins
from dqh.native.cell_kernels import NOBODY, kernels
from dqh.quantizers.product import ProductQuantizer


@pytest.fixture(params=["native", "twins"])
def native(request: pytest.FixtureRequest) -> ModuleType:
    return cell_twins if request.param == "twins" else kernels()


def space(generator: np.random.Generator, codewords: int) -> Space:
    return Space(ProductQuantizer.from_codebooks(generator.standard_normal((2, codewords, 3))))


@pytest.mark.parametrize("block", [7, 512])
def test_exact_assignment_is_that_of_all_pairs(native: ModuleType, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size; by distances in float64, the nearest up to what float32 can tell."""
    monkeypatch.setattr(module, "BLOCK", block)
    generator = np.random.default_rng(block)
    grid_space = space(generator, 16)
    centres, numbers = generator.standard_normal((40, 6)).astype(np.float32), generator.permutation(256)[:200]
    keys = np.full(200, NOBODY)
    assign_exactly(grid_space, numbers.astype(np.uint32), centres, keys=keys, native=native)
    middles = grid_space.middles(numbers).astype(np.float64)
    distances = ((middles[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_allclose(distances_of(keys), distances.min(axis=1), rtol=1e-4, atol=1e-5)
    chosen = np.take_along_axis(distances, labels_of(keys).astype(np.int64)[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=1e-4, atol=1e-5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_walks_without_end_assign_exactly(native: ModuleType, seed: int) -> None:
    """With all codewords in the window and no target, both ways offer all centres to all cells."""
    generator = np.random.default_rng(seed)
    points = points_of_vectors(generator.standard_normal((100, 6)).astype(np.float32), space(generator, 8))
    centres = generator.standard_normal((12, 6)).astype(np.float32)
    walked, exact = (np.full(len(points.grid.numbers), NOBODY) for _ in range(2))
    arguments = {"window": 8, "target": 10**6, "keys": walked, "steps": 0, "native": native}
    assign_inverted(points.space, points.grid, centres, **arguments)
    assign_exactly(points.space, points.grid.numbers, centres, keys=exact, native=native)
    np.testing.assert_allclose(distances_of(walked), distances_of(exact), rtol=1e-4, atol=1e-5)  # float32


def test_a_short_walk_leaves_cells(native: ModuleType) -> None:
    """One centre on a point, that walks one point: the cell of that point is its own, all others nobody's."""
    generator = np.random.default_rng(0)
    points = points_of_vectors(generator.standard_normal((100, 6)).astype(np.float32), space(generator, 8))
    keys = np.full(len(points.grid.numbers), NOBODY)
    centre = points.space.middles(points.grid.numbers[5:6])
    arguments = {"window": 3, "target": 1, "keys": keys, "steps": 2, "native": native}
    trail = assign_inverted(points.space, points.grid, centre, **arguments)
    assert np.flatnonzero(labels_of(keys) == 0).tolist() == [5]
    assert (labels_of(keys) == -1).sum() == len(keys) - 1
    assert trail.tolist() == [[5, -1]]  # 5 · 2654435769 modulo 2³² is .09 of 2³²
