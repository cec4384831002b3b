"""Sizes, spreads and purities of clusters."""

import numpy as np
import pytest

from dqh.clustering import cluster_numbers as module
from dqh.clustering.cluster_numbers import cluster_numbers
from dqh.data.point_labels import labels_of_texts


def test_numbers_by_hand() -> None:
    """Cluster 0: hat, hat, coat and none, 2 of 3 are hats; cluster 1: coat of both, 1; cluster 2 is empty.

    Of five points with a label four have the most frequent one of their cluster.
    """
    labels = labels_of_texts([("hat",), ("hat",), ("coat",), (), ("coat", "red"), ("coat",), ("hat",)])
    members = np.array([0, 0, 0, 0, 1, 1, -1], np.int32)
    distances = np.array([3, 1, 2, 1, 5, 4, np.nan], np.float32)
    numbers = cluster_numbers(members, distances, 3, labels)
    assert numbers.sizes.tolist() == [4, 2, 0]
    assert numbers.spreads[:2].tolist() == [1.75, 4.5]
    assert np.isnan(numbers.spreads[2])
    assert numbers.nearest.tolist() == [1, 5, -1]
    assert numbers.labelled.tolist() == [3, 2, 0]
    assert numbers.purities[:2].tolist() == [pytest.approx(2 / 3), 1]
    assert numbers.shares == [
        [("hat", pytest.approx(2 / 3)), ("coat", pytest.approx(1 / 3))],
        [("coat", 1), ("red", 0.5)],
        [],
    ]
    assert numbers.purity == pytest.approx(4 / 5)


def test_many_points_are_counted_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    members, distances = generator.integers(0, 9, 500).astype(np.int32), generator.random(500).astype(np.float32)
    labels = labels_of_texts([("abc"[number],) for number in generator.integers(0, 3, 500)])
    whole = cluster_numbers(members, distances, 9, labels)
    monkeypatch.setattr(module, "_CHUNK", 64)
    parts = cluster_numbers(members, distances, 9, labels)
    np.testing.assert_allclose(parts.spreads, whole.spreads)
    np.testing.assert_array_equal(parts.nearest, whole.nearest)
    for cluster in range(9):
        own = np.flatnonzero(members == cluster)
        assert whole.nearest[cluster] == own[distances[own].argmin()]
        counts = np.unique([labels.of(row) for row in own], return_counts=True)[1]
        assert whole.purities[cluster] == pytest.approx(counts.max() / len(own))


def test_without_labels_nothing_is_pure() -> None:
    numbers = cluster_numbers(np.zeros(3, np.int32), np.ones(3, np.float32), 1, None)
    assert numbers.purity is None
    assert numbers.shares == [[]]
