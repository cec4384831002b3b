"""The asymmetric loss by hand; codes of the database against all codes there are."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dqh.losses import asymmetric as module
from dqh.losses import asymmetric_loss, database_codes
from dqh.losses.pairs import Pairs


def test_by_hand() -> None:
    """u = (½, 1) with v = (1, 1) and (1, −1): inner products over B are ¾ and −¼; wanted 1 and −½."""
    pairs = Pairs(
        torch.tensor([[0.5, 1.0]]),
        torch.tensor([[1.0, 1.0], [1.0, -1.0]]),
        torch.tensor([0]),
        torch.tensor([0, 1]),
        torch.ones(1, 2, dtype=torch.bool),
    )
    assert asymmetric_loss(pairs, negative_target=-0.5).item() == pytest.approx((1 / 16 + 1 / 16) / 2)


def objective(codes: Tensor, embedding: Tensor, labels: Tensor, places: Tensor, target: float, weight: float) -> float:
    """Σ_ij (u_i·v_j − B s_ij)² + γ Σ_i |v_i − u_i|², one pair at a time."""
    bits, total = codes.shape[1], 0.0
    for i, place in enumerate(places.tolist()):
        for j in range(len(codes)):
            s = 1.0 if labels[place] == labels[j] else target
            total += float(embedding[i] @ codes[j] - bits * s) ** 2
        total += weight * float((codes[place] - embedding[i]).square().sum())
    return total


@pytest.mark.parametrize("part", [2, 8192])
@pytest.mark.parametrize("target", [-1.0, -0.5])
def test_each_bit_becomes_the_best_for_the_others(part: int, target: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Column k of the answer is the best of all 2^M columns, the columns before it new and those after it old."""
    monkeypatch.setattr(module, "PART", part)
    generator = torch.Generator().manual_seed(1)
    before = torch.randint(2, (5, 3), generator=generator) * 2.0 - 1
    embedding = torch.rand(2, 3, generator=generator) * 2 - 1
    labels, places = torch.tensor([0, 1, 0, 2, 1]), torch.tensor([1, 3])
    about: dict[str, Any] = {"labels": labels, "places": places}
    after = database_codes(before, embedding, **about, negative_target=target, weight=2.0)
    for bit in range(3):
        mixed = torch.cat([after[:, :bit], before[:, bit:]], dim=1)
        values = {}
        for column in product([-1.0, 1.0], repeat=5):
            mixed[:, bit] = torch.tensor(column)
            values[column] = objective(mixed, embedding, labels, places, target, 2.0)
        best = min(values, key=values.__getitem__)
        assert values[tuple(after[:, bit].tolist())] == pytest.approx(values[best])


def test_codes_that_are_given_are_left_alone() -> None:
    codes = torch.ones(2, 1)
    found = database_codes(
        codes,
        torch.tensor([[-0.5]]),
        labels=torch.tensor([0, 1]),
        places=torch.tensor([0]),
        negative_target=-1.0,
        weight=1.0,
    )
    assert (found.tolist(), codes.tolist()) == ([[-1], [1]], [[1], [1]])


def test_a_bit_that_nothing_speaks_for_stays() -> None:
    found = database_codes(
        torch.tensor([[-1.0], [1.0]]),
        torch.tensor([[0.0]]),
        labels=torch.tensor([0, 1]),
        places=torch.tensor([0]),
        negative_target=-1.0,
        weight=1.0,
    )
    assert found.tolist() == [[-1], [1]]
