"""Torchvision's networks: taps, sizes, and the weights by name or from a file, with the input that belongs to them."""

from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import pytest
import torch
import torchvision

from dqh.errors import ConfigError
from dqh.inputs import IMAGENET_MEAN, IMAGENET_STD
from dqh.models import VGG16, AlexNet, MobileNetV2, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from dqh.models.pretrained import _normalisation

FULL = {"pool5": lambda net, images: net.avgpool(net.features(images)).flatten(1)}
RESIDUAL = {
    "pool5": lambda net, images: torch.nn.Sequential(*list(net.children())[:-1])(images).flatten(1),
    "fc": lambda net, images: net(images),
}
WANTED = {
    AlexNet: FULL
    | {
        "fc6": lambda net, images: net.classifier[:3](FULL["pool5"](net, images)),
        "fc7": lambda net, images: net.classifier[:6](FULL["pool5"](net, images)),
        "fc8": lambda net, images: net(images),
    },
    MobileNetV2: {"pool": lambda net, images: net.features(images).mean((2, 3)), "fc": lambda net, images: net(images)},
    VGG16: FULL
    | {
        "fc6": lambda net, images: net.classifier[:2](FULL["pool5"](net, images)),
        "fc7": lambda net, images: net.classifier[:5](FULL["pool5"](net, images)),
        "fc8": lambda net, images: net(images),
    },
} | dict.fromkeys((ResNet18, ResNet34, ResNet50, ResNet101, ResNet152), RESIDUAL)
"""What each tap must give, in layers of torchvision's plain network."""

DIMENSIONS = {
    AlexNet: [9216, 4096, 4096, 1000],
    MobileNetV2: [1280, 1000],
    ResNet18: [512, 1000],
    ResNet34: [512, 1000],
    ResNet50: [2048, 1000],
    ResNet101: [2048, 1000],
    ResNet152: [2048, 1000],
    VGG16: [25088, 4096, 4096, 1000],
}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", WANTED)
def test_every_tap_gives_what_torchvisions_network_has_there(backbone) -> None:
    """With one set of random weights: half a gigabyte of VGG-16 is in memory once."""
    torch.manual_seed(0)
    full = torchvision.models.get_model(backbone.name).eval()
    size = 64 if backbone is AlexNet else 32  # the least they take
    images = torch.randn(2, 3, size, size)
    assert tuple(WANTED[backbone]) == backbone.taps
    for (tap, wanted), dimension in zip(WANTED[backbone].items(), DIMENSIONS[backbone], strict=True):
        with torch.device("meta"):
            network = backbone(tap=tap, size=size).eval()
        own = network.body.state_dict()
        network.body.load_state_dict({k: v for k, v in full.state_dict().items() if k in own}, assign=True)
        with torch.no_grad():
            features = network(images)
            assert torch.equal(features, wanted(full, images))
        assert features.shape == (2, dimension) == (2, network.dimension)


@pytest.mark.slow
def test_weights_of_a_file_and_their_normalisation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    full = torchvision.models.resnet34().eval()
    torch.save(full.state_dict(), tmp_path / "resnet34.pth")
    ours = ResNet34(tap="pool5", size=64, weights=str(tmp_path / "resnet34.pth")).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), RESIDUAL["pool5"](full, images))
    assert ours.spec.mean == IMAGENET_MEAN


@pytest.mark.parametrize(("backbone", "place"), [(AlexNet, "body.classifier.3"), (VGG16, "body.classifier.2")])
def test_dropout_acts_on_fc6_and_not_on_pool5(backbone, place: str) -> None:
    with torch.device("meta"):
        network = backbone(tap="fc7", size=64)
    assert [name for name, module in network.named_modules() if isinstance(module, torch.nn.Dropout)] == [place]


def test_normalisation_follows_the_weights_and_can_be_set() -> None:
    assert ResNet18(tap="pool5").spec.mean == (0.5, 0.5, 0.5)
    assert ResNet18(tap="pool5", mean=(0.1, 0.2, 0.3)).spec.mean == (0.1, 0.2, 0.3)


@pytest.mark.slow
def test_weights_of_a_name_bring_their_normalisation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    full = torchvision.models.mobilenet_v2()
    url = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V2.url
    (tmp_path / "checkpoints").mkdir()
    torch.save(full.state_dict(), tmp_path / "checkpoints" / Path(urlparse(url).path).name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    ours = MobileNetV2(tap="pool", size=64, weights="IMAGENET1K_V2")
    assert (ours.spec.mean, ours.spec.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert ours.spec.interpolation == "bilinear"
    loaded = ours.body.state_dict()
    assert all(torch.equal(value, full.state_dict()[name]) for name, value in loaded.items())
    assert "classifier.1.weight" not in loaded
    own = MobileNetV2(tap="pool", size=64, weights="IMAGENET1K_V2", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    assert (own.spec.mean, own.spec.std) == ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("name", "interpolation"),
    [
        ("AlexNet_Weights.IMAGENET1K_V1", "bilinear"),
        ("ResNet50_Weights.IMAGENET1K_V2", "bilinear"),
        ("EfficientNet_B0_Weights.IMAGENET1K_V1", "bicubic"),
    ],
)
def test_normalisation_is_that_of_torchvisions_entry(name: str, interpolation: str) -> None:
    entry = torchvision.models.get_weight(name)
    assert _normalisation(entry, pretrained=True) == (IMAGENET_MEAN, IMAGENET_STD, interpolation)


def test_other_numbers_of_an_entry_are_taken_over() -> None:
    """All entries of torchvision have ImageNet's mean and std, so that a made-up one stands in."""

    class Entry:
        def transforms(self):
            return torchvision.transforms._presets.ImageClassification(crop_size=9, mean=(0.1,) * 3, std=(0.2,) * 3)

    assert _normalisation(Entry(), pretrained=True) == ((0.1,) * 3, (0.2,) * 3, "bilinear")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AlexNet(tap="fc77"), "tap must be one of pool5, fc6, fc7, fc8 for alexnet, got 'fc77'; did you mean"),
        (
            lambda: ResNet18(tap="pool5", weights="IMAGENET"),
            "one of IMAGENET1K_V1, DEFAULT for resnet18, got 'IMAGENET'",
        ),
        (lambda: AlexNet(tap="fc7", size=32), "size 32 is too small"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_torchvisions_weights_are_not_fetched_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match=rf"looked at {tmp_path}.*backbone\.download=true .* put the file of https"):
        ResNet18(tap="pool5", weights="IMAGENET1K_V1")


@pytest.mark.parametrize(
    "error",
    [
        URLError(OSError(-3, "Temporary failure in name resolution")),
        PermissionError(13, "Permission denied"),
        RuntimeError("invalid hash value"),
        IncompleteRead(b""),
    ],
)
def test_a_download_that_fails_says_where_the_file_belongs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ConfigError, match="IMAGENET1K_V1 could not be downloaded to ") as caught:
        MobileNetV2(tap="pool", size=64, weights="IMAGENET1K_V1", download=True)
    path = tmp_path / "checkpoints" / "mobilenet_v2-b0353104.pth"
    assert f"downloaded to {path} ({error})" in str(caught.value)
    assert "or put the file of https://download.pytorch.org/models/mobilenet_v2-b0353104.pth there" in str(caught.value)


def test_a_download_lands_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetched = []

    def download(url: str, path: str, hash_prefix: str) -> None:
        fetched.append((url, hash_prefix))
        torch.save(torchvision.models.mobilenet_v2().state_dict(), path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        MobileNetV2(tap="pool", size=64, weights="IMAGENET1K_V1", download=True)
    assert fetched == [("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth", "b0353104")]
