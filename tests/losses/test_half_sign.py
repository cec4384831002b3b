"""The bi-half layer: balanced codes forwards, a pull to them backwards."""

import itertools

import pytest
import torch

from dqh.losses.half_sign import half_sign


@pytest.mark.parametrize("rows", [4, 5])
def test_the_balanced_code_nearest_to_the_embedding(rows: int) -> None:
    """Of all choices of ⌊N / 2⌋ ones in a column, that with the largest inner product."""
    embedding = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    codes = half_sign(embedding, gamma=1.0)
    for column, found in zip(embedding.T, codes.T, strict=True):
        choices = []
        for ones in itertools.combinations(range(rows), rows // 2):
            signs = -torch.ones(rows)
            signs[list(ones)] = 1
            choices.append(signs)
        best = max(choices, key=lambda signs: float(signs @ column))
        assert torch.equal(found, best)


def test_the_gradient_by_hand() -> None:
    """U = (3, 1), V = (1, −1), N · B = 2: g + 6 (2, 2) / 2."""
    embedding = torch.tensor([[3.0], [1.0]], requires_grad=True)
    half_sign(embedding, gamma=6.0).backward(torch.tensor([[0.5], [0.25]]))
    assert embedding.grad.tolist() == [[6.5], [6.25]]
