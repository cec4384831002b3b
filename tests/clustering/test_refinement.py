"""Passes over vectors after a clustering of their cells."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from dqh.clustering.iq_means import IQMeans
from dqh.clustering.refinement import Candidates, refined

GENERATOR = np.random.default_rng(0)
VECTORS = (GENERATOR.standard_normal((30, 6))[GENERATOR.integers(0, 30, 900)] * 4 + 100).astype(np.float32)
VECTORS += GENERATOR.standard_normal((900, 6)).astype(np.float32)


def test_by_hand() -> None:
    """Points 0, 1, 4 and 5 on a line, all with the first of centres 0 and 4; means are then .5 and 4.5."""
    vectors = np.array([[0], [1], [4], [5]], np.float32)
    clusters = refined(vectors, np.zeros(4, np.int32), np.array([[0], [4]], np.float32), passes=1)
    assert clusters.labels.tolist() == [0, 0, 1, 1]
    assert clusters.sizes.tolist() == [2, 2]
    np.testing.assert_allclose(clusters.centres[:, 0], [0.5, 4.5])
    assert clusters.distortion == pytest.approx(0.25, rel=1e-5)  # float32


@pytest.mark.parametrize("passes", [1, 3])
def test_with_all_centres_near_it_is_k_means(passes: int) -> None:
    """20 centres are fewer than candidates, so that a pass is an iteration of Lloyd; 1.2e-5 is float32 around 100."""
    start = VECTORS[:20]
    clusters = refined(VECTORS, np.zeros(900, np.int32), start, passes=passes)
    peer = KMeans(20, init=start, n_init=1, max_iter=passes, tol=0, algorithm="lloyd").fit(VECTORS)
    assert clusters.labels.tolist() == peer.labels_.tolist()
    np.testing.assert_allclose(clusters.centres, peer.cluster_centers_, rtol=1.2e-5)
    assert clusters.distortion * 900 == pytest.approx(peer.inertia_, rel=1e-4)


def test_only_candidates_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of centres 0, 1 and 9 two are candidates: of a point at 9 that had the first, 0 and 1."""
    monkeypatch.setattr("dqh.clustering.refinement.CANDIDATES", 2)
    labels, squares = Candidates(np.array([[0], [1], [9]], np.float32)).nearest(
        np.array([[9], [9]], np.float32), np.array([0, 2], np.int32)
    )
    assert labels.tolist() == [1, 2]
    np.testing.assert_allclose(squares, [64, 0], atol=1e-4)  # float32


def test_a_centre_without_vectors_stays() -> None:
    clusters = refined(VECTORS[:1], np.zeros(1, np.int32), VECTORS[:1] + np.array([[0], [50]], np.float32), passes=2)
    assert clusters.sizes.tolist() == [1, 0]
    np.testing.assert_array_equal(clusters.centres[1], VECTORS[0] + 50)


def test_clusters_of_cells_get_better() -> None:
    """With few codewords; what is told is the distance of the vectors to the centres of their labels."""
    rough = IQMeans(30, codewords=8).fit(VECTORS)
    clusters = IQMeans(30, codewords=8, refinements=3).fit(VECTORS)
    apart = VECTORS - clusters.cluster_centers_[clusters.labels_]
    assert clusters.distortion_ == pytest.approx(float((apart**2).sum(axis=1).mean()), rel=1e-3)  # float32 around 100
    assert clusters.distortion_ < 0.9 * rough.distortion_
    assert clusters.sizes_.tolist() == np.bincount(clusters.labels_, minlength=30).tolist()
    assert (clusters.predict(VECTORS) == clusters.labels_).mean() > 0.9


def test_one_cluster_is_the_mean() -> None:
    clusters = IQMeans(1, codewords=8, refinements=1).fit(VECTORS)
    np.testing.assert_allclose(clusters.cluster_centers_[0], VECTORS.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("refinements", [-1, 0.5])
def test_arguments_out_of_range(refinements: int) -> None:
    with pytest.raises(ValueError, match=f"refinements must be a whole number of at least 0, got {refinements}"):
        IQMeans(2, refinements=refinements)


def test_codes_have_nothing_to_refine() -> None:
    quantizer = IQMeans(2, codewords=8).fit(VECTORS).quantizer_
    with pytest.raises(ValueError, match="refinements need vectors, got codes and 1 refinements; set it to 0"):
        IQMeans(2, quantizer=quantizer, refinements=1).fit_codes(quantizer.encode(VECTORS))
