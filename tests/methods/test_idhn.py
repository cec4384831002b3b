"""IDHN: its two terms by hand."""

import math
from typing import Any

import pytest
import torch

from dqh.methods.idhn import IDHN
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> IDHN:
    given = {"classes": 3, "bits": 2, "optimizer": Optimizer(), "balanced": False} | arguments
    return IDHN(Identity(size=6), **given)


def terms(method: IDHN, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_the_loss_by_hand() -> None:
    """{0, 1} and {0}: s = 1/√2, so that (1 + 2)/2 bits should be √2; the others go by ½⟨u, v⟩ = 0 and −½."""
    labels = torch.tensor([[True, True, False], [True, False, False], [False, False, True]])
    found = terms(network(soft_weight=3.0, penalty=0.3), CODES, labels)
    similarity = (3 * (1.5 - math.sqrt(2)) ** 2 / 2 + softplus(0) + softplus(-0.5)) / 3
    assert found == pytest.approx({"similarity": similarity, "sign": 0.3 / 6}, rel=1e-5)


def test_single_labels_by_hand() -> None:
    found = terms(network(scale=1.0), CODES, LABELS)["similarity"]
    assert found == pytest.approx((softplus(-1) + softplus(0) + softplus(-1)) / 3)


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
        ({"soft_weight": -1.0}, "soft_weight must be at least 0, got -1.0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
