"""Softmax over cosines: by hand, its gradient, several labels."""

import math

import pytest
import torch

from dqh.losses import margin_cosine_loss

CENTRES = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])


def test_by_hand() -> None:
    """(2, 2) has the cosines 1, 0, −1; with s = 2, m = ½ and class 0 the scores are 2(1 − ½) = 1, 0, −2."""
    loss = margin_cosine_loss(torch.tensor([[2.0, 2.0]]), torch.tensor([0]), centres=CENTRES, scale=2, margin=0.5)
    assert loss.item() == pytest.approx(-math.log(math.e / (math.e + 1 + math.exp(-2))))


def test_several_labels_by_hand() -> None:
    """The same image with classes 0 and 1: scores 1, −1, −2, half the target each; an image without a label costs 0."""
    labels = torch.tensor([[True, True, False], [False, False, False]])
    loss = margin_cosine_loss(torch.full((2, 2), 2.0), labels, centres=CENTRES, scale=2, margin=0.5)
    total = math.exp(1) + math.exp(-1) + math.exp(-2)
    assert loss.item() == pytest.approx(-0.5 * (math.log(math.exp(1) / total) + math.log(math.exp(-1) / total)) / 2)


def test_one_of_several_labels_is_a_single_label() -> None:
    embedding = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6) % 3
    several = torch.eye(3, dtype=torch.bool)[labels]
    one = margin_cosine_loss(embedding, labels, centres=CENTRES)
    assert margin_cosine_loss(embedding, several, centres=CENTRES).item() == pytest.approx(one.item())


def test_the_length_of_an_embedding_does_not_matter() -> None:
    embedding, labels = torch.tensor([[0.3, -0.1]]), torch.tensor([1])
    one = margin_cosine_loss(embedding, labels, centres=CENTRES)
    assert margin_cosine_loss(7 * embedding, labels, centres=CENTRES).item() == pytest.approx(one.item(), rel=1e-6)


@pytest.mark.parametrize("labels", [torch.tensor([0, 2, 1]), torch.eye(3, dtype=torch.bool)])
def test_gradient(labels: torch.Tensor) -> None:
    embedding = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: margin_cosine_loss(x, labels, centres=CENTRES), embedding)
