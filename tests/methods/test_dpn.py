"""DPN: its loss by hand, and its codes of the classes."""

from typing import Any

import pytest
import torch

from dqh.losses import hash_centres
from dqh.methods.dpn import DPN
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DPN:
    return DPN(Identity(size=6), **({"classes": 3, "bits": 4, "optimizer": Optimizer()} | arguments))


def terms(method: DPN, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


def test_the_loss_by_hand() -> None:
    """u = t / 2 on every bit: m − ½."""
    method = network(bits=4, margin=2.0)
    u = method.classifier.weight[[1]] / 2
    assert terms(method, u, torch.tensor([1])) == pytest.approx({"polarization": 1.5})


def test_several_labels_agree_with_the_majority() -> None:
    """Three codes have a majority on every bit."""
    method = network(bits=4)
    u = method.classifier.weight.sum(dim=0).sign()[None]
    assert terms(method, u, torch.tensor([[True, True, True]])) == {"polarization": 0}


def test_the_classifier_is_the_codes_of_the_classes() -> None:
    method = network(classes=8, bits=16, seed=5)
    assert torch.equal(method.classifier.weight, hash_centres(8, 16, seed=5))
    assert not method.classifier.weight.requires_grad


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "classes and bits must be at least 1, got 3 and 0"),
        ({"classes": 9, "bits": 3}, "no 9 different codes with half of 3 bits set"),
        ({"margin": 0.0}, "margin must be above 0, got 0.0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
