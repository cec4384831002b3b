"""The network with a whitening first layer: taps, whitening, the start of its convolutions."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from dqh.models import WhitenedConvNet


def pictures() -> torch.Tensor:
    """Smooth random pictures, in which neighbours and channels go together as in photos."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(200, 3, 5, 5, generator=generator)
    colour = torch.tensor([[1.0, 0.8, 0.6], [0.8, 1.0, 0.8], [0.6, 0.8, 1.0]])
    mixed = torch.einsum("ij,njhw->nihw", colour, coarse)
    return functional.interpolate(mixed, 16, mode="bilinear") + 0.3 * torch.randn(200, 3, 16, 16, generator=generator)


@pytest.mark.parametrize(("tap", "dimension"), [("group1", 24), ("group2", 32), ("pool", 40)])
def test_a_tap_is_the_maximum_over_the_maps_of_its_group(tmp_path: Path, tap: str, dimension: int) -> None:
    torch.manual_seed(0)
    full = WhitenedConvNet(widths=(24, 32, 40), size=16).eval()
    save_file(full.state_dict(), tmp_path / "full.safetensors")
    weights = str(tmp_path / "full.safetensors")
    network = WhitenedConvNet(widths=(24, 32, 40), tap=tap, size=16, weights=weights).eval()
    images = torch.randn(2, 3, 16, 16)
    maps = functional.gelu(full.whiten(images))
    for group in full.groups[: full.taps.index(tap) + 1]:
        maps = group(maps)
    features = network(images)
    assert features.shape == (2, dimension) == (2, network.dimension)
    assert torch.equal(features, maps.flatten(2).max(dim=2).values)


def test_the_first_layer_whitens_patches() -> None:
    """Second moments of its outputs are λ / (λ + 5e-4), nearly 1, and the second half is the first one negated."""
    network = WhitenedConvNet(size=16)
    images = pictures()
    network.initialise(images)
    outputs = network.whiten(images).detach().transpose(0, 1).flatten(1).double()
    assert torch.equal(outputs[12:], -outputs[:12])
    moments = outputs[:12] @ outputs[:12].T / outputs.shape[1]
    # all λ of these pictures are above 0.05
    assert torch.allclose(moments, torch.eye(12, dtype=torch.double), atol=0.01)
    assert not network.whiten.weight.requires_grad
    assert network.whiten.bias.requires_grad


def test_given_weights_are_not_initialised_again(tmp_path: Path) -> None:
    first = WhitenedConvNet(size=16)
    first.initialise(pictures())
    save_file(first.state_dict(), tmp_path / "first.safetensors")
    again = WhitenedConvNet(size=16, weights=str(tmp_path / "first.safetensors"))
    again.initialise(2 * pictures())
    assert torch.equal(again.whiten.weight, first.whiten.weight)


def test_the_first_channels_start_as_the_identity() -> None:
    group = WhitenedConvNet(widths=(32, 24, 24), size=16).groups[0]
    images = torch.randn(1, 24, 6, 6)
    assert torch.equal(group.conv1(images)[:, :24], images)
    assert group.conv1.weight[24:].abs().min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tap": "stage1"}, "tap must be one of group1, group2, pool for whitened_convnet, got 'stage1'"),
        ({"widths": (16, 64, 64)}, r"three numbers in 24 … 4096, got \[16, 64, 64\]"),
        ({"widths": (64, 64)}, r"got \[64, 64\]"),
        ({"size": 8}, "size must be at least 16 pixels"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WhitenedConvNet(**options)
