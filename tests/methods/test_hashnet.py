"""HashNet: its loss on tanh(βz), and β over the training."""

import math
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
import torch

from dqh.losses import pairwise_likelihood_loss
from dqh.methods.hashnet import HashNet
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.training import Optimizer


def network(**arguments: Any) -> HashNet:
    return HashNet(Identity(size=6), 3, **({"bits": 4, "optimizer": Optimizer()} | arguments))


def at(progress: float) -> Any:
    """As if this share of the training were done."""
    return patch.object(HashNet, "progress", new_callable=PropertyMock, return_value=progress)


def test_the_loss_by_hand() -> None:
    """Before the training β = 1: two similar images with tanh z = (½, ½) and (½, −½) have x = 0, which costs log 2."""
    method = network(bits=2)
    z = torch.atanh(torch.tensor([[0.5, 0.5], [0.5, -0.5]]))
    terms = method.losses(EncoderOutput(z, z), torch.tensor([1, 1]))
    assert list(terms) == ["likelihood"]
    assert terms["likelihood"].item() == pytest.approx(math.log(2))


def test_beta_rises_as_in_the_authors_code() -> None:
    """There √(1 + 0.005 t) over 10,000 steps: 1 at first, √26 at half of them, √51 in the end."""
    method = network()
    betas = []
    for progress in (0.0, 0.5, 1.0):
        with at(progress):
            betas.append(method.beta)
    assert betas == pytest.approx([1, math.sqrt(26), math.sqrt(51)])


def test_the_loss_sees_beta() -> None:
    method = network(last_beta=3.0)
    z, labels = torch.randn(5, 4), torch.tensor([0, 1, 0, 2, 1])
    with at(1.0):
        found = method.losses(EncoderOutput(z, z), labels)["likelihood"]
        distance = method.diagnostics(EncoderOutput(z, z), labels)["distance_to_sign"]
    assert found.item() == pytest.approx(pairwise_likelihood_loss(torch.tanh(3 * z), labels, scale=2.5).item())
    assert distance.item() == pytest.approx((torch.tanh(3 * z) - z.sign()).abs().mean().item(), rel=1e-5)


def test_the_relaxation_is_float32_under_autocast() -> None:
    """z comes as bf16, whose 8 bits hold no 1 − tanh(βz) below 1 / 256."""
    method = network(last_beta=3.0)
    z, labels = torch.tensor([[0.9, -1.1, 1.3, -0.7], [1.2, 0.8, -1.0, 0.6], [-0.9, 1.0, 1.1, -1.2]]), torch.arange(3)
    given = EncoderOutput(z.bfloat16(), z.bfloat16())
    exact = EncoderOutput(given.embedding.double(), given.embedding.double())
    with at(1.0), torch.autocast("cpu", dtype=torch.bfloat16):
        found, told = method.losses(given, labels), method.diagnostics(given, labels)
        wanted, true = method.losses(exact, labels), method.diagnostics(exact, labels)
    assert found["likelihood"].item() == pytest.approx(wanted["likelihood"].item(), rel=1e-6)
    assert told["distance_to_sign"].item() == pytest.approx(true["distance_to_sign"].item(), rel=1e-5)


def test_gradients() -> None:
    method, labels = network(), torch.tensor([0, 1, 2, 1, 0])
    embedding = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: method.losses(EncoderOutput(z, z), labels)["likelihood"], (embedding,))


def test_every_parameter_gets_a_gradient() -> None:
    method = HashNet(SmallResNet(width=4, size=8), 3, bits=4, optimizer=Optimizer())
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    method.losses(output, torch.arange(8) % 3)["likelihood"].backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"scale": 0.0}, "scale must be null or above 0, got 0.0"),
        ({"last_beta": 0.5}, "last_beta must be at least 1, got 0.5"),
        ({"last_beta": math.nan}, "last_beta must be at least 1, got nan"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
