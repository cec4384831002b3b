"""K-means."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from dqh.quantizers import kmeans as module
from dqh.quantizers.kmeans import kmeans, nearest, plus_plus

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(seed: int, count: int = 300, dimension: int = 4) -> torch.Tensor:
    """Points around ten centres."""
    draw = seeded(seed)
    centres = 4 * torch.randn(10, dimension, generator=draw)
    return centres[torch.randint(10, (count,), generator=draw)] + torch.randn(count, dimension, generator=draw)


def test_one_iteration_by_hand() -> None:
    """From 0 and 4: {0, 1} and {3, 8} (1 is 1 from 0 and 9 from 4); means 0.5 and 5.5; 3 is then 6.25 from either.

    The first of equals takes it: {0, 1, 3}, {8}; squared distances 0.25, 0.25, 6.25, 6.25, mean 3.25.
    """
    points = torch.tensor([[0.0], [1.0], [3.0], [8.0]])
    found = kmeans(points, 2, generator=seeded(), iterations=1, start=torch.tensor([[0.0], [4.0]]))
    assert found.centroids.flatten().tolist() == [0.5, 5.5]
    assert (found.assignment.tolist(), found.distortion) == ([0, 0, 0, 1], 3.25)


def test_an_empty_cell_halves_the_cell_of_largest_error() -> None:
    """100 is nobody's: the cell {0, 2} keeps its mean 1, and {10, 20} around 15 is split along its farthest vector.

    The first of its farthest is 20 by the order of the sort, so the halves are 15 ± 5/16.
    """
    points = torch.tensor([[0.0], [2.0], [10.0], [20.0]])
    start = torch.tensor([[1.0], [15.0], [100.0]])
    found = kmeans(points, 3, generator=seeded(), iterations=1, start=start)
    assert sorted(found.centroids.flatten().tolist()) == [1.0, 15 - 5 / 16, 15 + 5 / 16]
    assert kmeans(points, 3, generator=seeded(), start=start).distortion == 0.5


@pytest.mark.parametrize("device", DEVICES)
def test_a_fixed_point_of_an_independent_reference(device: str) -> None:
    """scikit-learn, started where this ended, stays there."""
    points = blobs(1)
    found = kmeans(points.to(device), 10, generator=seeded(), iterations=100)
    reference = KMeans(10, init=found.centroids.cpu().numpy(), n_init=1, max_iter=1).fit(points.numpy())
    assert np.array_equal(reference.labels_, found.assignment.cpu())
    assert found.distortion * len(points) == pytest.approx(reference.inertia_, rel=1e-5)  # float32


@pytest.mark.parametrize("device", DEVICES)
def test_the_seed_decides(device: str) -> None:
    points = blobs(2).to(device)
    one, same, other = (kmeans(points, 16, generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.centroids, same.centroids)
    assert not torch.equal(one.centroids, other.centroids)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 60))
def test_more_iterations_and_a_warm_start_do_not_raise_the_distortion(seed: int, clusters: int) -> None:
    """Within rounding; k-means++ leaves no cell empty here, so that nothing is split at the end."""
    points = blobs(seed)
    short = kmeans(points, clusters, generator=seeded(seed), iterations=2)
    longer = kmeans(points, clusters, generator=seeded(seed), iterations=9)
    again = kmeans(points, clusters, generator=seeded(seed), iterations=7, start=short.centroids)
    assert max(longer.distortion, again.distortion) <= short.distortion * (1 + 1e-5)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    points = blobs(3)
    whole = nearest(points, points[:7])
    monkeypatch.setattr(module, "CACHED", 40)
    parts = nearest(points, points[:7])
    assert torch.equal(whole[0], parts[0])
    assert torch.allclose(whole[1], parts[1], atol=1e-4)


def test_no_vectors_have_no_nearest() -> None:
    assignment, distances = nearest(torch.empty(0, 3), torch.ones(2, 3))
    assert (assignment.shape, assignment.dtype) == ((0,), torch.int64)
    assert (distances.shape, distances.dtype) == ((0,), torch.float32)


def test_parameters_are_taken_and_get_no_gradient() -> None:
    """Of 0, 1 and 5 the nearest of 0 and 4 are 0, 0 and 4, at squared distances 0, 1 and 1."""
    vectors, centroids = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.0], [4.0]])
    assignment, distances = nearest(vectors.requires_grad_(), torch.nn.Parameter(centroids))
    assert (assignment.tolist(), distances.tolist()) == ([0, 0, 1], [0.0, 1.0, 1.0])
    assert not distances.requires_grad


def test_an_offset_costs_no_digits() -> None:
    """Squares of 1000 leave a float32 only 0.06; the clusters are 1 apart."""
    points = torch.tensor([[0.0], [0.125], [1.0], [1.125]])
    found = kmeans(points + 1000, 2, generator=seeded())
    assert sorted(found.centroids.flatten().tolist()) == [1000.0625, 1001.0625]


@pytest.mark.parametrize("clusters", [1, 5, 40])
def test_the_start_has_distinct_vectors(clusters: int) -> None:
    points = torch.arange(40.0)[:, None]
    assert len(plus_plus(points, clusters, generator=seeded(5)).unique()) == clusters


def test_a_start_of_several_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 rounds for 30 clusters: 1, then 9, 10 and 10. They come near what one a round gives."""
    points = blobs(6, count=2000)
    one = nearest(points, plus_plus(points, 30, generator=seeded(1)))[1].mean()
    monkeypatch.setattr(module, "ROUNDS", 4)
    several = plus_plus(points, 30, generator=seeded(1))
    assert several.shape == (30, 4)
    assert nearest(points, several)[1].mean() < 2 * one


def test_fewer_distinct_vectors_than_clusters() -> None:
    points = torch.tensor([[1.0, 1.0]] * 5 + [[3.0, 1.0]] * 5)
    found = kmeans(points, 8, generator=seeded())
    assert found.distortion == 0
    assert torch.isfinite(found.centroids).all()


def test_as_many_clusters_as_vectors() -> None:
    points = torch.arange(20.0)[:, None]
    assert kmeans(points, 20, generator=seeded()).distortion == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 0}, "got 0 clusters for 5 vectors"),
        ({"clusters": 6}, "at most the number of vectors, got 6 clusters for 5 vectors; give more"),
        ({"clusters": 2, "iterations": 0}, "iterations must be at least 1, got 0"),
        ({"clusters": 2, "start": torch.zeros(2, 2)}, r"shape \(2, 3\), got \(2, 2\)"),
    ],
)
def test_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kmeans(torch.zeros(5, 3), generator=seeded(), **arguments)
