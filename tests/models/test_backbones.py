"""All backbones: taps, shapes, weights from files, and the same architecture again from its arguments."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from dqh.errors import ConfigError
from dqh.inputs import IMAGENET_MEAN
from dqh.models import BACKBONES, AlexNet, Identity, MobileNetV2, ResNet18, ResNet50, SmallResNet

TAPS = [
    (AlexNet, "pool5", 9216),
    (AlexNet, "fc6", 4096),
    (AlexNet, "fc7", 4096),
    (AlexNet, "fc8", 1000),
    (ResNet18, "pool5", 512),
    (ResNet18, "fc", 1000),
    (ResNet50, "pool5", 2048),
    (MobileNetV2, "pool", 1280),
    (MobileNetV2, "fc", 1000),
]


@pytest.mark.parametrize(("backbone", "tap", "dimension"), TAPS)
def test_a_tap_gives_features_of_its_size(backbone, tap: str, dimension: int) -> None:
    network = backbone(tap=tap, size=64).eval()
    with torch.no_grad():
        features = network(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, dimension) == (2, network.dimension)


def test_the_registry_has_every_backbone_under_its_name() -> None:
    assert {name: backbone.name for name, backbone in BACKBONES.items()} == {name: name for name in BACKBONES}
    assert set(BACKBONES) == {"alexnet", "identity", "mobilenet_v2", "resnet18", "resnet50", "small_resnet"}


def test_fc7_is_torchvisions_fc7_after_its_relu(tmp_path: Path) -> None:
    torch.manual_seed(0)
    full = torchvision.models.alexnet().eval()
    torch.save(full.state_dict(), tmp_path / "alexnet.pth")
    ours = AlexNet(tap="fc7", size=64, weights=str(tmp_path / "alexnet.pth")).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        hidden = full.avgpool(full.features(images)).flatten(1)
        assert torch.equal(ours(images), full.classifier[:6](hidden))
    assert ours.spec.mean == IMAGENET_MEAN


def test_dropout_acts_on_fc6_and_not_on_pool5() -> None:
    network = AlexNet(tap="fc7", size=64)
    assert [name for name, module in network.named_modules() if isinstance(module, torch.nn.Dropout)] == [
        "body.classifier.3"
    ]


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


def test_normalisation_follows_the_weights_and_can_be_set() -> None:
    assert ResNet18(tap="pool5").spec.mean == (0.5, 0.5, 0.5)
    assert ResNet18(tap="pool5", mean=(0.1, 0.2, 0.3)).spec.mean == (0.1, 0.2, 0.3)


@pytest.mark.parametrize("make", [lambda: SmallResNet(width=8, blocks=(1, 2, 1), size=16), lambda: Identity(size=5)])
def test_arguments_build_the_same_architecture(make) -> None:
    network = make()
    again = BACKBONES[network.name](size=network.spec.size, **network.arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in network.state_dict().items()}
    assert again.spec == network.spec


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AlexNet(tap="fc77"), "tap must be one of pool5, fc6, fc7, fc8 for alexnet, got 'fc77'; did you mean"),
        (lambda: SmallResNet(tap="fc7"), "tap must be one of pool for small_resnet, got 'fc7'"),
        (
            lambda: ResNet18(tap="pool5", weights="IMAGENET"),
            "one of IMAGENET1K_V1, DEFAULT for resnet18, got 'IMAGENET'",
        ),
        (lambda: ResNet18(tap="pool5", weights="no/such.pt"), "no file at .*no/such.pt; put the weights there"),
        (lambda: ResNet18(tap="pool5", weights="weights.bin"), "must end in .pt, .pth or .safetensors"),
        (lambda: AlexNet(tap="fc7", size=32), "size 32 is too small"),
        (lambda: SmallResNet(width=0), "at least 1, got 0"),
        (lambda: SmallResNet(size=0), "got size=0"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_torchvisions_weights_are_not_fetched_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match=rf"looked at {tmp_path}.*download=true .* put the file of https"):
        ResNet18(tap="pool5", weights="IMAGENET1K_V1")


def test_weights_that_do_not_fit_are_described(tmp_path: Path) -> None:
    state = SmallResNet(width=4).state_dict()
    state["extra"] = state.pop("stem.0.weight")
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(ConfigError, match=r"missing stem\.0\.weight; unknown extra") as caught:
        SmallResNet(width=4, weights=str(tmp_path / "net.safetensors"))
    assert "does not fit small_resnet" in str(caught.value)
    with pytest.raises(ConfigError, match=r"has shape \(4,\), wanted \(8,\) and \d+ more"):
        SmallResNet(width=8, weights=str(tmp_path / "net.safetensors"))
