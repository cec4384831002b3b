"""DPSH: its two terms by hand; what it does with its bank is in `tests/training/test_bank.py`."""

import math
from typing import Any

import pytest
import torch

from dqh.methods.dpsh import DPSH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DPSH:
    return DPSH(
        Identity(size=6), **({"classes": 3, "bits": 2, "optimizer": Optimizer(), "balanced": False} | arguments)
    )


def terms(method: DPSH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_the_loss_by_hand() -> None:
    """Half the inner products: ½ (similar), 0 and −½. Of six values one is 1 from its sign."""
    found = terms(network(penalty=0.3), CODES, LABELS)
    likelihood = (softplus(-0.5) + softplus(0) + softplus(-0.5)) / 3
    assert found == pytest.approx({"likelihood": likelihood, "sign": 0.3 / 6})


def test_balanced_pairs_by_hand() -> None:
    found = terms(network(balanced=True), CODES, LABELS)["likelihood"]
    assert found == pytest.approx(softplus(-0.5) / 2 + (softplus(0) + softplus(-0.5)) / 4)


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
        ({"most_pairs": 0}, "most_pairs must be at least 1, got 0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
