"""Losses of pytorch-metric-learning by name: a term by hand, miners, proxies that train, and what cannot be."""

import sys
from typing import Any

import pytest
import torch

from dqh.errors import DqhError
from dqh.methods.metric_learning import MetricLearning
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer

U = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
LABELS = torch.tensor([0, 0, 1])


def network(**arguments: Any) -> MetricLearning:
    return MetricLearning(Identity(size=3), **({"classes": 2, "bits": 2, "optimizer": Optimizer()} | arguments))


def terms(method: MetricLearning) -> dict[str, float]:
    found = method.losses(EncoderOutput(U, torch.zeros(3, 3)), LABELS)
    return {name: value.item() for name, value in found.items()}


def test_the_contrastive_loss_by_hand() -> None:
    """Unit vectors: the pair is √2 apart, the others |u_0 − u_2| = |u_1 − u_2| = √(2 − √2), under a margin of 1.

    Positives cost √2 each, negatives 1 − .7654; each kind is a mean over what is above 0. The penalty: | |u| − 1 |³ is
    1 in two of six places.
    """
    method = network(loss="ContrastiveLoss", loss_arguments={"pos_margin": 0, "neg_margin": 1}, penalty=0.5)
    wanted = 2**0.5 + 1 - (2 - 2**0.5) ** 0.5
    assert terms(method) == pytest.approx({"metric": wanted, "sign": 0.5 * 2 / 6})


def test_a_miner_leaves_out_what_is_easy() -> None:
    """Triplets (0, 1, 2) and (1, 0, 2): by distances √2 and .7654; a margin of −1 below their gap mines none."""
    every = terms(network(loss="TripletMarginLoss"))
    mined = terms(network(loss="TripletMarginLoss", miner="TripletMarginMiner", miner_arguments={"margin": -1.0}))
    assert every["metric"] == pytest.approx(0.05 + 2**0.5 - (2 - 2**0.5) ** 0.5)
    assert mined["metric"] == 0


def test_proxies_are_of_the_classes_and_bits_and_train() -> None:
    method = network(loss="ProxyAnchorLoss", classes=4)
    (proxies,) = method.loss.parameters()
    assert proxies.shape == (4, 2)
    output = EncoderOutput(U.clone().requires_grad_(), torch.zeros(3, 3))
    sum(method.losses(output, LABELS).values()).backward()
    assert proxies.grad.abs().sum() > 0
    assert output.embedding.grad.abs().sum() > 0


def test_gradient() -> None:
    method = network(loss="MultiSimilarityLoss")
    moved = torch.tensor([[0.9, 0.1], [0.2, -0.7], [0.5, 0.6]], dtype=torch.float64, requires_grad=True)

    def total(embedding: torch.Tensor) -> torch.Tensor:
        return sum(method.losses(EncoderOutput(embedding, embedding), LABELS).values())

    assert torch.autograd.gradcheck(total, moved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
        ({"loss": "Nonsense"}, "loss must be one of AngularLoss, .*, got 'Nonsense'"),
        ({"miner": "TripletMarginLoss"}, "miner must be one of AngularMiner, .*, got 'TripletMarginLoss'"),
        ({"loss_arguments": {"nonsense": 1}}, r"loss_arguments: MultiSimilarityLoss refuses \{'nonsense': 1\}"),
        ({"loss": "CrossBatchMemory"}, "loss must be one of .*, got 'CrossBatchMemory'"),
        ({"miner_arguments": {"margin": 1}}, r"miner_arguments belong to a miner, got \{'margin': 1\} and none"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)


def test_several_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels must be \(N,\), one an image, got shape \(3, 2\)"):
        network().losses(EncoderOutput(U, U), torch.ones(3, 2, dtype=torch.bool))


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    monkeypatch.delitem(sys.modules, "pytorch_metric_learning.losses", raising=False)
    with pytest.raises(DqhError, match=r"pip install 'dqh\[metric\]'"):
        network()
