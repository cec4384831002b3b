"""The likelihood of pairs: by hand, against loops, its gradient."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dqh.losses import likelihood as module
from dqh.losses import pair_likelihood_loss, pairwise_likelihood_loss, triplet_likelihood_loss
from dqh.losses.pairs import within


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


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])


def test_pairs_by_hand() -> None:
    """Inner products 1 (similar), 0 and −1, times 2; the margin 3 is added to what is wrong with a pair."""
    pairs = within(CODES, torch.tensor([0, 0, 1]))
    for margin in (0, 3):
        costs = [softplus(margin - 2), softplus(margin), softplus(margin - 2)]
        found = pair_likelihood_loss(pairs, scale=2.0, margin=margin)
        assert found.item() == pytest.approx(sum(costs) / 3)
        balanced = pair_likelihood_loss(pairs, scale=2.0, margin=margin, balanced=True)
        assert balanced.item() == pytest.approx(costs[0] / 2 + (costs[1] + costs[2]) / 4)


def test_balanced_pairs_of_single_labels_cost_what_those_of_hashnet_do() -> None:
    codes, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(4)), torch.tensor([0, 1, 1, 2, 0, 0])
    found = pair_likelihood_loss(within(codes, labels), scale=0.7, balanced=True)
    assert found.item() == pytest.approx(pairwise_likelihood_loss(codes, labels, scale=0.7).item(), rel=1e-5)


def test_triplets_by_hand() -> None:
    """The first image: x⁺ = 1, x⁻ = 0; the second: 1 and −1; the third has no similar one. α = 2, m = 3."""
    found = triplet_likelihood_loss(within(CODES, torch.tensor([0, 0, 1])), scale=2.0, margin=3.0)
    assert found.item() == pytest.approx((softplus(3 - 2 + 0) + softplus(3 - 2 - 2)) / 2)


@pytest.mark.parametrize("several", [False, True])
def test_all_triplets_against_loops(several: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    codes = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    labels = torch.rand(7, 3, generator=generator) < 0.4 if several else torch.tensor([0, 1, 1, 0, 2, 0, 1])
    assert triplet_likelihood_loss(within(codes, labels), scale=0.5, margin=1.0).item() == pytest.approx(
        sum(triplets(codes, labels)) / len(triplets(codes, labels))
    )


def triplets(codes: Tensor, labels: Tensor) -> list[float]:
    """What each costs."""
    sets = [
        set(torch.nonzero(torch.atleast_1d(row)).flatten().tolist()) if labels.ndim == 2 else {int(row)}
        for row in labels
    ]
    others = range(len(codes))
    return [
        softplus(float(1 - 0.5 * codes[q] @ codes[p] + 0.5 * codes[q] @ codes[n]))
        for q in others
        for p in others
        for n in others
        if q not in (p, n) and sets[q] & sets[p] and not sets[q] & sets[n]
    ]


def test_of_many_images_each_meets_the_similar_ones_that_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one: of images 0, 0, 0, 1 the first meets the second, the second the third, the third the first."""
    monkeypatch.setattr(module, "TRIPLETS", 16)
    codes, labels = torch.tensor([[1.0], [2.0], [4.0], [-1.0]]), torch.tensor([0, 0, 0, 1])
    found = triplet_likelihood_loss(within(codes, labels), scale=1.0, margin=0.0)
    costs = [softplus(-1 * (2 + 1)), softplus(-2 * (4 + 1)), softplus(-4 * (1 + 1))]
    assert found.item() == pytest.approx(sum(costs) / 3)
