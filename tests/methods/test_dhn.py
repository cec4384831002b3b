"""DHN: its two terms by hand."""

import math
from typing import Any

import pytest
import torch

from dqh.methods.dhn import DHN
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DHN:
    given = {"classes": 3, "bits": 2, "optimizer": Optimizer(), "balanced": False, "scale": 1.0} | arguments
    return DHN(Identity(size=6), **given)


def terms(method: DHN, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_the_loss_by_hand() -> None:
    """Inner products 1 (similar), 0 and −1. Of six values one is 1 from its sign: log cosh 1 / 6."""
    found = terms(network(penalty=0.3), CODES, LABELS)
    likelihood = (softplus(-1) + softplus(0) + softplus(-1)) / 3
    assert found == pytest.approx({"likelihood": likelihood, "sign": 0.3 * math.log(math.cosh(1)) / 6}, rel=1e-5)


def test_the_scale_falls_with_the_number_of_bits() -> None:
    assert (network(bits=40, scale=None).scale, network(scale=3.0).scale) == (0.25, 3.0)


def test_the_scale_is_that_of_the_inner_products() -> None:
    found = terms(network(scale=0.5, balanced=True), CODES, LABELS)["likelihood"]
    assert found == pytest.approx(softplus(-0.5) / 2 + (softplus(0) + softplus(-0.5)) / 4)


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"scale": 0.0}, "scale must be null or above 0, got 0.0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
