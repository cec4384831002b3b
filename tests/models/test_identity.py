"""The backbone of ready-made features."""

import pytest
import torch

from dqh.models import Identity


def test_vectors_come_back() -> None:
    network = Identity(size=5)
    vectors = torch.randn(3, 5)
    assert torch.equal(network(vectors), vectors)
    assert (network.dimension, network.spec.size, network.spec.kind) == (5, 5, "vector")


def test_an_impossible_size() -> None:
    with pytest.raises(ValueError, match="got size=0"):
        Identity(size=0)
