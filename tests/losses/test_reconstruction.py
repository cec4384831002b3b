"""How much of the features codes leave out."""

import pytest
import torch

from dqh.losses import reconstruction_loss


def test_by_hand() -> None:
    """Squared errors 1, 0, 0 and 4; squared distances from the mean (1, 1): 1, 1, 1 and 1."""
    features = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
    assert reconstruction_loss(torch.tensor([[1.0, 2.0], [2.0, 2.0]]), features).item() == pytest.approx(5 / 4)
    assert reconstruction_loss(features.mean(0).expand(2, 2), features).item() == 1
    assert reconstruction_loss(features, features).item() == 0


def test_units_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    rebuilt, features = torch.randn(2, 6, 5, generator=generator, dtype=torch.double)
    expected = reconstruction_loss(rebuilt, features)
    torch.testing.assert_close(reconstruction_loss(7 * rebuilt + 3, 7 * features + 3), expected)


def test_the_gradient_goes_to_what_is_rebuilt_alone() -> None:
    rebuilt, features = (torch.randn(4, 3, dtype=torch.double, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda values: reconstruction_loss(values, features.detach()), (rebuilt,))
    assert torch.autograd.grad(reconstruction_loss(rebuilt, features), features, allow_unused=True) == (None,)


@pytest.mark.parametrize(("count", "value"), [(1, 1.0), (3, 1.0), (32, 0.1), (3, 0.0)])
def test_equal_features_cost_nothing(count: int, value: float) -> None:
    """The mean of 32 times .1 in float32 is none of them: what is left of the spread is rounding."""
    rebuilt = torch.ones(count, 4, requires_grad=True)
    loss = reconstruction_loss(rebuilt, torch.full((count, 4), value))
    loss.backward()
    assert loss.item() == 0
    assert not rebuilt.grad.any()


def test_half_precision_is_computed_in_float32() -> None:
    """In bf16 257 would be 256, and the sum of 300 ones 256."""
    features = torch.tensor([[0.0], [2.0]]).repeat(150, 1).bfloat16()
    loss = reconstruction_loss(torch.zeros(300, 1).bfloat16(), features)
    assert (loss.dtype, loss.item()) == (torch.float32, 2.0)


@pytest.mark.parametrize(("rebuilt", "features"), [((2, 3), (2, 4)), ((6,), (6,))])
def test_other_shapes_are_refused(rebuilt: tuple[int, ...], features: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must both be \(N, F\), got shapes"):
        reconstruction_loss(torch.zeros(rebuilt), torch.zeros(features))
