"""The hash head."""

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
        ({"dimension": 2, "dropout": 1.0}, "dropout must be in 0 … 1, 1 excluded, got 1.0"),
    ],
)
def test_head_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HashHead(4, **arguments)
