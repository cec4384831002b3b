"""K-means on product-quantized codes."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.clustering.code_starts import STARTS
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.quantizers.product import ProductQuantizer


def quantized(seed: int, subspaces: int, codewords: int) -> tuple[ProductQuantizer, np.ndarray]:
    """A quantizer and 150 codes of it."""
    generator = np.random.default_rng(seed)
    quantizer = ProductQuantizer.from_codebooks(generator.standard_normal((subspaces, codewords, 2)))
    return quantizer, quantizer.encode(generator.standard_normal((150, 2 * subspaces)))


def test_by_hand() -> None:
    """Codewords 0, 1, 8, 9 on a line; 0 once, 1 twice: sums 2 and 1, so 1 is the centre; of 8 and 9 the first."""
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0], [8.0], [9.0]]], np.float32))
    clusters = PQKMeans(2, quantizer).fit(np.array([[0], [1], [1], [2], [3]], np.uint8))
    assert sorted(clusters.cluster_centers_[:, 0].tolist()) == [1, 2]
    assert clusters.distortion_ == pytest.approx((1 + 0 + 0 + 0 + 1) / 5)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 5),
    st.sampled_from([4, 16, 256]),
    st.integers(1, 20),
    st.sampled_from(STARTS),
)
def test_labels_are_those_of_decoded_codes(seed: int, subspaces: int, codewords: int, count: int, start: Any) -> None:
    """The nearest decoded centre, up to float32; the distortion never rises; centres are the best codes."""
    quantizer, codes = quantized(seed, subspaces, codewords)
    count = min(count, len(np.unique(codes, axis=0)))
    clusters = PQKMeans(count, quantizer, start=start, iterations=50, seed=seed % 1000).fit(codes)
    decoded = quantizer.decode(codes).astype(np.float64)
    between = ((decoded[:, None] - quantizer.decode(clusters.cluster_centers_)) ** 2).sum(axis=2)
    own = between[np.arange(150), clusters.labels_]
    np.testing.assert_allclose(own, between.min(axis=1), rtol=1e-5, atol=1e-6)
    assert clusters.distortion_ == pytest.approx(own.mean(), rel=1e-5, abs=1e-6)
    assert all(after <= before for before, after in pairwise(clusters.history_))
    assert clusters.predict(codes).tolist() == clusters.labels_.tolist()
    members = decoded[clusters.labels_ == 0].reshape(-1, subspaces, 2)
    for subspace, index in enumerate(quantizer.codewords_of(clusters.cluster_centers_)[0]):
        sums = ((members[:, subspace, None] - quantizer.codebooks[subspace]) ** 2).sum(axis=(0, 2))
        assert sums[index] == pytest.approx(sums.min(), rel=1e-5, abs=1e-6)


def test_the_seed_decides() -> None:
    quantizer, codes = quantized(3, 3, 16)
    one, same, other = (PQKMeans(9, quantizer, seed=seed).fit_predict(codes).tolist() for seed in (0, 0, 1))
    assert one == same != other


def test_what_does_not_fit() -> None:
    quantizer, codes = quantized(0, 2, 4)
    with pytest.raises(ValueError, match=r"got 17 clusters for [0-9]+ distinct ones among 150"):
        PQKMeans(17, quantizer).fit(codes)
    with pytest.raises(ValueError, match=r"codes of 4 bits must be uint8 of shape \(N, 1\)"):
        PQKMeans(2, quantizer).fit(np.zeros((5, 2), np.uint8))
    with pytest.raises(ValueError, match="at most 256 codewords a subspace, got 512; take more subspaces"):
        PQKMeans(2, ProductQuantizer.from_codebooks(np.zeros((1, 512, 1))))
