"""DTSH: its two terms by hand."""

import math
from typing import Any

import pytest
import torch

from dqh.methods.dtsh import DTSH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DTSH:
    return DTSH(Identity(size=6), **({"classes": 3, "bits": 2, "optimizer": Optimizer()} | arguments))


def terms(method: DTSH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_the_loss_by_hand() -> None:
    """Half the inner products; m = B / 2 = 1. The first image: ½ over 0; the second: ½ over −½. One value is 1 off."""
    found = terms(network(penalty=0.3), CODES, LABELS)
    triplets = (softplus(1 - 0.5 + 0) + softplus(1 - 0.5 - 0.5)) / 2
    assert found == pytest.approx({"triplets": triplets, "sign": 0.3 / 6})


def test_without_a_dissimilar_image_there_is_no_triplet() -> None:
    assert terms(network(), CODES, torch.tensor([1, 1, 1]))["triplets"] == 0


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
