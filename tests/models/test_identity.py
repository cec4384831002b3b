"""The backbone of ready-made features."""

import pytest
import torch

from dqh.errors import DataError
from dqh.models import Identity
from tests.test_outliers import uneven_vectors


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


def test_one_huge_vector_leaves_the_scale_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """Shift and factor are those of the others to the last bit, and the huge one is no vector to train on."""
    vectors = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    with_one, without = Identity(size=6), Identity(size=6)
    without.initialise(vectors)
    assert caplog.text == ""
    with_one.initialise(torch.cat([vectors[:100], torch.full((1, 6), 65504.0), vectors[100:]]))
    assert torch.equal(with_one.centre, without.centre)
    assert torch.equal(with_one.scale, without.scale)
    assert "1 of 301 vectors are more than 10 times as far from the middle" in caplog.text
    assert with_one.unfit(torch.stack([vectors[0], torch.full((6,), 65504.0)])).tolist() == [False, True]


def test_vectors_that_vary_in_length_keep_their_scale() -> None:
    """Lengths that differ by a factor of 20 between the ends, in 8 dimensions: no vector is left out."""
    directions = torch.nn.functional.normalize(torch.randn(500, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    vectors = directions * torch.linspace(0.2, 4, 500)[:, None]
    network = Identity(size=8)
    network.initialise(vectors)
    mean = vectors.double().mean(0)
    assert network.scale == (1 / (vectors.double() - mean).square().mean().sqrt()).float()
    assert not network.unfit(vectors).any()


@pytest.mark.parametrize("scale", [6e-8, 1e-30, 1e30])
def test_tiny_and_huge_numbers_come_to_one(scale: float) -> None:
    """6e-8 is the least of float16; a constant column, and more equal vectors than others, change nothing."""
    vectors = torch.randn(100, 4, generator=torch.Generator().manual_seed(0)).double()
    vectors[:, 2], vectors[:60] = 1.0, 0.0
    network = Identity(size=4)
    network.initialise((vectors * scale).float())
    found = network((vectors * scale).float())
    assert float(found.double().square().mean()) == pytest.approx(1, rel=1e-3)


def test_differences_below_float32_are_refused() -> None:
    with pytest.raises(DataError, match=r"the vectors differ by 1\.2e-40 .* too little for float32; multiply them"):
        Identity(size=2).initialise(torch.tensor([[1.2e-40, 0.0], [-1.2e-40, 2.4e-40]]) * torch.tensor([1.0, 1.0]))


@pytest.mark.parametrize("name", uneven_vectors())
def test_vectors_of_very_different_lengths_are_trained_on(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Shift and scale are the plain ones, which is told; no vector is one that a training refuses."""
    vectors = torch.from_numpy(uneven_vectors()[name])
    network = Identity(size=32)
    network.initialise(vectors)
    assert float(network(vectors).double().square().mean()) == pytest.approx(1, rel=1e-3)
    assert "as half of the others are: too many for outliers, so that shift and scale are those of all" in caplog.text
    assert not network.unfit(vectors).any()
