"""Soft assignments: by hand, and their gradients."""

import pytest
import torch

from dqh.losses.soft_codewords import central_loss, gini_of_batch, gini_of_images

SHARES = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
"""Two images, two subspaces, two words: in the first subspace each has a word of its own, in the second none has."""


def test_gini_by_hand() -> None:
    """Over the batch all words are used alike, ½; images are decided in the first subspace alone: (1 + ½) / 2."""
    assert gini_of_batch(SHARES).item() == 0.5
    assert gini_of_images(SHARES).item() == 0.75


def test_the_centre_by_hand() -> None:
    """Squares 1 and 4 of the first image, 0 and 9 of the second: 14 / 2 images / 2."""
    first, second = torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 2.0], [1.0, 4.0]])
    assert central_loss(first, second, torch.tensor([[1.0, 0.0], [1.0, 1.0]])).item() == pytest.approx(3.5)


def test_gradients() -> None:
    shares = SHARES.double().requires_grad_()
    assert torch.autograd.gradcheck(gini_of_batch, shares)
    assert torch.autograd.gradcheck(gini_of_images, shares)
    drawn = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(central_loss, drawn)
