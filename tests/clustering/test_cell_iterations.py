"""Assignment and update in turns."""

from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.clustering import cell_iterations
from dqh.clustering.cell_assignment import assign_exactly, labels_of
from dqh.clustering.cell_iterations import iterate
from dqh.clustering.cell_points import Points, Space, points_of_vectors
from dqh.clustering.cell_starts import drawn_cells
from dqh.native import cell_twins
from dqh.native.cell_kernels import NOBODY, kernels
from dqh.quantizers.product import ProductQuantizer

LINE = ProductQuantizer.from_codebooks(
    np.array([[[0.0], [1.0], [4.0], [6.0]], [[0.0], [1.0], [2.0], [3.0]]], np.float32)
)


@pytest.fixture(params=["native", "twins"])
def native(request: pytest.FixtureRequest) -> ModuleType:
    return cell_twins if request.param == "twins" else kernels()


def told(**changed: Any) -> Any:
    given_settings: dict[str, Any] = {
        "window": 64,
        "target": 5.0,
        "iterations": 20,
        "tolerance": 0.0,
        "assignment": "exact",
        "reset": True,
        "overlap": 0.75,
        "mean_passes": 0,
        "seed": 0,
    }
    return SimpleNamespace(**given_settings | changed)


def blobs(seed: int, *, means: bool = False) -> Points:
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((8, 6))[generator.integers(0, 8, 300)] * 4 + generator.standard_normal((300, 6))
    space = Space(ProductQuantizer.from_codebooks(3 * generator.standard_normal((2, 16, 3))))
    return points_of_vectors(vectors.astype(np.float32), space, means=means)


def test_an_iteration_by_hand(native: ModuleType) -> None:
    """Points at 0, 1, 1, 4, 6 on a line; centres at 0 and 4: {0, 1, 1} and {4, 6}, means 2/3 and 5, which stay.

    Squared distances 4/9, 1/9, 1/9, 1, 1, in all 8/3, of five points .5333.
    """
    vectors = np.array([[0, 0], [1, 0], [1, 0], [4, 0], [6, 0]], np.float32)
    points = points_of_vectors(vectors, Space(LINE))
    start = points.space.middles(points.grid.numbers[[0, 2]])
    clusters = iterate(points, start, settings=told(), dynamic=False, native=native)
    np.testing.assert_allclose(points.space.leave(clusters.centres), [[2 / 3, 0], [5, 0]], atol=1e-6)
    assert clusters.labels.tolist() == [0, 0, 1, 1]
    assert clusters.populations.tolist() == [3, 2]
    assert clusters.distortion == pytest.approx(8 / 15, rel=1e-5)  # float32
    assert [row.distortion for row in clusters.history] == pytest.approx([(0 + 1 + 1 + 0 + 4) / 5, 8 / 15], rel=1e-5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_the_distortion_of_codewords_never_rises(native: ModuleType, seed: int, count: int) -> None:
    """Exact assignment and means of codewords are Lloyd's two steps; up to what float32 can tell."""
    points = blobs(seed)
    start = points.middles(np.arange(min(count, len(points.grid.numbers))))
    clusters = iterate(points, start, settings=told(), dynamic=False, native=native)
    course = [row.distortion for row in clusters.history] + [clusters.distortion]
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(course))
    assert clusters.populations.sum() == 300
    assert clusters.labels.min() >= 0


@pytest.mark.parametrize("assignment", ["exact", "inverted"])
def test_the_distortion_told_is_that_of_the_vectors(native: ModuleType, assignment: str) -> None:
    """From the sums of cells, as from all points one by one."""
    points = blobs(3, means=True)
    assert points.rows is not None
    start = points.middles(np.arange(10))
    clusters = iterate(points, start, settings=told(assignment=assignment, window=4), dynamic=False, native=native)
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((8, 6))[generator.integers(0, 8, 300)] * 4 + generator.standard_normal((300, 6))
    differences = vectors - points.space.leave(clusters.centres)[points.labels(clusters.labels)]
    assert clusters.distortion == pytest.approx((differences**2).sum(axis=1).mean(), rel=1e-5)


def test_cells_that_nobody_comes_by_are_assigned_at_the_end(native: ModuleType) -> None:
    """Walks of one point from two centres reach two of four cells; the others get the nearest centre all the same."""
    vectors = np.array([[0, 0], [1, 0], [4, 0], [6, 0]], np.float32)
    points = points_of_vectors(vectors, Space(LINE))
    start = points.space.middles(points.grid.numbers[[0, 3]])
    short = told(assignment="inverted", target=0.1, window=1)
    clusters = iterate(points, start, settings=short, dynamic=False, native=native)
    assert clusters.history[0].unvisited == clusters.unvisited == 0.5
    assert clusters.labels.tolist() == [0, 0, 1, 1]
    assert clusters.populations.tolist() == [2, 2]


def test_the_last_walk_goes_farther(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks end at one of four points, the last ones at two: each of two centres reaches one cell, and then two."""
    monkeypatch.setattr(cell_iterations, "FINAL_PAIRS", 0)
    points = points_of_vectors(np.array([[0, 0], [1, 0], [4, 0], [6, 0]], np.float32), Space(LINE))
    start = points.space.middles(points.grid.numbers[[0, 3]])
    short = told(assignment="inverted", target=0.5, window=1, iterations=1)
    clusters = iterate(points, start, settings=short, dynamic=False, native=native)
    assert clusters.history[0].unvisited == 0.5
    assert clusters.unvisited == 0
    assert clusters.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("pairs", [0, 10**9])
def test_all_cells_are_compared_at_the_end_where_they_are_few(
    native: ModuleType, monkeypatch: pytest.MonkeyPatch, pairs: int
) -> None:
    """Labels are those of the nearest centres then; else a cell may stay with another one that came by."""
    monkeypatch.setattr(cell_iterations, "FINAL_PAIRS", pairs)
    points = blobs(4)
    start = points.middles(np.arange(12))
    short = told(assignment="inverted", target=1, window=4, iterations=1)
    clusters = iterate(points, start, settings=short, dynamic=False, native=native)
    keys = np.full(len(points.grid.numbers), NOBODY)
    assign_exactly(points.space, points.grid.numbers, clusters.centres, keys=keys, native=native)
    assert clusters.unvisited > 0
    assert np.array_equal(clusters.labels, labels_of(keys)) == bool(pairs)


def test_a_centre_without_points_goes_where_cells_lie_worst(native: ModuleType) -> None:
    """Three centres at 0: the first has all; of what is left, 6 is 36 away and 4 with three points is 48."""
    vectors = np.array([[0, 0], [4, 0], [4, 0], [4, 0], [6, 0]], np.float32)
    points = points_of_vectors(vectors, Space(LINE))
    start = np.repeat(points.space.middles(points.grid.numbers[:1]), 3, axis=0)
    clusters = iterate(points, start, settings=told(iterations=1), dynamic=False, native=native)
    centres = points.space.leave(clusters.centres)[:, 0]
    np.testing.assert_allclose(centres, [18 / 5, 4, 6], atol=1e-6)
    assert clusters.populations.tolist() == [1, 3, 1]


def test_cells_that_remember_stay_with_a_centre_that_left(native: ModuleType) -> None:
    """Points at 0 and 1, ten and one, and at 4, ten; centres at 1 and 4. With `reset` 0 joins, the mean 1/11.

    Cell 1 was 0 away from the first centre at first and remembers that, which changes nothing here; it is the distance
    that is kept.
    """
    vectors = np.array([[0, 0]] * 10 + [[1, 0]] + [[4, 0]] * 10, np.float32)
    points = points_of_vectors(vectors, Space(LINE))
    start = points.space.middles(points.grid.numbers[[1, 2]])
    for reset, distortion in ((True, (10 * (1 / 11) ** 2 + (10 / 11) ** 2) / 21), (False, 10 * (1 / 11) ** 2 / 21)):
        clusters = iterate(points, start, settings=told(reset=reset), dynamic=False, native=native)
        assert clusters.history[-1].distortion == pytest.approx(distortion, rel=1e-4)
        assert clusters.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("assignment", ["exact", "inverted"])
def test_overlapping_centres_are_purged(native: ModuleType, assignment: str) -> None:
    """Eight blobs far apart, each with several centres: at the end each has one."""
    generator = np.random.default_rng(5)
    middles = 40 * np.array([[a, a, b, b, c, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    owner = np.repeat(np.arange(8), 60)
    vectors = (middles[owner] + generator.standard_normal((480, 6))).astype(np.float32)
    books = generator.permutation(vectors)[:64].reshape(64, 2, 3).transpose(1, 0, 2)
    points = points_of_vectors(vectors, Space(ProductQuantizer.from_codebooks(books)))
    start = points.space.middles(points.grid.numbers[drawn_cells(points.grid.populations, 48, generator)])
    clusters = iterate(points, start, settings=told(assignment=assignment, overlap=0.8), dynamic=True, native=native)
    labels = points.labels(clusters.labels)
    assert len(clusters.centres) == 8
    assert [len(set(labels[owner == blob].tolist())) for blob in range(8)] == [1] * 8
    assert clusters.history[0].clusters == 48
