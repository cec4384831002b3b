"""Passes by means of cells, and centres that move elsewhere between them."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from dqh.clustering.cluster_means import cluster_means
from dqh.clustering.iq_means import IQMeans
from dqh.clustering.mean_cells import MeanCells
from dqh.clustering.relocation import passes_by_means, relocated, splits
from dqh.native import cell_twins
from dqh.native.cell_kernels import kernels

NATIVE = kernels()


@pytest.fixture(params=["native", "twins"])
def native(request: pytest.FixtureRequest) -> ModuleType:
    return cell_twins if request.param == "twins" else kernels()


def cells_at(points: Any, populations: Any = None) -> MeanCells:
    means = np.array(points, np.float32)
    weights = np.ones(len(means)) if populations is None else populations
    return MeanCells(means, np.arange(len(means), dtype=np.int32), np.array(weights, np.uint32))


def error(cells: MeanCells, centres: np.ndarray) -> float:
    """Sum of squared distances of the points, as if on the means of their cells, to the nearest centres."""
    squares = ((cells.means[cells.rows][:, None].astype(np.float64) - centres) ** 2).sum(axis=2).min(axis=1)
    return float(cells.populations @ squares)


def step(cells: MeanCells, centres: Any, native: ModuleType = NATIVE) -> tuple[np.ndarray, int, np.ndarray]:
    """Assign, update and relocate; and the centres before the last."""
    labels, distances = cells.nearest(np.array(centres, np.float32))
    sums, populations = cells.sums(labels, len(centres), native)
    means = cluster_means(np.array(centres, np.float32), sums, populations)
    new, moves = relocated(cells, labels, distances, means, populations, native=native)
    return new, moves, means


def test_a_centre_too_many_goes_where_one_is_missing(native: ModuleType) -> None:
    """By hand: heaps at 0, 10 and 20; two centres share the first, one stands between the others.

    Merging the two costs 2·1·1 / 2 · .1² (half of the heap each), the split of the third gains 4 · 5².
    """
    cells = cells_at([[0.0], [0.1], [10], [10], [20], [20]])
    new, moves, before = step(cells, [[0.0], [0.1], [15]], native)
    assert before[:, 0].tolist() == pytest.approx([0, 0.1, 15])
    assert moves == 1
    assert sorted(new[:, 0].tolist()) == pytest.approx([0.05, 10, 20])


def test_populations_decide(native: ModuleType) -> None:
    """One point apart is not worth what a hundred lose: 100·100/200 · 1² = 50 against 1·1/2 · 9² = 40.5, and 50.5."""
    near = [[0.0, 0], [1, 0]]
    for far, moves in ((9.0, 0), (10.1, 1)):
        cells = cells_at([*near, [50, 0], [50, far]], [100, 100, 1, 1])
        assert step(cells, [*near, [50, far / 2]], native)[1] == moves


def test_the_cluster_that_gains_most_by_being_two_is_merged_with_none(native: ModuleType) -> None:
    """It is the neighbour of the centre that costs least, which stays; the next one, at 50 · 50 / 100, moves."""
    cells = cells_at([[-5.0, 0], [5, 0], [0, 1], [100, 0], [101, 0]], [10, 10, 1, 50, 50])
    new, moves, _ = step(cells, [[0.0, 0], [0, 1], [100, 0], [101, 0]], native)
    assert moves == 1
    assert sorted(new.tolist()) == [[-5, 0], [0, 1], [5, 0], [100.5, 0]]


def test_a_centre_without_points_is_taken_first_and_merged_with_none(native: ModuleType) -> None:
    cells = cells_at([[0.0], [1], [10], [11], [30], [36]])
    new, moves, _ = step(cells, [[0.5], [10.5], [33], [1000]], native)
    assert moves == 1
    assert sorted(new[:, 0].tolist()) == pytest.approx([0.5, 10.5, 30, 36])


@pytest.mark.parametrize("place", [1000.0, 12])
def test_a_centre_of_which_no_cell_was_drawn_stays(native: ModuleType, place: float) -> None:
    """Nor is a neighbour merged with it: of drawn cells a cluster may have none. The split of the last gains 18."""
    cells = cells_at([[0.0], [1], [10], [11], [30], [36]])
    start = np.array([[0.5], [10.5], [33], [place]], np.float32)
    labels, distances = cells.nearest(start)
    populations = np.array([2, 2, 2, 0])
    for whole, moves in ((True, 1), (False, 0)):
        new, count = relocated(cells, labels, distances, start, populations, whole=whole, native=native)
        assert count == moves
        assert np.array_equal(new, start) != whole


def test_passes_keep_small_clusters_that_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty points far away, each with its centre, beside a heap of 40,000 in which a tenth is looked at."""
    monkeypatch.setattr("dqh.clustering.relocation.CELLS_A_CENTRE", 4)
    generator = np.random.default_rng(0)
    far = 100 * (1 + np.arange(20, dtype=np.float32))[:, None] * np.array([1, -1], np.float32)
    cells = cells_at(np.concatenate([generator.standard_normal((4000, 2)), far]), [10] * 4000 + [1] * 20)
    start = np.concatenate([cells.means[:80], far])
    told = {"passes": 4, "done": 0, "relocating": True, "native": NATIVE, "offer": lambda centres, number: None}
    for seed in range(3):
        centres = passes_by_means(cells, start, seed=seed, **told)
        assert all((centres == place).all(axis=1).any() for place in far)


@pytest.mark.parametrize("centres", [[[3.0]], [[0.0], [6]]])
def test_fewer_than_three_centres_stay(centres: list[list[float]]) -> None:
    assert step(cells_at([[0.0], [1], [6], [9]]), centres)[1] == 0


def test_no_cluster_takes_part_twice_and_equal_points_do_not_split() -> None:
    """All cells of a cluster in one place: nothing to gain, so nothing moves, though all costs are 0."""
    cells = cells_at([[5.0, 5]] * 4 + [[0.0, 0]] * 4)
    new, moves, before = step(cells, [[5.0, 5], [0, 0], [0, 0], [5, 5]])
    assert moves == 0
    assert np.array_equal(new, before)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), clusters=st.integers(3, 12))
def test_relocation_never_makes_it_worse(seed: int, clusters: int) -> None:
    """Beside the clusters as they were before."""
    generator = np.random.default_rng(seed)
    points = 5 * generator.standard_normal((clusters, 4))[generator.integers(0, clusters, 90)]
    cells = cells_at(points + generator.standard_normal((90, 4)), generator.integers(1, 9, 90))
    start = cells.means[generator.choice(90, clusters, replace=False)]
    new, moves, before = step(cells, start)
    kept = ((cells.means.astype(np.float64) - before[cells.nearest(start)[0]]) ** 2).sum(axis=1)
    assert error(cells, new) <= cells.populations @ kept * (1 + 1e-5)
    assert (moves > 0) == (not np.array_equal(new, before))


def test_splits_are_about_those_of_two_means(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two Gaussians four apart, by scikit-learn with the weights of the cells."""
    monkeypatch.setattr("dqh.clustering.relocation.CHUNK", 37)
    generator = np.random.default_rng(3)
    blobs = generator.standard_normal((400, 3)) + 4 * generator.integers(0, 2, 400)[:, None]
    blobs[200:] += 100
    cells = cells_at(blobs, generator.integers(1, 9, 400))
    centres = np.zeros((2, 3), np.float32)
    labels = np.repeat(np.arange(2, dtype=np.int32), 200)
    sums, populations = cells.sums(labels, 2, native)
    centres = cluster_means(centres, sums, populations)
    distances = ((cells.means - centres[labels]) ** 2).sum(axis=1)
    split = splits(cells, labels, distances, centres, native=native)
    for cluster in range(2):
        own, weights = cells.means[labels == cluster], cells.populations[labels == cluster]
        reference = KMeans(2, n_init=10, random_state=0).fit(own, sample_weight=weights)
        whole = weights @ ((own - centres[cluster]) ** 2).sum(axis=1)
        assert split.gains[cluster] == pytest.approx(whole - reference.inertia_, rel=0.02)
        found = split.halves[cluster][split.halves[cluster][:, 0].argsort()]
        np.testing.assert_allclose(
            found, reference.cluster_centers_[reference.cluster_centers_[:, 0].argsort()], atol=0.3
        )


def test_passes_offer_what_they_did_and_go_on_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where cells are drawn, by a generator of each pass."""
    monkeypatch.setattr("dqh.clustering.relocation.CELLS_A_CENTRE", 8)
    generator = np.random.default_rng(5)
    cells = cells_at(generator.standard_normal((300, 4)), generator.integers(1, 9, 300))
    told: dict[int, np.ndarray] = {}

    def run(start: np.ndarray, done: int, *, relocating: bool = True, seed: int = 7) -> np.ndarray:
        return passes_by_means(
            cells,
            start,
            passes=4,
            done=done,
            relocating=relocating,
            seed=seed,
            native=NATIVE,
            offer=lambda centres, number: told.__setitem__(number, centres),
        )

    start = cells.means[:9]
    whole = run(start, 0)
    assert list(told) == [1, 2, 3, 4]
    for done in range(1, 5):
        assert np.array_equal(run(told[done], done), whole)
    assert not np.array_equal(run(start, 0, seed=8), whole)
    assert not np.array_equal(run(start, 0, relocating=False), whole)
    assert np.array_equal(start, cells.means[:9])


def test_missing_clusters_are_found() -> None:
    """A hundred blobs, as many centres, and a third of the codewords: with passes nearly each has its own."""
    generator = np.random.default_rng(0)
    middles = 4 * generator.standard_normal((100, 8))
    owners = np.repeat(np.arange(100), 40)
    vectors = (middles[owners] + generator.standard_normal((4000, 8))).astype(np.float32)
    plain, better = (IQMeans(100, codewords=32, mean_passes=passes).fit(vectors) for passes in (0, 4))
    noise = float(((vectors - middles[owners]) ** 2).sum(axis=1).mean())
    assert plain.distortion_ > 1.5 * noise
    assert better.distortion_ < 1.2 * noise
    own = ((vectors - better.cluster_centers_[better.labels_]) ** 2).sum(axis=1).mean()
    assert better.distortion_ == pytest.approx(own, rel=1e-4)


def test_labels_at_the_end_are_the_nearest_by_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of cells; with too many pairs for that, by codewords, which also have an answer for each."""
    vectors = np.random.default_rng(1).standard_normal((3000, 6)).astype(np.float32)
    clusters = IQMeans(40, codewords=32).fit(vectors)
    codes = clusters.quantizer_.encode(vectors)
    _, cells = np.unique(codes, axis=0, return_inverse=True)
    counts = np.bincount(cells)
    means = np.stack([np.bincount(cells, weights=column) for column in vectors.T], axis=1) / counts[:, None]
    nearest = ((means[:, None] - clusters.cluster_centers_) ** 2).sum(axis=2).argmin(axis=1)
    assert (clusters.labels_ == nearest[cells]).mean() > 0.999
    monkeypatch.setattr("dqh.clustering.cell_iterations.MOST_PAIRS", 10)
    others = IQMeans(40, codewords=32).fit(vectors)
    assert np.array_equal(others.cluster_centers_, clusters.cluster_centers_)
    assert 0.3 < (others.labels_ == clusters.labels_).mean() < 1
    assert others.distortion_ > clusters.distortion_


@pytest.mark.parametrize("clusters", [1, 3])
def test_centres_are_the_means_of_all_points_at_last(clusters: int) -> None:
    """Also where passes looked at a part of the cells; of one cluster the distortion is the variance."""
    vectors = np.random.default_rng(2).standard_normal((4000, 6)).astype(np.float32)
    found = IQMeans(clusters, codewords=64).fit(vectors)
    for cluster in range(clusters):
        np.testing.assert_allclose(
            found.cluster_centers_[cluster], vectors[found.labels_ == cluster].mean(axis=0), atol=1e-5
        )
    own = ((vectors - found.cluster_centers_[found.labels_]) ** 2).sum(axis=1).mean()
    assert found.distortion_ == pytest.approx(own, rel=1e-5)


def test_cells_do_not_remember_centres_that_moved_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `reset=False`, and too many pairs to compare means: the last walk begins from nothing."""
    for most in ("MOST_PAIRS", "FINAL_PAIRS"):
        monkeypatch.setattr(f"dqh.clustering.cell_iterations.{most}", 0)
    generator = np.random.default_rng(0)
    middles = 4 * generator.standard_normal((100, 8))
    vectors = (np.repeat(middles, 40, axis=0) + generator.standard_normal((4000, 8))).astype(np.float32)
    told = {"codewords": 32, "assignment": "inverted", "mean_passes": 4}
    forgetful, other = (IQMeans(100, reset=reset, **told).fit(vectors) for reset in (True, False))
    assert other.distortion_ < 1.2 * forgetful.distortion_
