"""Pairs: which there are, their products and distances, means; and the gradient of every loss over them."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from dqh.losses import (
    asymmetric_loss,
    cauchy_loss,
    contrastive_loss,
    pair_likelihood_loss,
    soft_similarity_loss,
    triplet_likelihood_loss,
)
from dqh.losses.pairs import Pairs, within
from dqh.losses.precision import wide

CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])
SEVERAL = torch.tensor([[True, True, False], [True, False, False], [False, False, True], [True, True, False]])
LOSSES: list[Callable[[Pairs], Tensor]] = [
    partial(contrastive_loss, margin=3.0),
    partial(pair_likelihood_loss, scale=0.5),
    partial(pair_likelihood_loss, scale=0.5, margin=2.0, balanced=True),
    partial(triplet_likelihood_loss, scale=0.5, margin=1.0),
    partial(cauchy_loss, scale=2.0),
    partial(soft_similarity_loss, scale=0.5, soft_weight=0.7),
    partial(asymmetric_loss, negative_target=-0.5),
]


def test_products_distances_and_pairs() -> None:
    """⟨(1, 1), (−1, 1)⟩ = 0 at the squared distance 4; the diagonal is no pair."""
    pairs = within(CODES, LABELS)
    assert pairs.products().tolist() == [[2, 1, 0], [1, 1, -1], [0, -1, 2]]
    assert pairs.distances().tolist() == [[0, 1, 4], [1, 0, 5], [4, 5, 0]]
    assert pairs.counted.tolist() == [[False, True, True], [True, False, True], [True, True, False]]
    assert pairs.similar().tolist() == [[True, True, False], [True, True, False], [False, False, True]]


def test_means() -> None:
    """Costs 0 … 8 by rows: of all pairs (1 + 2 + 3 + 5 + 6 + 7) / 6; balanced ½ (1 + 3) / 2 + ½ (2 + 5 + 6 + 7) / 4."""
    pairs, costs = within(CODES, LABELS), torch.arange(9.0).view(3, 3)
    assert pairs.mean(costs).item() == 4
    assert pairs.mean(costs, balanced=True).item() == 3.5


@pytest.mark.parametrize("balanced", [False, True])
def test_a_kind_that_does_not_occur_leaves_everything_to_the_other(balanced: bool) -> None:
    costs = torch.tensor([[9.0, 1.0], [3.0, 9.0]])
    for labels in (torch.tensor([0, 0]), torch.tensor([0, 1])):
        assert within(CODES[:2], labels).mean(costs, balanced=balanced).item() == 2
    assert within(CODES[:1], LABELS[:1]).mean(torch.tensor([[9.0]]), balanced=balanced).item() == 0


def test_half_precision_becomes_float32() -> None:
    assert [wide(torch.zeros(1, dtype=kind)).dtype for kind in (torch.float16, torch.bfloat16, torch.float64)] == [
        torch.float32,
        torch.float32,
        torch.float64,
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert within(CODES.bfloat16(), LABELS).products().dtype == torch.float32


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("number", range(len(LOSSES)))
def test_gradients(number: int, several: bool) -> None:
    """Within a batch, where both images of a pair move, and of a batch with others, which stay."""
    generator = torch.Generator().manual_seed(number)
    codes = (torch.rand(4, 3, dtype=torch.float64, generator=generator) * 2 - 1).requires_grad_()
    others = torch.rand(4, 3, dtype=torch.float64, generator=generator) * 2 - 1
    labels = SEVERAL if several else torch.tensor([0, 1, 0, 1])
    counted = torch.tensor([[True, True, True, False]] * 4)
    loss = LOSSES[number]
    assert torch.autograd.gradcheck(lambda u: loss(within(u, labels)), codes)
    assert torch.autograd.gradcheck(lambda u: loss(Pairs(u, others, labels, labels, counted)), codes)


@pytest.mark.parametrize("number", range(len(LOSSES)))
def test_one_image_is_no_pair(number: int) -> None:
    codes = torch.rand(1, 3, requires_grad=True)
    value = LOSSES[number](within(codes, torch.tensor([2])))
    value.backward()
    assert value.item() == 0
    assert not codes.grad.any()


@pytest.mark.parametrize("number", range(len(LOSSES)))
def test_equal_codes_have_finite_gradients(number: int) -> None:
    """Of the same image twice, and of images without direction."""
    for value in (1.0, 0.0):
        codes = torch.full((3, 4), value, requires_grad=True)
        loss = LOSSES[number](within(codes, LABELS))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(codes.grad).all()


@pytest.mark.parametrize("number", range(len(LOSSES)))
def test_large_values_stay_finite(number: int) -> None:
    codes = (1000 * CODES).requires_grad_()
    loss = LOSSES[number](within(codes, LABELS))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(codes.grad).all()
