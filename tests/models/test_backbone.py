"""What all backbones share: the registry, the architecture, weights from files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dqh.errors import ConfigError
from dqh.models import BACKBONES, Identity, MobileNetV2, SmallResNet, Timm

ARCHITECTURES = {
    "alexnet": ("tap",),
    "identity": (),
    "mobilenet_v2": ("tap",),
    "resnet18": ("tap",),
    "resnet34": ("tap",),
    "resnet50": ("tap",),
    "resnet101": ("tap",),
    "resnet152": ("tap",),
    "small_resnet": ("width", "blocks", "tap"),
    "timm": ("model", "tap"),
    "vgg16": ("tap",),
    "whitened_convnet": ("widths", "tap"),
}


def test_the_registry_has_every_backbone_under_its_name() -> None:
    assert {name: backbone.name for name, backbone in BACKBONES.items()} == {name: name for name in ARCHITECTURES}


def test_the_architecture_leaves_out_weights_downloads_and_input() -> None:
    """An artifact from elsewhere sets these arguments and no others."""
    assert {name: backbone.architecture for name, backbone in BACKBONES.items()} == ARCHITECTURES


@pytest.mark.parametrize("wrapped", [False, True])
def test_safetensors_and_wrapped_checkpoints_load(tmp_path: Path, wrapped: bool) -> None:
    torch.manual_seed(0)
    state = SmallResNet(width=4).state_dict()
    if wrapped:
        path = tmp_path / "net.pt"
        torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    else:
        path = tmp_path / "net.safetensors"
        save_file(state, path)
    loaded = SmallResNet(width=4, weights=str(path)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


MAKES = [
    lambda: SmallResNet(width=8, blocks=(1, 2, 1), size=16),
    lambda: SmallResNet(width=8, blocks=(1, 2, 1), tap="stage2", size=16),
    lambda: Identity(size=5),
    lambda: MobileNetV2(tap="fc", size=64),
    lambda: Timm(model="test_vit", tap="fc", size=64),
]


@pytest.mark.parametrize("make", MAKES)
def test_arguments_build_the_same_architecture(make) -> None:
    network = make()
    again = BACKBONES[network.name](size=network.spec.size, **network.arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in network.state_dict().items()}
    assert again.spec == network.spec
    assert again.dimension == network.dimension
    assert set(network.arguments) == set(network.architecture)


class Evil:
    """Its unpickling would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_weights_file_is_never_executed(tmp_path: Path) -> None:
    torch.save({"conv": Evil(tmp_path / "executed")}, tmp_path / "evil.pt")
    with pytest.raises(ConfigError, match="cannot be read as weights"):
        SmallResNet(weights=str(tmp_path / "evil.pt"))
    assert not (tmp_path / "executed").exists()


def test_weights_that_do_not_fit_are_described(tmp_path: Path) -> None:
    state = SmallResNet(width=4).state_dict()
    state["extra"] = state.pop("stem.0.weight")
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(ConfigError, match=r"missing stem\.0\.weight; unknown extra") as caught:
        SmallResNet(width=4, weights=str(tmp_path / "net.safetensors"))
    assert "does not fit small_resnet" in str(caught.value)
    with pytest.raises(ConfigError, match=r"has shape \(4,\), wanted \(8,\) and \d+ more"):
        SmallResNet(width=8, weights=str(tmp_path / "net.safetensors"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/such.pt", "no file at .*no/such.pt; put the weights there"),
        ("weights.bin", "must end in .pt, .pth or .safetensors"),
    ],
)
def test_paths_that_cannot_be_weights(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SmallResNet(weights=path)
