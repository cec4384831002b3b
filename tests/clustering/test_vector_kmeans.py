"""Plain k-means in passes over the vectors."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances_argmin

from dqh.clustering import vector_kmeans
from dqh.clustering.vector_kmeans import VectorKMeans, moved_centres
from dqh.clustering.vector_sums import chunk_sums
from dqh.errors import DataError, NotFittedError


def test_two_clusters_by_hand() -> None:
    """0, 1 | 10, 11, 12 on a line: centres .5 and 11, squared distances 1/4, 1/4, 1, 0, 1: 2.5 over 5 points."""
    points = np.array([[0], [1], [10], [11], [12]], np.float32)
    clusters = VectorKMeans(2).fit(points)
    assert sorted(clusters.cluster_centers_.flatten().tolist()) == [0.5, 11]
    assert clusters.distortion_ == pytest.approx(0.5)
    assert sorted(clusters.sizes_.tolist()) == [2, 3]
    np.testing.assert_allclose(clusters.distances_, [0.25, 0.25, 1, 0, 1], atol=1e-5)


@pytest.mark.parametrize("chunk", [64, 1000])
def test_labels_are_the_nearest_centres_and_the_distortion_falls(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many vectors are read at a time; with a common offset, too."""
    monkeypatch.setattr(vector_kmeans, "CHUNK", chunk)
    vectors = np.random.default_rng(0).standard_normal((300, 6)).astype(np.float32) + 100
    clusters = VectorKMeans(20, tolerance=0, iterations=30).fit(vectors)
    wide, centres = vectors.astype(np.float64), clusters.cluster_centers_.astype(np.float64)
    np.testing.assert_array_equal(clusters.labels_, pairwise_distances_argmin(wide, centres))
    np.testing.assert_array_equal(clusters.predict(vectors), clusters.labels_)
    assert (np.diff(clusters.history_) <= 1e-6 * clusters.history_[0]).all()
    for cluster in range(20):
        mean = vectors[clusters.labels_ == cluster].mean(axis=0)
        np.testing.assert_allclose(clusters.cluster_centers_[cluster], mean, rtol=1e-5)
    assert clusters.n_iter_ == len(clusters.history_) - 1 < 30
    np.testing.assert_array_equal(VectorKMeans(20, tolerance=0, iterations=30).fit(vectors).labels_, clusters.labels_)


def test_a_centre_without_vectors_takes_half_of_a_large_cluster() -> None:
    """Centres at 0, 1 and 50; all of 0, 1, 9, 11 lie at the first two: 9 and 11 are to get one of their own."""
    points, centres = np.array([[0], [1], [9], [11]], np.float32), np.array([[0], [1], [50]], np.float32)
    labels, distances = np.array([0, 1, 1, 1], np.int32), np.array([0, 0, 64, 100], np.float32)
    sums = chunk_sums(points, labels, distances, first=0, clusters=3)
    moved = moved_centres(centres, sums, points).flatten()
    step = (11 - 7) / 16
    np.testing.assert_allclose(moved, [0, 7 - step, 7 + step])


def test_equal_vectors_leave_centres_empty() -> None:
    clusters = VectorKMeans(3).fit(np.ones((10, 2), np.float32))
    assert sorted(clusters.sizes_.tolist()) == [0, 0, 10]
    assert clusters.distortion_ == 0


def test_what_makes_no_sense() -> None:
    vectors = np.zeros((5, 2), np.float32)
    with pytest.raises(ValueError, match="n_clusters must be a whole number"):
        VectorKMeans(0)
    with pytest.raises(ValueError, match="tolerance must be at least 0"):
        VectorKMeans(2, tolerance=float("nan"))
    with pytest.raises(ValueError, match="got 6 clusters for 5; ask for fewer"):
        VectorKMeans(6).fit(vectors)
    with pytest.raises(ValueError, match="vectors must be float of shape"):
        VectorKMeans(2).fit(vectors.astype(int))
    with pytest.raises(NotFittedError, match=r"call fit\(vectors\) first"):
        VectorKMeans(2).predict(vectors)
    vectors[3, 1] = np.inf
    with pytest.raises(DataError, match="row 3 is not"):
        VectorKMeans(2).fit(vectors)
