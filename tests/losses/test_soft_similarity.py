"""Soft similarity of images with several labels, by hand."""

import math

import pytest
import torch

from dqh.losses import pair_likelihood_loss, soft_similarity_loss
from dqh.losses.pairs import within

CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_by_hand() -> None:
    """Labels {0, 1}, {0}, {2}: s = 1/√2, 0 and 0; inner products 1, 0 and −1.

    The first pair wants (1 + 2) / 2 = 2/√2 bits to agree: γ (1.5 − √2)² / 2. The others cost log(1 + e^(αx)).
    """
    labels = torch.tensor([[True, True, False], [True, False, False], [False, False, True]])
    loss = soft_similarity_loss(within(CODES, labels), scale=2.0, soft_weight=3.0)
    assert loss.item() == pytest.approx((3 * (1.5 - math.sqrt(2)) ** 2 / 2 + softplus(0) + softplus(-2)) / 3, rel=1e-5)


def test_equal_sets_of_labels_are_hard_pairs() -> None:
    """Three labels each, whose cosine 3 / √(3 · 3) need not be 1 in floating point: log(1 + eˣ) − x at x = 1."""
    labels = torch.tensor([[True, True, True], [True, True, True]])
    loss = soft_similarity_loss(within(CODES[:2], labels), scale=1.0, soft_weight=100.0)
    assert loss.item() == pytest.approx(softplus(-1))


def test_codes_that_agree_as_wanted_cost_nothing() -> None:
    """s = ½ of {0, 1} and {1, 2}: one of two bits."""
    labels = torch.tensor([[True, True, False], [False, True, True]])
    codes = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert soft_similarity_loss(within(codes, labels), scale=0.5, soft_weight=1.0).item() == pytest.approx(0, abs=1e-9)


def test_single_labels_have_the_likelihood_alone() -> None:
    pairs = within(CODES, torch.tensor([0, 0, 1]))
    found = soft_similarity_loss(pairs, scale=0.5, soft_weight=7.0)
    assert found.item() == pytest.approx(pair_likelihood_loss(pairs, scale=0.5).item())


def test_images_without_labels_are_dissimilar_to_all() -> None:
    labels = torch.zeros(2, 3, dtype=torch.bool)
    loss = soft_similarity_loss(within(CODES[:2], labels), scale=1.0, soft_weight=1.0)
    assert loss.item() == pytest.approx(softplus(1))
