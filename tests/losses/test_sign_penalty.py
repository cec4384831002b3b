"""Distances from the signs: by hand, their gradients, large values."""

import math
from collections.abc import Callable

import pytest
import torch

from dqh.losses import absolute_sign_penalty, cubic_sign_penalty, log_cosh_sign_penalty, squared_sign_penalty

PENALTIES = [cubic_sign_penalty, log_cosh_sign_penalty, absolute_sign_penalty, squared_sign_penalty]


def test_cubic_by_hand() -> None:
    """| |h| − 1 | = 2, 0, 1 and 1/2: (8 + 0 + 1 + 1/8) / 4."""
    assert cubic_sign_penalty(torch.tensor([[3.0, -1.0], [0.0, -1.5]])).item() == pytest.approx(9.125 / 4)


def test_log_cosh_by_hand() -> None:
    """| |h| − 1 | = 2, 0, 1 and 1/2: the mean of log cosh of them."""
    wanted = sum(math.log(math.cosh(x)) for x in (2, 0, 1, 0.5)) / 4
    assert log_cosh_sign_penalty(torch.tensor([[3.0, -1.0], [0.0, -1.5]])).item() == pytest.approx(wanted)


def test_absolute_and_squared_by_hand() -> None:
    """| |h| − 1 | = 2, 0, 1 and 1/2: 3.5 / 4, and (4 + 0 + 1 + 1/4) / 4."""
    embedding = torch.tensor([[3.0, -1.0], [0.0, -1.5]])
    assert absolute_sign_penalty(embedding).item() == pytest.approx(3.5 / 4)
    assert squared_sign_penalty(embedding).item() == pytest.approx(5.25 / 4)


def test_log_cosh_does_not_overflow() -> None:
    """Log cosh x is x − log 2 far out; cosh 999 is no float."""
    assert log_cosh_sign_penalty(torch.tensor([[-1000.0]])).item() == pytest.approx(999 - math.log(2))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_signs_cost_nothing(penalty: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert penalty(torch.tensor([[1.0, -1.0]])).item() == pytest.approx(0, abs=1e-7)  # softplus(0) is log 2, rounded


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient(penalty: Callable[[torch.Tensor], torch.Tensor]) -> None:
    embedding = torch.tensor([[0.3, -0.7, 1.8, -2.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(penalty, embedding)
