"""IQ-means as an estimator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans

from dqh.clustering.iq_means import IQMeans
from dqh.errors import DataError, NotFittedError
from dqh.quantizers.product import ProductQuantizer


def blobs(count: int = 2000, *, seed: int = 0, centres: int = 12, dimension: int = 8) -> np.ndarray:
    generator = np.random.default_rng(seed)
    middles = 3 * generator.standard_normal((centres, dimension))
    return (middles[generator.integers(0, centres, count)] + generator.standard_normal((count, dimension))).astype("f")


def distortion(vectors: np.ndarray, centres: np.ndarray) -> float:
    """Mean squared distance to the nearest centre."""
    return float(((vectors[:, None] - centres) ** 2).sum(axis=2).min(axis=1).mean())


@pytest.mark.parametrize("assignment", ["exact", "inverted"])
def test_clusters_are_nearly_those_of_k_means(assignment: Any) -> None:
    """Within a tenth of scikit-learn's, from one start each."""
    vectors = blobs()
    clusters = IQMeans(60, codewords=64, assignment=assignment, seed=1).fit(vectors)
    reference = KMeans(60, n_init=1, init="random", random_state=1).fit(vectors)
    assert distortion(vectors, clusters.cluster_centers_) < 1.1 * reference.inertia_ / len(vectors)
    own = ((vectors - clusters.cluster_centers_[clusters.labels_]) ** 2).sum(axis=1).mean()
    assert clusters.distortion_ == pytest.approx(own, rel=1e-4)  # float32
    assert clusters.sizes_.tolist() == np.bincount(clusters.labels_, minlength=60).tolist()
    assert (clusters.n_clusters_, clusters.n_iter_) == (60, len(clusters.history_))


@pytest.mark.parametrize("assignment", ["exact", "inverted"])
def test_the_seed_decides_and_prediction_repeats(assignment: Any) -> None:
    vectors = blobs()
    one, same, other = (IQMeans(20, codewords=32, assignment=assignment, seed=seed).fit(vectors) for seed in (3, 3, 4))
    assert one.labels_.tolist() == same.labels_.tolist() == one.predict(vectors).tolist()
    assert np.array_equal(one.cluster_centers_, same.cluster_centers_)
    assert one.labels_.tolist() != other.labels_.tolist()
    assert (
        IQMeans(20, codewords=32, assignment=assignment, seed=3).fit_predict(vectors).tolist() == same.labels_.tolist()
    )


def test_vectors_in_new_cells_get_the_nearest_centre() -> None:
    """Of the codewords: by hand from what the quantizer decodes."""
    vectors, new = blobs(300), blobs(2000, seed=9)
    clusters = IQMeans(10, codewords=64).fit(vectors)
    decoded = clusters.quantizer_.decode(clusters.quantizer_.encode(new)).astype(np.float64)
    codes = {code.tobytes() for code in clusters.quantizer_.encode(vectors)}
    unseen = [row for row, code in enumerate(clusters.quantizer_.encode(new)) if code.tobytes() not in codes]
    distances = ((decoded[unseen][:, None] - clusters.cluster_centers_) ** 2).sum(axis=2)
    assert len(unseen) > 500
    assert clusters.predict(new[unseen]).tolist() == distances.argmin(axis=1).tolist()


def test_a_memory_map_of_half_floats(tmp_path: Path) -> None:
    """The same clusters as from memory."""
    vectors = blobs(500).astype(np.float16)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert (
        IQMeans(5, codewords=16).fit(mapped).labels_.tolist() == IQMeans(5, codewords=16).fit(vectors).labels_.tolist()
    )


def test_codes_alone() -> None:
    """As from the vectors that they stand for, whose distortion is told."""
    vectors = blobs()
    quantizer = ProductQuantizer(2, 32).fit(vectors)
    codes = quantizer.encode(vectors)
    clusters = IQMeans(12, quantizer=quantizer).fit_codes(codes)
    decoded = quantizer.decode(codes)
    own = ((decoded - clusters.cluster_centers_[clusters.labels_]) ** 2).sum(axis=1).mean()
    assert clusters.distortion_ == pytest.approx(own, rel=1e-4)  # float32
    assert clusters.predict(vectors).tolist() == clusters.labels_.tolist()


def test_equal_points_are_one_cell() -> None:
    """Four different points, many times: four clusters without distortion, and no fifth."""
    corners = np.array([[0, 0], [0, 7], [7, 0], [7, 7]], np.float32)
    vectors = np.repeat(corners, [50, 30, 20, 10], axis=0)
    clusters = IQMeans(4, codewords=2).fit(vectors)
    assert clusters.distortion_ == pytest.approx(0, abs=1e-5)
    assert sorted(clusters.sizes_.tolist()) == [10, 20, 30, 50]
    with pytest.raises(ValueError, match="number of cells with points, got 5 clusters for 4 cells"):
        IQMeans(5, codewords=2).fit(vectors)
    with pytest.raises(ValueError, match="got 5 clusters for 1 cell;"):
        IQMeans(5, codewords=4).fit(np.zeros((10, 2), np.float32))


@pytest.mark.parametrize("assignment", ["exact", "inverted"])
def test_the_number_of_blobs_is_found(assignment: Any) -> None:
    """Twelve blobs in 16 dimensions, from 60 centres."""
    vectors = blobs(3000, dimension=16, seed=2)
    clusters = IQMeans("auto", most_clusters=60, codewords=128, assignment=assignment, seed=2).fit(vectors)
    assert clusters.history_[0].clusters == 60
    assert abs(clusters.n_clusters_ - 12) <= 2
    assert len(clusters.cluster_centers_) == len(clusters.sizes_) == clusters.n_clusters_ == clusters.labels_.max() + 1


def test_auto_starts_with_a_sixteenth() -> None:
    assert IQMeans("auto", codewords=32).fit(blobs(800)).history_[0].clusters == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 0}, "n_clusters must be at least 1 or auto, got 0"),
        ({"n_clusters": "many"}, "n_clusters must be at least 1 or auto, got 'many'"),
        ({"n_clusters": 2.0}, r"n_clusters must be at least 1 or auto, got 2\.0"),
        ({"codewords": 48}, "codewords must be a power of two from 2 to 16,384, got 48"),
        ({"codewords": 2**15}, "codewords must be a power of two from 2 to 16,384, got 32768"),
        ({"window": 0}, "window must be a whole number of at least 1, got 0"),
        ({"iterations": 0}, "iterations must be a whole number of at least 1, got 0"),
        ({"iterations": 2.5}, "iterations must be a whole number of at least 1, got 2.5"),
        ({"window": "4"}, "window must be a whole number of at least 1, got '4'"),
        ({"codewords": 16.0}, "codewords must be a power of two from 2 to .*, got 16.0"),
        ({"most_clusters": -1}, "most_clusters must be a whole number of at least 1, got -1"),
        ({"most_clusters": 0}, "most_clusters must be a whole number of at least 1, got 0"),
        ({"target": 0}, "target must be above 0"),
        ({"tolerance": -1}, "tolerance at least 0"),
        ({"overlap": 1.5}, "overlap 0 to 1"),
        ({"assignment": "quick"}, "assignment must be one of auto, inverted, exact, got 'quick'"),
        ({"n_clusters": "auto", "reset": False}, "n_clusters=auto needs reset=True"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IQMeans(**{"n_clusters": 3} | arguments)


def test_vectors_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"even D, got \(4, 3\); append a column of zeros"):
        IQMeans(2).fit(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="got 5 clusters for 4; ask for fewer clusters"):
        IQMeans(5).fit(np.zeros((4, 2), np.float32))
    with pytest.raises(ValueError, match="got 512 codewords for 4 vectors"):
        IQMeans(2).fit(np.zeros((4, 2), np.float32))
    vectors = blobs(100)
    vectors[7, 3] = np.nan
    with pytest.raises(DataError, match="row 7 is not"):
        IQMeans(2, codewords=16).fit(vectors)
    with pytest.raises(NotFittedError, match=r"call fit\(vectors\) first"):
        IQMeans(2).predict(vectors)


def test_codes_that_do_not_fit() -> None:
    quantizer = ProductQuantizer(2, 32).fit(blobs(100))
    with pytest.raises(ValueError, match=r"give IQMeans\(quantizer=…\)"):
        IQMeans(2).fit_codes(np.zeros((4, 2), np.uint8))
    with pytest.raises(ValueError, match=r"uint8 of shape \(N, 2\), got uint8 of shape \(4, 3\)"):
        IQMeans(2, quantizer=quantizer).fit_codes(np.zeros((4, 3), np.uint8))
