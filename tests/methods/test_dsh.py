"""DSH: its two terms by hand."""

from typing import Any

import pytest
import torch

from dqh.methods.dsh import DSH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DSH:
    given = {"classes": 3, "bits": 2, "optimizer": Optimizer(), "balanced": False} | arguments
    return DSH(Identity(size=6), **given)


def terms(method: DSH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def test_the_loss_by_hand() -> None:
    """Squared distances 1 (similar), 4 and 5, m = 2B = 4: ½, 0 and 0. Of six values one is 1 from its sign: 2·2·α/6."""
    found = terms(network(penalty=0.3), CODES, LABELS)
    assert found == pytest.approx({"contrastive": 0.5 / 3, "sign": 4 * 0.3 / 6})


def test_the_penalty_is_that_of_both_images_of_a_pair() -> None:
    """The paper's sum over pairs of α(‖|u| − 1‖₁ + ‖|v| − 1‖₁), as a mean over the six ordered pairs."""
    distances = (CODES.abs() - 1).abs().sum(dim=1)
    pairs = [float(distances[i] + distances[j]) for i in range(3) for j in range(3) if i != j]
    assert terms(network(penalty=0.3), CODES, LABELS)["sign"] == pytest.approx(0.3 * sum(pairs) / 6)


def test_several_labels_are_similar_where_they_share_one() -> None:
    labels = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])
    assert terms(network(margin=5.0), CODES, labels)["contrastive"] == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"margin": 0.0}, "margin must be null or above 0, got 0.0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
