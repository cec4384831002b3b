"""Cross-entropy to the centres: by hand, against torch, its gradient."""

import math

import pytest
import torch
from torch.nn import functional

from dqh.losses import central_similarity_loss


def test_by_hand() -> None:
    """½(1 + u·c): ¾ where u = ½ agrees, ¼ where it does not, ½ at 0, whatever the target: the mean of −log."""
    loss = central_similarity_loss(torch.tensor([[0.5, 0.5], [0.0, 0.0]]), torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4) + 2 * math.log(2)) / 4)


def test_it_is_the_binary_cross_entropy_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    embedding = torch.rand(5, 8, generator=generator) * 2 - 1
    targets = torch.randint(2, (5, 8), generator=generator) * 2.0 - 1
    wanted = functional.binary_cross_entropy((1 + embedding) / 2, (1 + targets) / 2)
    assert central_similarity_loss(embedding, targets).item() == pytest.approx(wanted.item())


def test_nothing_to_agree_with_has_no_gradient() -> None:
    embedding = torch.tensor([[0.5, -0.9]], requires_grad=True)
    loss = central_similarity_loss(embedding, torch.zeros(1, 2))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert not embedding.grad.any()


def test_saturated_on_the_wrong_side_stays_finite() -> None:
    loss = central_similarity_loss(torch.tensor([[1.0]]), torch.tensor([[-1.0]]))
    assert loss.item() == pytest.approx(-math.log(torch.finfo(torch.float32).eps))


def test_gradient() -> None:
    embedding = torch.tensor([[0.2, -0.6, 0.9]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1.0, 1.0, -1.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: central_similarity_loss(x, targets), embedding)
