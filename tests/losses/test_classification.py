import math

import pytest
import torch

from dqh.losses import classification_loss


def test_single_labels() -> None:
    """Scores 0 and log 3 are probabilities 1/4 and 3/4: −log 3/4; with smoothing 0.2 the target is (0.1, 0.9)."""
    scores, labels = torch.tensor([[0.0, math.log(3)]]), torch.tensor([1])
    assert float(classification_loss(scores, labels)) == pytest.approx(-math.log(0.75))
    smooth = classification_loss(scores, labels, label_smoothing=0.2)
    assert float(smooth) == pytest.approx(-0.1 * math.log(0.25) - 0.9 * math.log(0.75))


def test_multi_labels() -> None:
    """Sigmoids of 0 and log 3 are 1/2 and 3/4; the labels want the first and not the second: (log 2 + log 4) / 2."""
    scores, labels = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[True, False]])
    assert float(classification_loss(scores, labels)) == pytest.approx(1.5 * math.log(2))


@pytest.mark.parametrize("labels", [torch.tensor([0, 2, 1]), torch.eye(3, dtype=torch.bool)])
def test_gradient(labels: torch.Tensor) -> None:
    scores = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: classification_loss(x, labels), scores)
