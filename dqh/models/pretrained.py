"""AlexNet, VGG, ResNet and MobileNetV2 of torchvision, cut at a tap, with torchvision's weights or a local file's."""

import copy
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from dqh.errors import ConfigError
from dqh.files import make_folders
from dqh.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from dqh.models.backbone import Backbone, read_weights

Triple = tuple[float, float, float]


class TorchvisionBackbone(Backbone):
    """A torchvision network up to a tap. Subclasses give its name in torchvision and its taps, and nothing else.

    Args:
        tap: the layer whose output is the feature, one of `taps`.
        size: side of the input, pixels.
        resize: side of the square that training crops from, pixels; None for `size`.
        mirror: whether features are the mean of those of an image and of its mirror image, see `InputSpec`.
        weights: None for a random start, a name of torchvision's such as `IMAGENET1K_V1`, or the path of a `.pt`,
            `.pth` or `.safetensors` file.
        download: fetch torchvision's weights where they are not on this machine yet.
        mean: of each colour channel, in 0 … 1; None for that of the weights (ImageNet's for a local file, 0.5
            without weights).
        std: likewise.

    Raises:
        ConfigError: unknown tap or weights, or weights that are missing or do not fit.
        ValueError: sizes that cannot be.
    """

    architecture = ("tap",)
    nodes: ClassVar[Mapping[str, str]]

    def __init__(
        self,
        *,
        tap: str,
        size: int = 224,
        resize: int | None = None,
        mirror: bool = False,
        weights: str | None = None,
        download: bool = False,
        mean: Triple | None = None,
        std: Triple | None = None,
    ) -> None:
        super().__init__()
        self.require_tap(tap)
        entry = _torchvision_entry(self.name, weights)
        own_mean, own_std, interpolation = _normalisation(entry, pretrained=weights is not None)
        self.spec = InputSpec(
            size=size,
            resize=resize or size,
            mean=mean or own_mean,
            std=std or own_std,
            interpolation=interpolation,
            mirror=mirror,
        )
        self.arguments = {"tap": tap}
        full = self.build()
        names = set(full.state_dict())
        from torchvision.models.feature_extraction import create_feature_extractor

        self.body = create_feature_extractor(full, {self.nodes[tap]: "features"})
        self.dimension = _output_size(self.body, size)
        if weights is not None:
            given = _fetch(entry, download=download) if entry is not None else read_weights(Path(weights))
            behind = names - set(self.body.state_dict())
            self.load_weights({f"body.{name}": value for name, value in given.items() if name not in behind}, weights)

    def build(self) -> nn.Module:
        """The whole network, with random weights."""
        import torchvision

        return cast(nn.Module, torchvision.models.get_model(self.name, weights=None))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32 in model space to features, (N, F)."""
        return cast(Tensor, self.body(images)["features"])


class AlexNet(TorchvisionBackbone):
    """AlexNet (Krizhevsky 2014, torchvision's variant: no local response normalisation, no groups).

    fc6 and fc7 are taken after their ReLU and before dropout. As in the network of Lin et al. 2015, dropout 0.5 acts
    on fc6, and on fc7 in the hash head, where torchvision drops pool5 and fc6.
    """

    name = "alexnet"
    nodes: ClassVar = {
        "pool5": "flatten",
        "fc6": "classifier.2",
        "fc7": "classifier.5",
        "fc8": "classifier.6",
    }
    taps = tuple(nodes)

    def build(self) -> nn.Module:
        """The whole network without dropout on pool5."""
        network = super().build()
        network.get_submodule("classifier").register_module("0", nn.Identity())
        return network


class VGG16(TorchvisionBackbone):
    """VGG-16 (Simonyan and Zisserman 2015, configuration D).

    fc6 and fc7 are taken after their ReLU and before dropout; dropout on fc7 is up to the hash head.
    """

    name = "vgg16"
    nodes: ClassVar = {
        "pool5": "flatten",
        "fc6": "classifier.1",
        "fc7": "classifier.4",
        "fc8": "classifier.6",
    }
    taps = tuple(nodes)


class ResNet18(TorchvisionBackbone):
    """ResNet-18 (He et al. 2016)."""

    name = "resnet18"
    nodes: ClassVar = {"pool5": "flatten", "fc": "fc"}
    taps = tuple(nodes)


class ResNet34(TorchvisionBackbone):
    """ResNet-34 (He et al. 2016)."""

    name = "resnet34"
    nodes: ClassVar = {"pool5": "flatten", "fc": "fc"}
    taps = tuple(nodes)


class ResNet50(TorchvisionBackbone):
    """ResNet-50 (He et al. 2016)."""

    name = "resnet50"
    nodes: ClassVar = {"pool5": "flatten", "fc": "fc"}
    taps = tuple(nodes)


class ResNet101(TorchvisionBackbone):
    """ResNet-101 (He et al. 2016)."""

    name = "resnet101"
    nodes: ClassVar = {"pool5": "flatten", "fc": "fc"}
    taps = tuple(nodes)


class ResNet152(TorchvisionBackbone):
    """ResNet-152 (He et al. 2016)."""

    name = "resnet152"
    nodes: ClassVar = {"pool5": "flatten", "fc": "fc"}
    taps = tuple(nodes)


class MobileNetV2(TorchvisionBackbone):
    """MobileNetV2 (Sandler et al. 2018)."""

    name = "mobilenet_v2"
    nodes: ClassVar = {"pool": "flatten", "fc": "classifier.1"}
    taps = tuple(nodes)


def _torchvision_entry(network: str, weights: str | None) -> Any:
    """Torchvision's entry for a weight name; None for a file or no weights."""
    if weights is None or "/" in weights or Path(weights).suffix:
        return None
    import torchvision

    names = torchvision.models.get_model_weights(network).__members__
    if weights not in names:
        raise ConfigError(
            f"weights must be null, the path of a .pt, .pth or .safetensors file, or one of {', '.join(names)} "
            f"for {network}, got {weights!r}"
        )
    return names[weights]


def _normalisation(entry: Any, *, pretrained: bool) -> tuple[Triple, Triple, Any]:
    """Mean, std and interpolation that belong to the weights."""
    if entry is None:
        return (IMAGENET_MEAN, IMAGENET_STD, "bilinear") if pretrained else ((0.5,) * 3, (0.5,) * 3, "bilinear")
    transforms = entry.transforms()
    return tuple(transforms.mean), tuple(transforms.std), transforms.interpolation.value


def _fetch(entry: Any, *, download: bool) -> dict[str, Tensor]:
    """Torchvision's weights from this machine, or from its server where asked to."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name
    if path.is_file():
        return read_weights(path)
    if not download:
        raise ConfigError(
            f"weights: {entry.name} is not on this machine (looked at {path}); pass backbone.download=true to fetch "
            f"it, or put the file of {entry.url} there"
        )
    try:
        make_folders(path.parent)
        torch.hub.download_url_to_file(entry.url, str(path), hash_prefix=path.stem.rpartition("-")[2])
    except (OSError, RuntimeError, HTTPException) as error:  # no network or server, no space, another checksum
        raise ConfigError(
            f"weights: {entry.name} could not be downloaded to {path} ({error or type(error).__name__}); look at the "
            f"network and the folder and run again, or put the file of {entry.url} there"
        ) from error
    return read_weights(path)


def _output_size(body: nn.Module, size: int) -> int:
    """Length of the features, from a pass over tensors without storage."""
    bare: dict[int, Tensor] = {id(value): nn.Parameter(value.to("meta")) for value in body.parameters()}
    bare |= {id(value): value.to("meta") for value in body.buffers()}
    body = copy.deepcopy(body, bare).eval()
    try:
        features: Tensor = body(torch.empty(1, 3, size, size, device="meta"))["features"]
    except RuntimeError as error:
        raise ConfigError(f"size {size} is too small for this network: {error}") from error
    return features.shape[1]
