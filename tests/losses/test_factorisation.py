"""Codes by factorising similarities: against the objective of the paper, one value at a time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.losses import factorisation as module
from dqh.losses.factorisation import similarity_codes


def objective(codes: NDArray[np.float64], sets: NDArray[np.bool_], counts: NDArray[np.int64]) -> float:
    """Σ over all pairs of images, of which `counts` have each set, of (s − h·h' / B)²."""
    rows = np.repeat(np.arange(len(sets)), counts)
    total = 0.0
    for a in rows:
        for b in rows:
            s = 1.0 if a == b or (sets[a] & sets[b]).any() else -1.0
            total += (s - codes[a] @ codes[b] / codes.shape[1]) ** 2
    return total


SETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
COUNTS = np.array([3, 1, 2, 1])


def test_a_pass_lowers_the_objective() -> None:
    rng = np.random.default_rng(0)
    codes = rng.uniform(-1, 1, (4, 6))
    values = [objective(codes, SETS, COUNTS)]
    for _ in range(3):
        for row in range(4):
            module._descend(codes, row, np.where(SETS @ SETS[row], 1.0, -1.0), COUNTS / COUNTS.mean())
            values.append(objective(codes, SETS, COUNTS))
    assert values[-1] < 0.3 * values[0]
    assert np.abs(codes).max() <= 1


def test_a_value_moves_by_newtons_step() -> None:
    """The first bit of the first code, by the derivatives of the objective from differences."""
    rng = np.random.default_rng(3)
    codes = rng.uniform(-0.5, 0.5, (4, 1))

    def at(value: float) -> float:
        changed = codes.copy()
        changed[1, 0] = value
        return objective(changed, SETS, COUNTS)

    old, h = codes[1, 0], 1e-4
    slope = (at(old + h) - at(old - h)) / (2 * h)
    curvature = (at(old + h) - 2 * at(old) + at(old - h)) / h**2
    moved = codes.copy()
    module._descend(moved, 1, np.where(SETS @ SETS[1], 1.0, -1.0), COUNTS / COUNTS.mean())
    if curvature > 0:
        assert moved[1, 0] == pytest.approx(np.clip(old - slope / curvature, -1, 1), abs=1e-3)
    else:
        assert moved[1, 0] == -np.sign(slope)


def test_four_classes_get_codes_of_their_own_that_agree_in_fewer_than_half_of_their_bits() -> None:
    """Of C equal classes the mean inner product is −B / (C − 1) at best, here −4."""
    codes = similarity_codes(np.eye(4, dtype=bool), np.full(4, 5), bits=12, seed=0)
    products = codes @ codes.T
    assert set(np.unique(codes)) == {-1, 1}
    assert products[~np.eye(4, dtype=bool)].mean() == pytest.approx(-4, abs=1)
    assert products[~np.eye(4, dtype=bool)].max() <= 0


def test_sets_with_a_label_in_common_are_near() -> None:
    codes = similarity_codes(SETS, COUNTS, bits=16, seed=1)
    assert codes[0] @ codes[1] > 8
    assert codes[0] @ codes[2] < 0


def test_the_seed_decides() -> None:
    first, again, other = (similarity_codes(SETS, COUNTS, bits=16, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("count", [0, 3])
def test_numbers_of_sets_that_are_refused(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SETS", 2)
    with pytest.raises(ValueError, match=rf"wanted 1 … 2 different sets of labels .* got {count}"):
        similarity_codes(np.eye(3, dtype=bool)[:count], np.ones(count, int), bits=4, seed=0)
