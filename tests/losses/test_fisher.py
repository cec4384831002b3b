"""Centres of deep Fisher hashing: their step against autograd's, what they come to, the targets by hand."""

import pytest
import torch
from torch import Tensor

from dqh.losses import fisher_centres, fisher_targets


def objective(centres: Tensor, targets: Tensor, members: Tensor, between: float, sign: float) -> Tensor:
    """As the paper has it, means in place of sums."""
    bits = centres.shape[1]
    apart = centres @ centres.T - bits * (2 * torch.eye(len(centres)) - 1)
    rounding = centres - centres.detach().sign()
    error = members @ centres - targets
    return error.square().mean() + between * apart.square().mean() + sign * rounding.square().mean()


@pytest.mark.parametrize("several", [False, True])
def test_a_step_goes_down_the_gradient(several: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = (torch.rand(3, 4, generator=generator) * 2 - 1).requires_grad_()
    targets = torch.randint(2, (5, 4), generator=generator) * 2.0 - 1
    labels = torch.rand(5, 3, generator=generator) < 0.5 if several else torch.tensor([0, 1, 2, 1, 0])
    members = labels.float() if several else torch.nn.functional.one_hot(labels, 3).float()
    objective(centres, targets, members, 0.7, 0.3).backward()
    moved = fisher_centres(centres.detach(), targets, labels, between=0.7, sign=0.3, rounds=1) - centres.detach()
    assert torch.nn.functional.cosine_similarity(-moved.flatten(), centres.grad.flatten(), dim=0) > 0.9999


def test_many_steps_lower_the_objective_and_stay_small() -> None:
    generator = torch.Generator().manual_seed(2)
    centres, labels = torch.rand(10, 32, generator=generator), torch.arange(40) % 10
    targets = torch.randint(2, (40, 32), generator=generator) * 2.0 - 1
    members = torch.nn.functional.one_hot(labels, 10).float()
    values = [objective(centres, targets, members, 1.0, 1.0).item()]
    for _ in range(5):
        centres = fisher_centres(centres, targets, labels, between=1.0, sign=1.0, rounds=20)
        values.append(objective(centres, targets, members, 1.0, 1.0).item())
    assert values == sorted(values, reverse=True)
    assert centres.abs().max() < 4


def test_within_alone_centres_become_the_means_of_their_class() -> None:
    """Two images (1, 1) and (1, −1) of the class: (1, 0)."""
    targets = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    centres = fisher_centres(torch.zeros(1, 2), targets, torch.tensor([0, 0]), between=0.0, sign=0.0, rounds=1)
    assert centres.tolist() == [[1, 0]]


def test_targets_by_hand() -> None:
    """Both centres add to (1, 0) times μ = .5: .4 is pushed nowhere, −.4 over 0; without labels it is the sign."""
    centres = torch.tensor([[0.2, 0.9], [0.1, -0.9]])
    labels = torch.tensor([[True, True], [False, False]])
    embedding = torch.tensor([[-0.4, -0.4], [-0.4, 0.4]])
    assert fisher_targets(embedding, centres, labels, pull=0.5).tolist() == [[1, -1], [-1, 1]]
    assert fisher_targets(embedding[:1], centres, torch.tensor([1]), pull=0.5).tolist() == [[1, -1]]
