"""Binary k-means."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.code_starts import STARTS
from dqh.codes import hamming, unpack
from dqh.errors import NotFittedError


def noisy(count: int, bits: int, *, seed: int = 0, centres: int = 10, flipped: float = 0.1) -> np.ndarray:
    """Codes around some centres, (count, ⌈bits / 8⌉)."""
    generator = np.random.default_rng(seed)
    middles = generator.integers(0, 2, (centres, bits))
    bit = middles[generator.integers(0, centres, count)] ^ (generator.random((count, bits)) < flipped)
    return np.packbits(bit, axis=1, bitorder="little")


def test_by_hand() -> None:
    """0000, 0001, 0010 and 1111, 1111: the majority of the first three is 0000; 2 bits of five codes are wrong."""
    codes = np.array([[0b0000], [0b0001], [0b0010], [0b1111], [0b1111]], np.uint8)
    clusters = BinaryKMeans(2, bits=4).fit(codes)
    assert sorted(clusters.cluster_centers_[:, 0].tolist()) == [0b0000, 0b1111]
    assert clusters.distortion_ == 2 / 5
    assert sorted(clusters.sizes_.tolist()) == [2, 3]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([5, 16, 24, 64, 70, 130]), st.integers(1, 12), st.sampled_from(STARTS))
def test_labels_are_those_of_all_pairs_and_the_distortion_never_rises(
    seed: int, bits: int, count: int, start: Any
) -> None:
    """The nearest centre, of equal ones the first, by either way of assignment; and centres are majorities at last."""
    codes = noisy(120, bits, seed=seed)
    count = min(count, len(np.unique(codes, axis=0)))
    ways = [
        BinaryKMeans(count, bits=bits, start=start, assignment=way, iterations=50, seed=seed % 1000).fit(codes)
        for way in ("brute_force", "multi_index", "auto")
    ]
    for clusters in ways:
        between = hamming(codes, clusters.cluster_centers_)
        assert clusters.labels_.tolist() == between.argmin(axis=1).tolist() == clusters.predict(codes).tolist()
        assert clusters.distortion_ == pytest.approx(between.min(axis=1).mean())
        assert all(after <= before for before, after in pairwise(clusters.history_))
        assert np.array_equal(clusters.cluster_centers_, ways[0].cluster_centers_)
    members = unpack(codes[ways[0].labels_ == 0], bits)
    agreeing = (members == unpack(ways[0].cluster_centers_[:1], bits)).mean(axis=0)
    assert (agreeing >= 0.5).all()


def test_clusters_of_noisy_codes_are_found() -> None:
    """Ten centres of 64 bits, a tenth of the bits turned: 6.4 a code are what cannot be told."""
    clusters = BinaryKMeans(10, start="k-means++", iterations=50).fit(noisy(2000, 64))
    assert clusters.distortion_ < 6.8
    assert (clusters.n_iter_, clusters.bits_) == (len(clusters.history_) - 1, 64)


def test_vectors_become_codes_of_itq() -> None:
    vectors = np.random.default_rng(0).standard_normal((300, 12)).astype(np.float16)
    clusters = BinaryKMeans(5, bits=10).fit(vectors)
    assert clusters.quantizer_ is not None
    codes = clusters.quantizer_.encode(vectors.astype(np.float32))
    again = BinaryKMeans(5, bits=10).fit(codes)
    assert clusters.labels_.tolist() == again.labels_.tolist() == clusters.predict(vectors).tolist()
    assert clusters.predict(codes).tolist() == again.labels_.tolist()
    assert BinaryKMeans(5).fit(vectors).bits_ == 12
    assert clusters.cluster_centers_.shape == (5, 2)


def test_equal_codes_are_one() -> None:
    codes = np.repeat(np.array([[1], [2], [7]], np.uint8), [50, 30, 1], axis=0)
    clusters = BinaryKMeans(3).fit(codes)
    assert clusters.distortion_ == 0
    assert sorted(clusters.sizes_.tolist()) == [1, 30, 50]
    with pytest.raises(ValueError, match="got 4 clusters for 3 distinct ones among 81"):
        BinaryKMeans(4).fit(codes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 0}, "n_clusters must be a whole number of at least 1, got 0"),
        ({"iterations": 0}, "iterations must be a whole number of at least 1, got 0"),
        ({"start": "best"}, "start must be one of random, k-means\\+\\+, afk-mc2, got 'best'"),
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"assignment": "kd_tree"}, "assignment must be one of auto, brute_force, multi_index, got 'kd_tree'"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BinaryKMeans(**{"n_clusters": 2} | arguments)


def test_codes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="got 5 clusters for 2; ask for fewer clusters"):
        BinaryKMeans(5).fit(np.zeros((2, 8), np.uint8))
    with pytest.raises(ValueError, match="zeros after bit 4, row 1 has not"):
        BinaryKMeans(1, bits=4).fit(np.array([[1], [16]], np.uint8))
    with pytest.raises(ValueError, match="must be uint8"):
        BinaryKMeans(1).fit(np.zeros((2, 8), np.int64))
    vectors = np.random.default_rng(0).standard_normal((50, 4))
    vectors[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"must be finite .*, row 3 is not"):
        BinaryKMeans(2).fit(vectors)
    with pytest.raises(NotFittedError, match=r"call fit\(codes\) first"):
        BinaryKMeans(2).predict(np.zeros((2, 8), np.uint8))
    with pytest.raises(ValueError, match=r"codes of 64 bits must be uint8 of shape \(N, 8\)"):
        BinaryKMeans(2).fit(noisy(50, 64)).predict(np.zeros((2, 4), np.uint8))
    assert BinaryKMeans(2).fit(noisy(50, 64)).predict(np.zeros((0, 8), np.uint8)).tolist() == []
