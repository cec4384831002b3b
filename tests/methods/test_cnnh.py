"""CNNH and CNNH+: the error of codes by hand, whose codes an image is given."""

import math
from typing import Any

import pytest
import torch

from dqh.losses.factorisation import similarity_codes
from dqh.methods.cnnh import CNNH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> CNNH:
    return CNNH(Identity(size=6), **({"classes": 3, "bits": 2, "optimizer": Optimizer()} | arguments))


def terms(method: CNNH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


def test_the_loss_by_hand() -> None:
    """The code of class 0, halved, has the error ½ on every bit; that of class 1 is right."""
    method = network(bits=8)
    u = torch.stack([method.codes[0] / 2, method.codes[1]])
    assert terms(method, u, torch.tensor([0, 1])) == pytest.approx({"code": 0.25 / 2})


def test_the_labels_of_cnnh_plus() -> None:
    """Scores of 0 cost log 3, times the weight; the layer stands on the features."""
    method = network(labels_weight=2.0)
    torch.nn.init.zeros_(method.labels_layer.weight)
    torch.nn.init.zeros_(method.labels_layer.bias)
    output = EncoderOutput(method.codes[[0]], torch.rand(1, 6))
    found = method.losses(output, torch.tensor([0]))
    values = {name: value.item() for name, value in found.items()}
    assert values == pytest.approx({"code": 0, "labels": 2 * math.log(3)})
    assert (method.method, network().method) == ("cnnh_plus", "cnnh")


def test_the_labels_teach_a_hidden_layer() -> None:
    """The layer that is before the code; without one there is nothing to share with it over vectors."""
    method = network(labels_weight=1.0, hidden=5)
    found = method.losses(method.encoder(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0]))
    (gradient,) = torch.autograd.grad(found["labels"], method.encoder.head.first.weight)
    assert gradient.shape == (5, 6)
    assert gradient.abs().sum() > 0


def test_codes_are_those_of_the_training_labels() -> None:
    """Of three images with {0}, one with {0, 1} and two with {2}; {0, 1, 2} is one label from {0, 1}."""
    method = network(bits=16)
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]], dtype=torch.bool)
    method.meet(torch.arange(6), labels)
    assert method.sets.tolist() == [[False, False, True], [True, False, False], [True, True, False]]
    assert torch.equal(method.targets(labels), method.codes[[1, 2, 1, 0, 0, 1]])
    assert torch.equal(method.targets(torch.tensor([[True, True, True]])), method.codes[[2]])
    wanted = similarity_codes(method.sets.numpy(), torch.tensor([2, 3, 1]).numpy(), bits=16, seed=0)
    assert method.codes.tolist() == wanted.tolist()


def test_single_labels_count_images() -> None:
    """Classes that have no training image count as one."""
    method = network(bits=16)
    method.meet(torch.arange(4), torch.tensor([0, 0, 0, 2]))
    wanted = similarity_codes(torch.eye(3).bool().numpy(), torch.tensor([3, 1, 1]).numpy(), bits=16, seed=0)
    assert method.codes.tolist() == wanted.tolist()
    assert not {"codes", "sets"} & method.state_dict().keys()


def test_gradient() -> None:
    method = network(bits=4)
    embedding = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2])
    assert torch.autograd.gradcheck(lambda u: method.losses(EncoderOutput(u, u), labels)["code"], embedding)


def test_the_code_is_the_sign() -> None:
    quantizer = network(bits=3).quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"labels_weight": 0.0}, "labels_weight must be null or above 0, got 0.0"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
