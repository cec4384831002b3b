"""CRH: its two terms by hand, and how centres are chosen anew."""

import math
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
import torch

from dqh.methods.crh import CRH
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer
from dqh.training.module import TrainingBatch


def network(**arguments: Any) -> CRH:
    return CRH(Identity(size=6), **({"classes": 3, "bits": 6, "optimizer": Optimizer()} | arguments))


def terms(method: CRH, u: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    return {name: value.item() for name, value in method.losses(EncoderOutput(u, u), labels).items()}


def step(method: CRH, u: torch.Tensor, labels: torch.Tensor) -> None:
    """A training step's loss, which counts codes."""
    method.losses_of_step(EncoderOutput(u, u), TrainingBatch(torch.zeros(len(u), 6), labels, torch.arange(len(u))))


def test_the_loss_by_hand() -> None:
    """Twice the centre of its class; the others have cosines c with it: the softmax of s·(1 − m) and s·c."""
    method = network(bits=6, scale=2.0, margin=0.5, quantization=0.3).eval()
    centres = method.classifier.weight
    u = 2 * centres[[1]]
    others = [float(centres[1] @ centres[c]) / 6 for c in (0, 2)]
    total = math.exp(2 * 0.5) + sum(math.exp(2 * c) for c in others)
    found = terms(method, u, torch.tensor([1]))
    wanted = {"cosine": -math.log(math.exp(1) / total), "quantization": 0.3 * (1 - math.tanh(2)) ** 2}
    assert found == pytest.approx(wanted, rel=1e-4)


def test_centres_are_the_first_candidates_of_each_part() -> None:
    method = network(bits=6)  # two parts of 3 bits
    wanted = [[*first, *second] for first, second in zip(*method.book[:, :3].tolist(), strict=True)]
    assert method.classifier.weight.tolist() == wanted


def test_classes_choose_the_centres_that_are_nearest_to_their_images() -> None:
    """The images of three classes have three other candidates as their codes."""
    method = network(bits=6).train()
    codes = torch.cat([method.book[0, [5, 3, 4]], method.book[1, [0, 4, 2]]], dim=1)
    step(method, codes.repeat(2, 1) * 0.7, torch.arange(6) % 3)
    method.reassign()
    assert torch.equal(method.classifier.weight, codes)


@pytest.mark.parametrize(("epoch", "chosen"), [(0, True), (2, False), (3, False), (4, True), (9, True)])
def test_when_centres_are_chosen(epoch: int, chosen: bool) -> None:
    """After each of the first two epochs, then after every fifth; what was counted is of that epoch alone."""
    method = network(bits=6, reassign_until=2).train()
    step(method, method.book[:, [5, 3, 4]].transpose(0, 1).reshape(3, 6), torch.arange(3))
    before = method.classifier.weight.clone()
    with patch.object(CRH, "current_epoch", new_callable=PropertyMock, return_value=epoch):
        method.on_train_epoch_end()
    assert torch.equal(before, method.classifier.weight) != chosen
    assert not method.codes.weights.any()


def test_the_scale_of_the_paper() -> None:
    """√2 log(C − 1), where that is above 1."""
    assert network(classes=101, bits=32).scale == pytest.approx(math.sqrt(2) * math.log(100))
    assert network(bits=6).scale == 1


def test_the_code_is_the_sign() -> None:
    quantizer = network().quantizer()
    codes = quantizer.encode(torch.tensor([[0.2, -0.1, 0.0, 1.0, 1.0, 1.0]]).numpy())
    assert quantizer.decode(codes).tolist() == [[1, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 2}, "2 bits have fewer than 6 words, two a class; take more bits"),
        ({"scale": 0.0}, "scale must be null or above 0, got 0.0"),
        ({"margin": -1.0}, "margin must be at least 0, got -1.0"),
        ({"quantization": -1.0}, "quantization must be at least 0, got -1.0"),
        ({"reassign_until": -1}, "reassign_until must be at least 0, got -1"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
