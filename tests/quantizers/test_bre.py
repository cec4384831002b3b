"""Binary reconstructive embeddings against the sum they lower, written as loops."""

import itertools

import numpy as np
import pytest

from dqh.quantizers.bre import BRE, best_step, reconstructing_weights


def objective(kernels: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> float:
    """Σ_ij (d_ij − (1 / B) Σ_b (h_bi − h_bj)²)², bits h of 0 and 1, pair by pair."""
    bits, rows, _ = kernels.shape
    total = 0.0
    for i, j in itertools.product(range(rows), repeat=2):
        distance = 0.0
        for b in range(bits):
            one, other = (int(kernels[b, row] @ weights[b] >= 0) for row in (i, j))
            distance += (one - other) ** 2
        total += (wanted[i, j] - distance / bits) ** 2
    return total


def problem(rows: int = 12, bits: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    kernels, start = generator.standard_normal((bits, rows, 4)), generator.standard_normal((bits, 4))
    labels = generator.integers(0, 3, rows)
    return kernels, (labels[:, None] != labels).astype(float), start


def test_no_pass_raises_the_sum_and_the_first_lowers_it() -> None:
    kernels, wanted, start = problem()
    sums = [
        objective(kernels, reconstructing_weights(kernels, wanted, start=start, iterations=passes), wanted)
        for passes in range(4)
    ]
    assert sums[1] < sums[0]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(sums))


def test_one_weight_is_set_to_the_best_of_all_values() -> None:
    """One bit, one anchor: its weight has as many codes as thresholds, and all are tried by the sum itself."""
    generator = np.random.default_rng(2)
    kernels = np.concatenate([generator.standard_normal((1, 9, 1)), np.ones((1, 9, 1))], axis=2)
    wanted = np.abs(generator.standard_normal((9, 9)))
    wanted = np.triu(wanted, 1) + np.triu(wanted, 1).T
    start = np.array([[0.3, 0.2]])
    form = 1 - 2 * wanted  # 1 / B² − 2 r / B of one bit
    np.fill_diagonal(form, 0)
    step = best_step(kernels[0] @ start[0], kernels[0, :, 0], form)
    tried = np.linspace(-20, 20, 401)
    lowest = min(objective(kernels, start + np.array([[value, 0]]), wanted) for value in tried)
    assert objective(kernels, start + np.array([[step, 0]]), wanted) <= lowest + 1e-9


def test_a_column_of_zeros_moves_nothing() -> None:
    assert best_step(np.ones(3), np.zeros(3), np.zeros((3, 3))) == 0


def test_codes_tell_classes_apart() -> None:
    """Three classes on axes: neighbours by the codes have the label of the query."""
    generator, labels = np.random.default_rng(0), np.arange(90) % 3
    vectors = (4 * np.eye(5)[labels] + generator.standard_normal((90, 5))).astype(np.float32)
    method = BRE(16, anchors=20).fit(vectors, labels)
    bits = np.unpackbits(method.encode(vectors), axis=1).astype(int)
    distances = (bits[:, None] != bits).sum(2)
    same = labels[:, None] == labels
    assert distances[same].mean() < 0.5 * distances[~same].mean()
    assert method.projection.shape == (5, 16)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BRE(2, anchors=0), "must be at least 1, got anchors=0, labelled=500"),
        (lambda: BRE(2, labelled=0), "must be at least 1, got anchors=50, labelled=0"),
        (lambda: BRE(2, iterations=-1), "iterations must be at least 0, got -1"),
        (lambda: BRE(2).fit(np.eye(3)), "labels are needed by a supervised method"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
