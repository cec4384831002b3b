"""DCH: its two terms by hand."""

import math
from typing import Any

import pytest
import torch

from dqh.methods.dch import DCH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DCH:
    return DCH(Identity(size=6), **({"classes": 3, "bits": 2, "optimizer": Optimizer()} | arguments))


def terms(method: DCH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def test_the_loss_by_hand() -> None:
    """B / 2 · (1 − cos) = 1 − 1/√2 for the similar pair, 1 and 1 + 1/√2 for the others; γ = 3.

    Of the three only (1, 0) is no corner: its cosine with (1, 1) is 1/√2.
    """
    found = terms(network(scale=3.0, penalty=0.3), CODES, LABELS)
    near, far = 1 - math.sqrt(0.5), [1.001, 1.001 + math.sqrt(0.5)]
    cauchy = math.log(1 + near / 3) / 2 + sum(math.log(1 + 3 / d) for d in far) / 4
    assert found == pytest.approx({"cauchy": cauchy, "sign": 0.3 * math.log(1 + near / 3) / 3}, rel=1e-5)


def test_pairs_that_count_alike() -> None:
    both = [terms(network(balanced=balanced), CODES, LABELS)["cauchy"] for balanced in (True, False)]
    similar, others = (terms(network(), CODES[:2], LABELS[:2])["cauchy"], 2 * both[0])
    assert both[1] == pytest.approx((similar + 2 * (others - similar)) / 3, rel=1e-5)


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"scale": 0.0}, "scale must be above 0, got 0.0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
