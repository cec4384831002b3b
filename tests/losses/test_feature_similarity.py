"""Cosines of codes against those of features: by hand, and their gradient."""

import pytest
import torch

from dqh.losses.feature_similarity import feature_similarity_loss


def test_by_hand() -> None:
    """Codes (1, 1), (1, −1), (1, 1): cosines 0, 1, 0. Features (1, 0), (2, 0), (0, 3): cosines 1, 0, 0.

    Pairs 01, 02, 12 differ by 1, 1 and 0: 2 / 3 over pairs, and over ordered ones.
    """
    codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    features = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    assert feature_similarity_loss(codes, features).item() == pytest.approx(2 / 3)


def test_a_single_image_has_no_pair() -> None:
    assert feature_similarity_loss(torch.ones(1, 2), torch.ones(1, 3)).item() == 0


def test_gradient() -> None:
    codes = torch.tensor([[0.3, -0.7], [1.8, 0.5], [-0.4, 0.9]], dtype=torch.float64, requires_grad=True)
    features = torch.tensor([[1.0, 0.2], [0.4, -1.0], [0.3, 0.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda moved: feature_similarity_loss(moved, features.detach()), codes)
    feature_similarity_loss(codes, features).backward()
    assert features.grad is None


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(N, B\) and \(N, F\), got shapes \(2, 2\) and \(3, 2\)"):
        feature_similarity_loss(torch.ones(2, 2), torch.ones(3, 2))
