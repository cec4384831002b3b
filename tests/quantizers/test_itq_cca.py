"""Iterative quantization after canonical correlation analysis."""

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from dqh.codes import hamming
from dqh.quantizers import sign_hash
from dqh.quantizers.itq_cca import ITQCCA, canonical_directions


def classes(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (count, 7) of 4 classes."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, count)
    return generator.standard_normal((4, 7))[labels] + generator.standard_normal((count, 7)), labels


def test_a_correlation_by_hand() -> None:
    """Labels − − + + at (−2, 1), (0, −1), (0, 1), (2, −1).

    Covariances: Cxx = [[2, −1], [−1, 1]], Cxy = (1, 0) · 1/2 for the indicator of +, whose variance is 1/4. With
    Cxx⁻¹ = [[1, 1], [1, 2]]: w ∝ Cxx⁻¹ Cxy ∝ (1, 1) and r² = Cxyᵀ Cxx⁻¹ Cxy / Cyy = 1/4 · 1 / (1/4) = 1. And so it is:
    along (1, 1) the points are −1, −1, 1, 1, of variance 1.
    """
    vectors = np.array([[-2.0, 1], [0, -1], [0, 1], [2, -1]])
    labels = np.array([[True, False]] * 2 + [[False, True]] * 2)
    found = canonical_directions(vectors, labels, regularisation=1e-9)
    np.testing.assert_allclose(found.correlations, [1, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(found.directions[:, 0]), [1, 1], atol=1e-6)
    codes = ITQCCA(1, regularisation=1e-9).fit(vectors, np.array([0, 0, 1, 1])).encode(vectors).ravel()
    assert codes[0] == codes[1] != codes[2] == codes[3]


def test_correlations_equal_those_of_scikit_learn() -> None:
    vectors, _ = classes()
    labels = np.stack([vectors[:, 0] > 0, vectors[:, 1] + vectors[:, 2] > 1, vectors[:, 3] > 2], axis=1)
    found = canonical_directions(vectors, labels, regularisation=1e-12)
    one, other = CCA(3, max_iter=5000, tol=1e-12).fit_transform(vectors, labels.astype(float))
    wanted = [np.corrcoef(one[:, k], other[:, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(found.correlations, wanted, atol=1e-6)  # scikit-learn iterates


def test_single_labels_give_the_discriminant_directions() -> None:
    """With one-hot labels and no regularisation CCA is Fisher's discriminant analysis; C − 1 correlations are not 0."""
    vectors, labels = classes()
    found = canonical_directions(vectors, labels[:, None] == np.arange(4), regularisation=1e-12)
    wanted = LinearDiscriminantAnalysis(solver="eigen").fit(vectors, labels).scalings_[:, :3]
    cosines = np.sum(found.directions[:, :3] * wanted, axis=0)
    cosines /= np.linalg.norm(found.directions[:, :3], axis=0) * np.linalg.norm(wanted, axis=0)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-6)
    assert found.correlations[2] > 0.1
    assert found.correlations[3] < 1e-6


def test_directions_solve_the_generalised_eigenproblem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cxy (Cyy + ρ I)⁻¹ Cyx w = r² (Cxx + ρ I) w, and wᵀ (Cxx + ρ I) w = 1, whatever the chunks."""
    monkeypatch.setattr(sign_hash, "_CHUNK", 64)
    vectors, labels = classes()
    targets = labels[:, None] == np.arange(4)
    _, directions, correlations = canonical_directions(vectors, targets, regularisation=0.1)
    joint = np.cov(np.concatenate([vectors, targets], axis=1).T, bias=True)
    cxx, cyy = (part + 0.1 * part.trace() / len(part) * np.eye(len(part)) for part in (joint[:7, :7], joint[7:, 7:]))
    left = joint[:7, 7:] @ np.linalg.solve(cyy, joint[7:, :7]) @ directions
    np.testing.assert_allclose(left, cxx @ directions * correlations**2, atol=1e-9)
    np.testing.assert_allclose(directions.T @ cxx @ directions, np.eye(4), atol=1e-9)


def test_more_bits_than_classes_or_dimensions() -> None:
    """40 bits out of 3 dimensions of correlation: many distinct codes, near within a class."""
    vectors, labels = classes()
    method = ITQCCA(40).fit(vectors, labels)
    assert np.linalg.matrix_rank(method.projection, tol=1e-4) == 3
    distances = hamming(method.encode(vectors), method.encode(vectors))
    same = labels[:, None] == labels
    assert distances[same].mean() < 0.8 * distances[~same].mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ITQCCA(2).fit(np.eye(4), np.full(4, 3)), "labels must differ between vectors, got the same for all"),
        (lambda: ITQCCA(2).fit(np.eye(4), np.ones((4, 2), bool)), "labels must differ"),
        (lambda: ITQCCA(2, iterations=-1), "iterations must be at least 0, got -1"),
        (lambda: ITQCCA(2, regularisation=0), "regularisation must be above 0, got 0"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
