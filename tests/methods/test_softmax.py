"""The ordinary classification network, to be compared with."""

import math

import numpy as np
import pytest
import torch

from dqh.methods.softmax import Softmax
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.training import Optimizer


def test_the_embedding_are_the_scores() -> None:
    """Scores (1, 0, 0) and label 0: −log(e / (e + 2)); the code is the class with the highest score."""
    method = Softmax(Identity(size=6), 3, optimizer=Optimizer())
    output = EncoderOutput(embedding=torch.tensor([[1.0, 0, 0]]), features=torch.full((1, 6), torch.nan))
    loss = method.losses(output, torch.tensor([0]))["cross_entropy"]
    assert loss.item() == pytest.approx(-math.log(math.e / (math.e + 2)))
    assert torch.equal(method.scores(output.embedding), output.embedding)
    assert method.quantizer().encode(np.array([[0.0, 3.0, 1.0]])).tolist() == [[2]]


def test_every_parameter_gets_a_gradient() -> None:
    method = Softmax(SmallResNet(width=4, size=8), 3, optimizer=Optimizer())
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    method.losses(output, torch.arange(8) % 3)["cross_entropy"].backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_what_is_said_of_a_classifier_is_meant_for_the_head() -> None:
    rates = Optimizer(lr=0.1, lr_multipliers={"classifier.weight": 5, "encoder.backbone": 0.5})
    method = Softmax(SmallResNet(width=4, size=8), 3, optimizer=rates)
    groups = method.optimizer.groups(method)
    assert {round(group["lr"], 3) for group in groups} == {0.5, 0.1, 0.05}


def test_the_initialisation() -> None:
    torch.manual_seed(0)
    linear = Softmax(Identity(size=500), 40, optimizer=Optimizer(), classifier_std=0.01).encoder.head.linear
    # 20,000 draws: four standard errors of a standard deviation are 4 · 0.01 / √40,000
    assert linear.weight.std().item() == pytest.approx(0.01, abs=2e-4)
    assert not linear.bias.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"classifier_std": -1.0}, "classifier_std must be null or at least 0, got -1"),
        ({"label_smoothing": 1.0}, "label_smoothing must be in 0 … 1, 1 excluded, got 1"),
    ],
)
def test_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Softmax(Identity(size=6), **({"classes": 3, "optimizer": Optimizer()} | arguments))
