"""The quantizer that makes points cells."""

import numpy as np

from dqh.clustering.cell_codebooks import fitted_quantizer


def test_the_rotation_balances_the_halves_and_the_seed_decides() -> None:
    """Variances 8, 4, 2, 1: the products of the halves, 8·1 and 4·2, are equal; without a rotation 32 and 2."""
    vectors = np.random.default_rng(0).standard_normal((2000, 4)) * np.sqrt([8, 4, 2, 1])
    quantizer, same, other = (fitted_quantizer(vectors.astype(np.float32), 16, seed=seed) for seed in (0, 0, 1))
    turned = vectors @ quantizer.rotation
    products = [np.linalg.det(np.cov(half.T)) for half in np.split(turned, 2, axis=1)]
    np.testing.assert_allclose(products, [8, 8], rtol=0.2)  # of 2,000 points
    assert np.array_equal(quantizer.codebooks, same.codebooks)
    assert not np.array_equal(quantizer.codebooks, other.codebooks)
    assert (quantizer.subspaces, quantizer.codewords, quantizer.dimension) == (2, 16, 4)
