"""Supervised hashing with kernels."""

import itertools

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from dqh.codes import hamming, unpack
from dqh.quantizers.ksh import KSH, greedy_weights, similarities, smoothed_ascent


def rings(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 2) on two circles around each other, which no line separates, and which circle."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, count)
    angle = generator.uniform(0, 2 * np.pi, count)
    return (1.0 + 2 * labels)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), labels


def whitened(rows: int, columns: int, *, seed: int = 0) -> np.ndarray:
    """K (rows, columns) with Kᵀ K = rows · I."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns)))[0] * np.sqrt(rows)


def test_similarities_by_hand() -> None:
    """Labels {0, 1}, {1}, {2}, none, none: the first two share one; the last two share nothing but themselves."""
    targets = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], bool)
    wanted = 2 * np.eye(5) - 1
    wanted[0, 1] = wanted[1, 0] = 1
    assert np.array_equal(similarities(targets), wanted)


def test_the_first_spectral_bit_by_hand() -> None:
    """K = two columns, (1, 1, −1, −1) and (1, −1, 1, −1); S says that 0, 1 are alike, and 2, 3.

    Kᵀ S K = diag(16, 0), so that the bit follows the first column; then R = S − h hᵀ = 0 for B = 1.
    """
    features = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    weights = greedy_weights(features, np.outer([1, 1, -1, -1], [1, 1, -1, -1]).astype(float), bits=1, iterations=0)
    np.testing.assert_allclose(np.abs(weights), [[1], [0]], atol=1e-12)


def test_the_gradient_is_that_of_the_smoothed_objective() -> None:
    """One step from the start goes along the gradient of φᵀ R φ by central differences."""
    features, generator = whitened(30, 4), np.random.default_rng(1)
    residue = generator.standard_normal((30, 30))
    residue += residue.T
    start = generator.standard_normal(4)
    step = smoothed_ascent(features, residue, start=start, iterations=1) - start

    def objective(weights: np.ndarray) -> float:
        smooth = 2 / (1 + np.exp(-features @ weights)) - 1
        return float(smooth @ residue @ smooth)

    shifts = 1e-5 * np.eye(4)
    wanted = np.array([(objective(start + shift) - objective(start - shift)) / 2e-5 for shift in shifts])
    assert step @ wanted > 0
    np.testing.assert_allclose(step / np.linalg.norm(step), wanted / np.linalg.norm(wanted), atol=1e-6)


def test_the_ascent_ends_higher_and_near_a_stationary_point() -> None:
    features = whitened(60, 5)
    labels = np.random.default_rng(2).integers(0, 3, 60)
    residue = 4.0 * similarities(labels[:, None] == np.arange(3))
    start = np.ones(5) / np.sqrt(5)

    def objective(weights: np.ndarray) -> float:
        smooth = np.tanh(features @ weights / 2)
        return float(smooth @ residue @ smooth)

    reached = smoothed_ascent(features, residue, start=start, iterations=500)
    assert objective(reached) > objective(start)
    again = smoothed_ascent(features, residue, start=reached, iterations=1)
    assert objective(again) - objective(reached) < 0.05 * abs(objective(reached))


def test_bits_are_nearly_the_best_signs() -> None:
    """In 2 dimensions all codes sgn(K a) can be listed by turning a: one bit must reach 95 % of the best hᵀ S h."""
    features = whitened(40, 2)
    similarity = similarities((features[:, :1] + 0.3 * features[:, 1:] > 0) == np.array([True, False]))
    weights = greedy_weights(features, similarity, bits=1, iterations=500)
    turns = np.linspace(0, np.pi, 2000)
    signs = np.where(features @ np.stack([np.cos(turns), np.sin(turns)]) >= 0, 1, -1)
    best = np.einsum("it,ij,jt->t", signs, similarity, signs).max()
    found = np.where(features @ weights[:, 0] >= 0, 1, -1)
    assert found @ similarity @ found >= 0.95 * best


def test_each_bit_lowers_the_distance_to_the_similarity() -> None:
    """‖B S − Σ_t h_t h_tᵀ‖ falls with every bit, and the smoothed ascent leaves less of it than the eigenvector."""
    features = whitened(80, 12)
    similarity = similarities(features[:, :4].argmax(axis=1)[:, None] == np.arange(4))

    def left(iterations: int) -> list[float]:
        signs = np.where(features @ greedy_weights(features, similarity, bits=6, iterations=iterations) >= 0, 1, -1)
        return [float(np.linalg.norm(6 * similarity - signs[:, :b] @ signs[:, :b].T)) for b in range(7)]

    assert all(after < before for before, after in itertools.pairwise(left(500)))
    assert left(500)[-1] < left(0)[-1]


def test_kernels_follow_the_published_scale() -> None:
    """2σ² is twice the mean squared distance to the anchors, and each kernel is centred over all vectors."""
    vectors, labels = rings(60)
    method = KSH(3, anchors=7, labelled=20).fit(vectors, labels)
    squared = ((vectors[:, None] - method.anchor_vectors) ** 2).sum(axis=2)
    assert method.scale == pytest.approx(2 * squared.mean())
    kernel = rbf_kernel(vectors, method.anchor_vectors, gamma=1 / method.scale)
    np.testing.assert_allclose(method.mean, kernel.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(method.values(vectors), (kernel - kernel.mean(axis=0)) @ method.projection, atol=1e-9)
    assert {tuple(row) for row in method.anchor_vectors} <= {tuple(row) for row in vectors}
    assert len(np.unique(method.anchor_vectors, axis=0)) == 7


def test_circles_are_told_apart() -> None:
    vectors, labels = rings()
    method = KSH(8, anchors=50, labelled=100).fit(vectors, labels)
    distances = hamming(method.encode(vectors), method.encode(vectors))
    assert distances[labels[:, None] == labels].mean() < 1
    assert distances[labels[:, None] != labels].mean() > 4


def test_repeated_vectors_leave_a_kernel_of_low_rank() -> None:
    """Two distinct vectors, twenty anchors: one dimension is left, and both bits tell the two apart."""
    vectors = np.repeat([[0.0, 1.0], [2.0, 1.0]], 10, axis=0)
    bits = unpack(KSH(2).fit(vectors, np.repeat([0, 1], 10)).encode(vectors[[0, 19]]), 2)
    assert (bits[0] != bits[1]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KSH(2, anchors=0), "must be at least 1, got anchors=0, labelled=1000"),
        (lambda: KSH(2, labelled=0), "must be at least 1, got anchors=300, labelled=0"),
        (lambda: KSH(2, iterations=-1), "iterations must be at least 0, got -1"),
        (lambda: KSH(2).fit(np.ones((4, 2)), np.arange(4)), "must differ from one another, got 4 equal"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_few_labels_of_many_classes_are_learned_beyond_the_sample() -> None:
    """5 labelled vectors a class: ascent in the whitened space, which fits the sample alone, reaches .35."""
    generator, labels = np.random.default_rng(0), np.arange(1200) % 40
    centres = generator.standard_normal((40, 32))
    items, queries = (centres[each] + generator.standard_normal((len(each), 32)) for each in (labels, labels[:200]))
    quantizer = KSH(16, labelled=200, anchors=150).fit(items, labels)
    nearest = hamming(quantizer.encode(queries), quantizer.encode(items)).argsort(axis=1, kind="stable")[:, :10]
    assert (labels[nearest] == labels[:200, None]).mean() > 0.45
