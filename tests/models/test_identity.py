"""The backbone of ready-made features."""

import pytest
import torch

from dqh.models import Identity


def test_vectors_come_back_until_it_is_initialised() -> None:
    network = Identity(size=5)
    vectors = torch.randn(3, 5)
    assert torch.equal(network(vectors), vectors)
    assert (network.dimension, network.spec.size, network.spec.kind) == (5, 5, "vector")


def test_one_shift_and_one_factor() -> None:
    """Mean (3, 10); what is left is ±2 and ±4, of which the mean square is (4 + 4 + 16 + 16) / 4 = 10."""
    network = Identity(size=2)
    network.initialise(torch.tensor([[1.0, 14.0], [5.0, 6.0]]))
    wanted = torch.tensor([[-2.0, 4.0], [2.0, -4.0], [0.0, 0.0]]) / 10**0.5
    torch.testing.assert_close(network(torch.tensor([[1.0, 14.0], [5.0, 6.0], [3.0, 10.0]])), wanted)
    assert set(network.state_dict()) == {"centre", "scale"}


def test_the_ranking_by_l2_stays() -> None:
    """Also for vectors far from the origin."""
    vectors = 100 + 7 * torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    network = Identity(size=8)
    network.initialise(vectors[10:])

    def ranking(rows: torch.Tensor) -> torch.Tensor:
        return (rows[:, None] - rows[None]).double().square().sum(-1).argsort(1)

    assert torch.equal(ranking(network(vectors)), ranking(vectors))


def test_equal_vectors_are_only_moved() -> None:
    network = Identity(size=2)
    network.initialise(torch.ones(4, 2))
    assert torch.equal(network(torch.tensor([[1.0, 2.0]])), torch.tensor([[0.0, 1.0]]))


def test_an_impossible_size() -> None:
    with pytest.raises(ValueError, match="got size=0"):
        Identity(size=0)
