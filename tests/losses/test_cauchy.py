"""Cauchy distributions of distances, by hand."""

import math

import pytest
import torch

from dqh.losses import cauchy_loss, cauchy_sign_penalty
from dqh.losses.pairs import within

CODES = torch.tensor([[1.0, 1.0], [2.0, 0.0], [-1.0, -1.0]])
LABELS = torch.tensor([0, 0, 1])


def test_by_hand() -> None:
    """With B = 2, d = 1 − cos: 1 − 1/√2 (similar), 2 and 1 + 1/√2. γ = 3; half of the weight for either kind."""
    loss = cauchy_loss(within(CODES, LABELS), scale=3.0)
    near, far, middle = 1 - math.sqrt(0.5), 2.001, 1.001 + math.sqrt(0.5)
    wanted = math.log(1 + near / 3) / 2 + (math.log(1 + 3 / far) + math.log(1 + 3 / middle)) / 4
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_it_is_eq_8_of_the_paper() -> None:
    """s·log(d / γ) + log(1 + γ / d), for s = 1 and s = 0, at d = 1."""
    codes = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    for label, wanted in ((0, math.log(1 / 3) + math.log(4)), (1, math.log(4))):
        loss = cauchy_loss(within(codes, torch.tensor([0, label])), scale=3.0)
        assert loss.item() == pytest.approx(wanted, rel=1e-3)


def test_dissimilar_images_that_nearly_coincide_are_pushed_apart() -> None:
    codes = torch.tensor([[1.0, 1.0], [1.0, 0.999]], requires_grad=True)
    cauchy_loss(within(codes, torch.tensor([0, 1])), scale=20.0).backward()
    assert codes.grad[1, 1] > 0  # down the gradient, away from the other
    assert codes.grad.abs().max() < 1000


def test_the_penalty_by_hand() -> None:
    """(½, −½) is a corner but for its length; (2, 0) has the cosine 1/√2 with (1, 1): d = 1 − 1/√2."""
    penalty = cauchy_sign_penalty(torch.tensor([[0.5, -0.5], [2.0, 0.0]]), scale=0.5)
    assert penalty.item() == pytest.approx(math.log(1 + (1 - math.sqrt(0.5)) / 0.5) / 2, rel=1e-5)


def test_the_gradient_of_the_penalty() -> None:
    codes = torch.tensor([[0.3, -0.7, 1.8], [0.5, 0.1, -0.9]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: cauchy_sign_penalty(u, scale=2.0), codes)
