"""Central similarity quantization: its two terms by hand, the centres as a classifier."""

import math
from typing import Any

import pytest
import torch

from dqh.losses import hash_centres
from dqh.methods.csq import CSQ
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.training import Optimizer


def network(**arguments: Any) -> CSQ:
    return CSQ(Identity(size=6), **({"classes": 3, "bits": 4, "optimizer": Optimizer()} | arguments))


def test_the_loss_by_hand() -> None:
    """u = c / 2: every bit agrees by ¾ and is ½ from its sign; λ = 2."""
    method = network(quantization=2.0)
    u = method.classifier.weight[[1]] / 2
    terms = method.losses(EncoderOutput(u, u), torch.tensor([1]))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"centre": math.log(4 / 3), "quantization": 2 * math.log(math.cosh(0.5))}
    )


def test_several_labels_agree_with_the_majority() -> None:
    """Three centres have a majority on every bit: an image that is it, halved, costs log 4/3 a bit."""
    method = network()
    u = method.classifier.weight.sum(dim=0).sign()[None] / 2
    terms = method.losses(EncoderOutput(u, u), torch.tensor([[True, True, True]]))
    assert terms["centre"].item() == pytest.approx(math.log(4 / 3))


def test_gradients() -> None:
    method = network().double()
    embedding = (torch.rand(5, 4, dtype=torch.double) * 2 - 1).requires_grad_()
    labels = torch.tensor([0, 1, 2, 1, 0])
    assert torch.autograd.gradcheck(
        lambda u: torch.stack(list(method.losses(EncoderOutput(u, u), labels).values())).sum(), (embedding,)
    )


def test_every_parameter_but_the_centres_gets_a_gradient() -> None:
    method = CSQ(SmallResNet(width=4, size=8), 3, bits=4, optimizer=Optimizer())
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    torch.stack(list(method.losses(output, torch.arange(8) % 3).values())).sum().backward()
    idle = [name for name, parameter in method.named_parameters() if parameter.grad is None]
    assert idle == ["classifier.weight", "classifier.bias"]
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters() if parameter.grad is not None)


def test_the_classifier_names_the_nearest_centre() -> None:
    """Embeddings that are centres; the code of each is its centre, with 0 for −1."""
    method = network(classes=8, bits=16, seed=5)
    centres = hash_centres(8, 16, seed=5)
    assert torch.equal(method.scores(centres).argmax(dim=1), torch.arange(8))
    quantizer = method.quantizer()
    assert torch.equal(torch.from_numpy(quantizer.decode(quantizer.encode(centres.numpy()))), (centres > 0).float())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "classes and bits must be at least 1, got 3 and 0"),
        ({"classes": 9, "bits": 3}, "no 9 different codes with half of 3 bits set"),
        ({"quantization": math.nan}, "quantization must be at least 0, got nan"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
