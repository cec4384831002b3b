"""GreedyHash: the classifier sees signs, the penalty sees h."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from dqh.methods.greedyhash import GreedyHash
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.training import Optimizer


def network(**arguments: Any) -> GreedyHash:
    return GreedyHash(Identity(size=6), **({"classes": 3, "bits": 2, "optimizer": Optimizer()} | arguments))


def test_the_loss_by_hand() -> None:
    """h = (3, −½), signs (1, −1): scores (1, 0, 0) cost −log(e / (e + 2)); α = ½ times the mean of 8 and 1/8."""
    method = network(penalty=0.5)
    with torch.no_grad():
        method.classifier.weight.zero_()
        method.classifier.weight[0, 0] = 1
        method.classifier.bias.zero_()
    h = torch.tensor([[3.0, -0.5]])
    terms = method.losses(EncoderOutput(h, torch.full((1, 6), torch.nan)), torch.tensor([0]))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"cross_entropy": -math.log(math.e / (math.e + 2)), "sign": 0.5 * (8 + 1 / 8) / 2}
    )


def test_multi_labels_by_hand() -> None:
    """All scores 0: each class costs log 2, whatever its label."""
    method = network()
    nn.init.zeros_(method.classifier.weight)
    nn.init.zeros_(method.classifier.bias)
    output = EncoderOutput(torch.randn(2, 2), torch.rand(2, 6))
    terms = method.losses(output, torch.tensor([[True, False, True], [False, False, False]]))
    assert terms["cross_entropy"].item() == pytest.approx(math.log(2))


def test_the_gradient_of_the_classifier_arrives_as_if_it_had_seen_h() -> None:
    """It is that of scores of the signs, at the signs; gradcheck cannot hold, for the signs do not move."""
    method, labels = network(penalty=0.0), torch.tensor([0, 1, 2])
    h = torch.tensor([[2.0, -0.1], [0.4, 3.0], [-1.0, -1.0]], requires_grad=True)
    signs = h.detach().sign().requires_grad_()
    method.losses(EncoderOutput(h, h), labels)["cross_entropy"].backward()
    nn.functional.cross_entropy(method.classifier(signs), labels).backward()
    assert torch.equal(h.grad, signs.grad)


def test_every_parameter_gets_a_gradient() -> None:
    method = GreedyHash(SmallResNet(width=4, size=8), 3, bits=4, optimizer=Optimizer())
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    torch.stack(list(method.losses(output, torch.arange(8) % 3).values())).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_the_code_is_what_the_classifier_sees() -> None:
    quantizer = network().quantizer()
    h = torch.tensor([[0.2, -0.1], [0.0, 5.0]])
    assert quantizer.decode(quantizer.encode(h.numpy())).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"penalty": -0.1}, "penalty must be at least 0, got -0.1"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
