"""The likelihood of pairs: by hand, against loops, its gradient."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dqh.losses import pairwise_likelihood_loss


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_by_hand() -> None:
    """Codes (1, 1), (1, 0), (−1, 1) of classes 0, 0, 1; α = 2.

    Inner products 1, 0 and −1, times 2: x = 2 for the similar pair, which costs log(1 + e²) − 2; 0 and −2 for the
    others, which cost log 2 and log(1 + e⁻²). Either kind counts half: ½ [similar] + ½ [mean of the others].
    """
    codes = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
    loss = pairwise_likelihood_loss(codes, torch.tensor([0, 0, 1]), scale=2.0)
    wanted = 0.5 * (softplus(2) - 2) + 0.5 * (softplus(0) + softplus(-2)) / 2
    assert loss.item() == pytest.approx(wanted)


def test_several_labels_by_hand() -> None:
    """Labels {0, 1}, {1, 2}, {3}: the first pair shares one of three labels, c = 1/3; at x = 0 a pair costs log 2."""
    labels = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    loss = pairwise_likelihood_loss(torch.zeros(3, 2), labels, scale=1.0)
    assert loss.item() == pytest.approx((0.5 / 3 + 0.5) * math.log(2))


@given(seed=st.integers(0, 10**6), count=st.integers(2, 6), several=st.booleans())
def test_against_loops(seed: int, count: int, several: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.rand(count, 3, generator=generator, dtype=torch.float64) * 2 - 1
    labels = (
        torch.rand(count, 3, generator=generator) < 0.4 if several else torch.randint(3, (count,), generator=generator)
    )
    assert pairwise_likelihood_loss(codes, labels, scale=0.7).item() == pytest.approx(looped(codes, labels, 0.7))


def looped(codes: Tensor, labels: Tensor, scale: float) -> float:
    """Eq. 2 and 4 a pair at a time; where only one kind of pair occurs, it has all the weight."""
    costs: dict[bool, list[float]] = {True: [], False: []}
    for i in range(len(codes)):
        for j in range(len(codes)):
            if i == j:
                continue
            one, other = (set(torch.nonzero(torch.atleast_1d(labels[k])).flatten().tolist()) for k in (i, j))
            similar = bool(one & other) if labels.ndim == 2 else bool(labels[i] == labels[j])
            x = scale * float(codes[i] @ codes[j])
            share = len(one & other) / len(one | other) if similar and labels.ndim == 2 else 1.0
            costs[similar].append(share * (softplus(x) - similar * x))
    means = [sum(values) / len(values) for values in costs.values() if values]
    return sum(means) / len(means)


def test_large_products_stay_finite() -> None:
    """x = ±1000: an agreeing similar pair costs 0, an agreeing dissimilar pair 1000."""
    codes = torch.full((2, 1), 1.0, requires_grad=True)
    assert pairwise_likelihood_loss(codes, torch.tensor([0, 0]), scale=1000.0).item() == 0
    loss = pairwise_likelihood_loss(codes, torch.tensor([0, 1]), scale=1000.0)
    loss.backward()
    assert loss.item() == pytest.approx(1000)
    assert torch.isfinite(codes.grad).all()


def test_one_image_is_no_pair() -> None:
    codes = torch.rand(1, 4, requires_grad=True)
    loss = pairwise_likelihood_loss(codes, torch.tensor([2]), scale=1.0)
    loss.backward()
    assert loss.item() == 0
    assert not codes.grad.any()


@pytest.mark.parametrize("labels", [torch.tensor([0, 0, 1, 2]), torch.eye(4, 3, dtype=torch.bool)])
def test_gradient(labels: Tensor) -> None:
    codes = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pairwise_likelihood_loss(x, labels, scale=0.5), codes)
