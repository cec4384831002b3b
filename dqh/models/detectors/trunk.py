"""A backbone as the trunk of a detector: maps of several strides in place of one feature vector.

It has two parts: a stem, up to where the first map begins, and a body that makes the maps. Where the stem does not
learn, what it gives is computed once; see `Trunk.kept`.

N images of S × S pixels; a map of stride s has about S / s cells a side.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from dqh.errors import ConfigError
from dqh.models.backbone import Backbone
from dqh.models.pretrained import TorchvisionBackbone
from dqh.models.small_resnet import SmallResNet
from dqh.plural import counted


class Node(NamedTuple):
    """A layer that a map can be taken of.

    Attributes:
        stride: of the map, pixels of the input a cell.
        stem: the last layer of the stem, where this is the finest map.
    """

    stride: int
    stem: str


RESNET = {"layer2": Node(8, "layer1"), "layer3": Node(16, "layer2"), "layer4": Node(32, "layer3")}

NODES: Mapping[str, Mapping[str, Node]] = {
    "mobilenet_v2": {
        "features.7.conv.0": Node(8, "features.6"),
        "features.14.conv.0": Node(16, "features.13"),
        "features.18": Node(32, "features.17"),
    },
    "resnet18": RESNET,
    "resnet34": RESNET,
    "resnet50": RESNET,
    "resnet101": RESNET,
    "resnet152": RESNET,
    "small_resnet": {"0": Node(1, "stem"), "1": Node(2, "0"), "2": Node(4, "1")},
    "vgg16": {
        "features.15": Node(4, "features.9"),
        "features.22": Node(8, "features.16"),
        "features.29": Node(16, "features.23"),
    },
}
"""By backbone: layers that a map can be taken of.

Of MobileNetV2 these are the widened inputs of the blocks that stride, as in the SSD of Sandler et al. 2018, §6.2, and
the last layer; of the others the ends of the stages. Those of `small_resnet` are the numbers of its stages.
"""

_NORMS = (nn.modules.batchnorm._BatchNorm,)


class Map(NamedTuple):
    """One map of a trunk.

    Attributes:
        channels: of a cell.
        side: cells a side.
        stride: pixels of the input a cell.
    """

    channels: int
    side: int
    stride: int


class Trunk(nn.Module):
    """The layers of a backbone up to its last map, with its weights.

    Args:
        backbone: one of `NODES`; it gives its weights and is not to be used any more.
        maps: how many of its last maps, 1 … 3.
        freeze_norms: whether batch normalisations keep the statistics and factors that they have, also in training: a
            batch of a detector holds few photos.

    Attributes:
        maps: the maps, the finest first.

    Raises:
        ConfigError: the backbone has no maps, or its input is too small for them.
    """

    maps: tuple[Map, ...]
    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, *, maps: int = 2, freeze_norms: bool = True) -> None:
        super().__init__()
        if backbone.name not in NODES:
            raise ConfigError(
                f"backbone: {backbone.name} has no maps to find objects in; choose one of {', '.join(NODES)}"
            )
        nodes = dict(list(NODES[backbone.name].items())[-maps:])
        strides = [node.stride for node in nodes.values()]
        self.name = backbone.name
        self.arguments = dict(backbone.arguments)
        self.freeze_norms = freeze_norms
        self.stem, self.body = _parts(backbone, nodes)
        spec = backbone.spec
        self.register_buffer("mean", _of_bytes(spec.mean))
        self.register_buffer("std", _of_bytes(spec.std))
        self.size = spec.size
        self.maps, self._stem_shape = _measured(self, strides)
        if self.maps[-1].side < 2:
            raise ConfigError(
                f"backbone.size: {spec.size} pixels leave {counted(self.maps[-1].side, 'cell')} a side in the last map "
                f"of {backbone.name}, wanted at least 2; choose at least {2 * self.maps[-1].stride} pixels"
            )
        if freeze_norms:
            for module in self.norms():
                module.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def norms(self) -> list[nn.Module]:
        """Its batch normalisations."""
        return [module for module in self.modules() if isinstance(module, _NORMS)]

    def train(self, mode: bool = True) -> "Trunk":
        """Training mode for what trains; frozen normalisations, and a trunk that is wholly frozen, stay as they are."""
        super().train(mode)
        for part in (self.stem, self.body):
            if _is_frozen(part):
                part.eval()
        if self.freeze_norms:
            for module in self.norms():
                module.eval()
        return self

    @property
    def is_frozen(self) -> bool:
        """Whether no weight moves."""
        return self.stem_is_frozen and _is_frozen(self.body)

    @property
    def stem_is_frozen(self) -> bool:
        """Whether no weight of the stem moves."""
        return _is_frozen(self.stem)

    @property
    def kept_shapes(self) -> list[tuple[int, int, int]]:
        """Channels and sides of what `kept` gives of an image."""
        if self.is_frozen:
            return [(part.channels, part.side, part.side) for part in self.maps]
        return [self._stem_shape]

    def kept(self, images: Tensor) -> list[Tensor]:
        """What raw images (N, 3, S, S) always give while they are trained on: the maps, or what the stem makes of them.

        There is nothing such where weights of the stem move.
        """
        lower = self._lower(images)
        return self._maps(lower) if self.is_frozen else [lower]

    def of_kept(self, kept: Sequence[Tensor]) -> list[Tensor]:
        """The maps, float32, of what `kept` gave, in any precision."""
        values = [part.float() for part in kept]
        return values if self.is_frozen else self._maps(values[0])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Raw images (N, 3, S, S), uint8 or float 0 … 255, to maps (N, C, side, side), the finest first."""
        return self._maps(self._lower(images))

    def _lower(self, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        lower: Tensor = self.stem((images - self.mean) / self.std)
        return lower

    def _maps(self, lower: Tensor) -> list[Tensor]:
        return list(self.body(lower).values())


def _is_frozen(part: nn.Module) -> bool:
    return not any(weight.requires_grad for weight in part.parameters())


class _Stages(nn.Module):
    """Stages of our small network, with the outputs of some of them."""

    def __init__(self, stages: nn.Sequential, nodes: Mapping[int, str]) -> None:
        super().__init__()
        self.stages, self._nodes = stages, dict(nodes)

    def forward(self, hidden: Tensor) -> dict[str, Tensor]:
        outputs = {}
        for number, block in enumerate(self.stages):
            hidden = block(hidden)
            if number in self._nodes:
                outputs[self._nodes[number]] = hidden
        return outputs


def _parts(backbone: Backbone, nodes: Mapping[str, Node]) -> tuple[nn.Module, nn.Module]:
    """The stem and the body for the maps of some nodes, the finest first, with the weights of the backbone."""
    if isinstance(backbone, SmallResNet):
        if backbone.arguments["tap"] != "pool":
            raise ConfigError(f"backbone.tap: got {backbone.arguments['tap']}, a trunk wants all stages; write pool")
        ends = list(accumulate(backbone.arguments["blocks"], initial=0))
        begin = ends[int(next(iter(nodes)))]
        own = {ends[int(node) + 1] - 1 - begin: node for node in nodes}
        return nn.Sequential(backbone.stem, backbone.stages[:begin]), _Stages(backbone.stages[begin:], own)
    assert isinstance(backbone, TorchvisionBackbone)
    from torchvision.models.feature_extraction import create_feature_extractor

    stem, behind = _split(backbone.build(), next(iter(nodes.values())).stem)
    body = cast(nn.Module, create_feature_extractor(behind, {node: node for node in nodes}))
    weights = backbone.body.state_dict()
    for part in (stem, body):
        part.load_state_dict(weights, strict=False)  # the other part, and layers behind the last map, are left out
        missing = set(part.state_dict()) - set(weights)
        assert not missing, missing
    return stem, body


def _split(network: nn.Module, last: str) -> tuple[nn.Module, nn.Module]:
    """The layers of a network up to one of them, and those behind it, under the names that they have in the whole.

    Args:
        network: layers one after the other, in itself or in one sequence that it begins with.
        last: name of a layer.
    """
    *path, name = last.split(".")
    layers = list(network.get_submodule(".".join(path)).named_children())
    end = [own for own, _ in layers].index(name) + 1
    return _sequence(layers[:end], path), _sequence(layers[end:], path)


def _sequence(layers: Sequence[tuple[str, nn.Module]], path: Sequence[str]) -> nn.Module:
    """Named layers one after the other, below the names of a path."""
    sequence: nn.Module = nn.Sequential(OrderedDict(layers))
    for name in reversed(path):
        sequence = nn.Sequential(OrderedDict([(name, sequence)]))
    return sequence


def _of_bytes(values: Sequence[float]) -> Tensor:
    """(1, 3, 1, 1) values of colours in 0 … 1 as those of bytes."""
    return torch.tensor((np.float32(255) * np.asarray(values, np.float32)).reshape(1, 3, 1, 1))


def _measured(trunk: Trunk, strides: Sequence[int]) -> tuple[tuple[Map, ...], tuple[int, int, int]]:
    """The maps of one black image, and the shape of what the stem makes of it."""
    trunk.eval()
    try:
        with torch.inference_mode():
            lower = trunk._lower(torch.zeros(1, 3, trunk.size, trunk.size))
            outputs = trunk._maps(lower)
    except RuntimeError as error:
        raise ConfigError(f"backbone.size: {trunk.size} pixels are too few for this network: {error}") from error
    trunk.train()
    shapes = [output.shape for output in outputs]
    maps = tuple(Map(shape[1], shape[2], stride) for shape, stride in zip(shapes, strides, strict=True))
    _, channels, height, width = lower.shape
    return maps, (channels, height, width)
