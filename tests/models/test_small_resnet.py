"""The small residual network: taps, names of its weights, bounds."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from dqh.models import SmallResNet
from dqh.models.small_resnet import ResidualBlock


@pytest.mark.parametrize(("tap", "dimension"), [("stage1", 8), ("stage2", 16), ("pool", 32)])
def test_a_tap_is_the_mean_of_its_stage(tmp_path: Path, tap: str, dimension: int) -> None:
    """Width 8 and 1, 2, 1 blocks: the stages end with block 0, 2 and 3. Weights of the full network fit."""
    torch.manual_seed(0)
    full = SmallResNet(width=8, blocks=(1, 2, 1), size=16).eval()
    save_file(full.state_dict(), tmp_path / "full.safetensors")
    weights = str(tmp_path / "full.safetensors")
    network = SmallResNet(width=8, blocks=(1, 2, 1), tap=tap, size=16, weights=weights).eval()
    images = torch.randn(2, 3, 16, 16)
    maps = full.stem(images)
    for block in full.stages[: {"stage1": 1, "stage2": 3, "pool": 4}[tap]]:
        maps = block(maps)
    features = network(images)
    assert features.shape == (2, dimension) == (2, network.dimension)
    assert torch.equal(features, maps.mean(dim=(2, 3)))


def test_layers_behind_the_tap_are_not_built() -> None:
    names = {tap: set(SmallResNet(width=4, tap=tap).state_dict()) for tap in SmallResNet.taps}
    assert names["stage1"] < names["stage2"] < names["pool"]
    assert not any(name.startswith(("stages.1", "stages.2")) for name in names["stage1"])
    assert names["stage1"] == {name for name in names["pool"] if name.startswith(("stem.", "stages.0."))}


def test_the_names_of_the_weights_stay() -> None:
    """Artifacts hold them. Blocks count through all stages; the shortcut of the first one has no weights."""
    normalised = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    block = ["conv1.weight", "conv2.weight", *(f"bn{number}.{name}" for number in (1, 2) for name in normalised)]
    shortcut = ["shortcut.0.weight", *(f"shortcut.1.{name}" for name in normalised)]
    wanted = {"stem.0.weight", *(f"stem.1.{name}" for name in normalised)}
    wanted |= {f"stages.{number}.{name}" for number in range(4) for name in block}
    wanted |= {f"stages.{number}.{name}" for number in (1, 3) for name in shortcut}
    assert set(SmallResNet(width=4, blocks=(1, 2, 1)).state_dict()) == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tap": "fc7"}, "tap must be one of stage1, stage2, pool for small_resnet, got 'fc7'"),
        ({"width": 0}, r"width must be in 1 … 1024 .*, got width=0, blocks=\[1, 1, 1\]"),
        ({"width": 1025}, "width must be in 1 … 1024 .*, got width=1025"),
        ({"blocks": (1, 1)}, r"blocks three numbers in 1 … 100, got width=16, blocks=\[1, 1\]"),
        ({"blocks": (1, 0, 1)}, r"in 1 … 100, .*blocks=\[1, 0, 1\]"),
        ({"blocks": (1, 1, 1001)}, r"in 1 … 100, .*blocks=\[1, 1, 1001\]"),
        ({"size": 0}, "got size=0"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmallResNet(**options)


def test_the_largest_network_can_be_described() -> None:
    with torch.device("meta"):
        assert SmallResNet(width=1024, tap="stage1").dimension == 1024


def test_a_narrow_shortcut_is_the_strided_convolution() -> None:
    """Fewer than 8 channels: every second pixel first, then 1 × 1, which is the sum over 1 × 1 windows at stride 2."""
    torch.manual_seed(0)
    block = ResidualBlock(4, 8, stride=2).double().eval()
    convolution, norm = block.shortcut[0], block.shortcut[1]  # type: ignore[index]
    assert convolution.stride == (1, 1)
    images = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    strided = norm(functional.conv2d(images, convolution.weight, stride=2))
    hidden = functional.relu(block.bn1(block.conv1(images)))
    torch.testing.assert_close(block(images), functional.relu(block.bn2(block.conv2(hidden)) + strided))
    assert ResidualBlock(8, 16, stride=2).shortcut[0].stride == (2, 2)  # type: ignore[index]
