"""DFH: its two terms by hand, and its centres."""

import math
from typing import Any

import pytest
import torch

from dqh.methods.dfh import DFH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DFH:
    given = {"classes": 3, "bits": 2, "optimizer": Optimizer(), "balanced": False} | arguments
    return DFH(Identity(size=6), **given)


def terms(method: DFH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


CODES = torch.tensor([[1.0, 1.0], [1.0, 0.0], [-1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def test_the_loss_by_hand() -> None:
    """½⟨u, v⟩ = ½ (similar), 0 and −½, margin 3. The centre of class 0 is (−1, −1): it turns no bit but the 0."""
    method = network(penalty=0.3, pull=0.1).eval()
    method.centres.copy_(torch.tensor([[-0.2, -5.0], [1.0, 1.0], [0.0, 0.0]]))
    found = terms(method, CODES, LABELS)
    likelihood = (softplus(3 - 0.5) + softplus(3) + softplus(3 - 0.5)) / 3
    assert found == pytest.approx({"likelihood": likelihood, "centre": 0.3 * 1 / 6})


def test_a_centre_turns_bits_that_are_near_0() -> None:
    """u = .05 wants −1 where the centre says so with μ = .1: (1.05)² of two values, the other 0."""
    method = network(penalty=1.0, pull=0.1).eval()
    method.centres.copy_(torch.tensor([[-1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))
    assert terms(method, torch.tensor([[0.05, 1.0]]), LABELS[:1])["centre"] == pytest.approx(1.05**2 / 2)


def test_centres_move_in_training_and_stay_in_validation() -> None:
    """Also where the layers are in evaluation mode, as those of a fine-tuning."""
    method = network().eval()
    with torch.no_grad():
        terms(method, CODES, LABELS)
    assert not method.centres.any()
    terms(method, CODES, LABELS)
    assert method.centres[0, 0] > 0 > method.centres[1, 0]


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"margin": -1.0, "pull": -2.0}, "margin must be at least 0, got -1.0; pull must be at least 0, got -2.0"),
        ({"most_pairs": 0}, "most_pairs must be at least 1, got 0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
