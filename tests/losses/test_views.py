"""Losses of two views: by hand, by plain loops, and their gradients."""

import math

import pytest
import torch

from dqh.losses.views import bernoulli_divergence, code_alignment_loss, coding_rate, nt_xent_loss


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_contrast_by_plain_loops() -> None:
    """For each of 2N views, −log of exp(cos / τ) of its other view over the sum of all but itself."""
    first, second = drawn(3, 4), drawn(6, 4)[3:]
    rows, total = [*first, *second], 0.0
    for i, row in enumerate(rows):
        scores = [math.exp(float(torch.cosine_similarity(row, other, dim=0)) / 0.3) for other in rows]
        total -= math.log(scores[(i + 3) % 6] / (sum(scores) - scores[i]))
    assert nt_xent_loss(first, second, temperature=0.3).item() == pytest.approx(total / 6)


def test_divergence_by_its_definition() -> None:
    first, second = drawn(4, 3)[:2], drawn(4, 3)[2:]
    p, q = torch.sigmoid(first), torch.sigmoid(second)

    def divergence(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one * (one / other).log() + (1 - one) * ((1 - one) / (1 - other)).log()

    wanted = (divergence(p, q) + divergence(q, p)).sum(1).mean() / 2
    assert bernoulli_divergence(first, second).item() == pytest.approx(wanted.item())
    assert bernoulli_divergence(torch.full((1, 1), 500.0), torch.full((1, 1), -500.0)).item() == 500


def test_alignment_by_hand() -> None:
    """Logits 0 and 3 against the codes 1 and 0 of 3 and 0: (log 2 + log(1 + e³)) / 2."""
    found = code_alignment_loss(torch.tensor([[0.0]]), torch.tensor([[3.0]])).item()
    assert found == pytest.approx((math.log(2) + math.log(1 + math.exp(3))) / 2)


def test_the_rate_by_eigenvalues_and_that_it_rewards_spread() -> None:
    """½ Σ log(1 + D / (N ε²) λ) over the eigenvalues λ of ZᵀZ."""
    embedding = drawn(5, 3)
    unit = embedding / embedding.norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(unit.T @ unit)
    wanted = 0.5 * (1 + 3 / (5 * 0.25) * values).log().sum()
    assert coding_rate(embedding, precision=0.5).item() == pytest.approx(wanted.item())
    assert coding_rate(torch.eye(3), precision=0.5) > coding_rate(torch.ones(3, 3), precision=0.5)


def test_gradients() -> None:
    first, second = drawn(3, 2).requires_grad_(), drawn(6, 2)[3:].requires_grad_()
    assert torch.autograd.gradcheck(lambda u, v: nt_xent_loss(u, v, temperature=0.5), (first, second))
    assert torch.autograd.gradcheck(bernoulli_divergence, (first, second))
    assert torch.autograd.gradcheck(code_alignment_loss, (first, second))
    assert torch.autograd.gradcheck(lambda u: coding_rate(u, precision=0.5), (first,))


def test_shapes_that_do_not_fit() -> None:
    for loss in (bernoulli_divergence, code_alignment_loss):
        with pytest.raises(ValueError, match=r"of the same images, got shapes \(2, 2\) and \(3, 2\)"):
            loss(torch.ones(2, 2), torch.ones(3, 2))
