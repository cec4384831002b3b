"""The hash head."""

import math

import pytest
import torch

from dqh.models import HashHead


@pytest.mark.parametrize(("activation", "low", "high"), [("sigmoid", 0, 1), ("tanh", -1, 1)])
def test_the_activation_bounds_the_embedding(activation, low: int, high: int) -> None:
    embedding = HashHead(4, 8, activation=activation)(100 * torch.randn(50, 4))
    assert embedding.min() >= low
    assert embedding.max() <= high
    assert embedding.max() - embedding.min() > 0.9 * (high - low)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimension": 0}, "at least 1, got 4 and 0"),
        ({"dimension": 2, "activation": "relu"}, "one of sigmoid, tanh, none, got 'relu'"),
        ({"dimension": 2, "hidden": 0}, "hidden must be null or in 1 … 65536, got 0"),
        ({"dimension": 2, "dropout": 1.0}, "dropout must be in 0 … 1, 1 excluded, got 1.0"),
        ({"dimension": 2, "noise": -0.1}, "noise must be at least 0 and finite, got -0.1"),
        ({"dimension": 2, "noise": math.inf}, "noise must be at least 0 and finite, got inf"),
    ],
)
def test_head_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HashHead(4, **arguments)


def test_a_normalised_embedding_by_hand() -> None:
    """(3, 4) to (.6, .8), in float32 also where the layer computes in bfloat16; 0 stays 0."""
    head = HashHead(2, 2, activation="none", normalise=True)
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(2))
        head.linear.bias.zero_()
    assert torch.allclose(head(torch.tensor([[3.0, 4.0]])), torch.tensor([[0.6, 0.8]]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedding = head(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert embedding.dtype == torch.float32
    assert torch.equal(embedding[1], torch.zeros(2))


def test_a_hidden_layer_by_hand() -> None:
    """First [1, −1] · x, of statistics 0 and 1 in evaluation, cut at 0, then 2 · the first unit + 3 · the second."""
    head = HashHead(1, 1, activation="none", hidden=2).eval()
    with torch.no_grad():
        head.first.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.linear.weight.copy_(torch.tensor([[2.0, 3.0]]))
        head.linear.bias.zero_()
        found = head(torch.tensor([[5.0], [-4.0]]))
    assert torch.allclose(found, torch.tensor([[10.0], [12.0]]), rtol=1e-4)
    assert "first.weight" not in HashHead(1, 1).state_dict()


def test_noise_is_a_share_of_the_spread_of_the_features_and_of_training_alone() -> None:
    """Of 40,000 numbers with standard deviation 3 about 5, half of that is added; their estimate is off by .4 %."""
    head = HashHead(2, 2, activation="none", noise=0.5)
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(2))
        head.linear.bias.zero_()
        torch.manual_seed(0)
        features = 5 + 3 * torch.randn(20_000, 2)
        added = head(features) - features
        assert torch.equal(head.eval()(features), features)
    assert added.std().item() == pytest.approx(1.5, rel=0.02)
    assert abs(added.mean().item()) < 0.03  # four standard errors
    assert torch.corrcoef(torch.stack([added[:, 0], features[:, 0]]))[0, 1].abs() < 0.03


def test_noise_leaves_gradients_and_the_number_format_alone() -> None:
    head = HashHead(3, 2, activation="none", noise=0.5)
    features = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        head(features).float().sum().backward()
    assert torch.allclose(features.grad.float(), head.linear.weight.sum(0).expand(4, 3).detach(), atol=0.03)
