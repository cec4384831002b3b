"""The polarization loss, by hand."""

import pytest
import torch

from dqh.losses import polarization_loss


def test_by_hand() -> None:
    """u·t = 3, −½, ½ and 0 with m = 1: 0, 1.5, ½ and 1."""
    embedding, targets = torch.tensor([[3.0, 0.5], [-0.5, 7.0]]), torch.tensor([[1.0, -1.0], [-1.0, 0.0]])
    assert polarization_loss(embedding, targets).item() == pytest.approx(3 / 4)
    assert polarization_loss(embedding, targets, margin=4.0).item() == pytest.approx((1 + 4.5 + 3.5 + 4) / 4)


def test_below_m_over_b_no_bit_is_wrong() -> None:
    """The paper's bound: a wrong bit alone costs m at least, which is m / B of the mean."""
    embedding = torch.tensor([[5.0, 5.0, 5.0, -1e-6]])
    assert polarization_loss(embedding, torch.ones(1, 4)).item() >= 1 / 4


def test_gradient() -> None:
    embedding = torch.tensor([[0.3, -0.7, 1.8, -2.5]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[1.0, 1.0, -1.0, -1.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u: polarization_loss(u, targets), embedding)
