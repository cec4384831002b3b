"""The contrastive loss of DSH, by hand."""

import pytest
import torch

from dqh.losses import contrastive_loss
from dqh.losses.pairs import within

CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def test_by_hand() -> None:
    """Squared distances 1 (similar), 4 and 5 (dissimilar); with m = 4.5 they cost ½, ¼ and 0."""
    assert contrastive_loss(within(CODES, LABELS), margin=4.5).item() == pytest.approx((0.5 + 0.25 + 0) / 3)


def test_balanced_by_hand() -> None:
    """½ of ½ for the similar pair, ½ of (¼ + 0) / 2 for the others."""
    assert contrastive_loss(within(CODES, LABELS), margin=4.5, balanced=True).item() == pytest.approx(0.25 + 0.0625)


def test_signs_that_differ_in_half_of_their_bits_are_far_enough() -> None:
    """Four bits, two of them different: 4 · 2 = 8 = 2B."""
    codes = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, -1.0, -1.0]])
    assert contrastive_loss(within(codes, torch.tensor([0, 1])), margin=8.0).item() == 0
