"""A backbone as the trunk of a detector: maps of several strides in place of one feature vector.

N images of S × S pixels; a map of stride s has about S / s cells a side.
"""

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

RESNET = {"layer2": 8, "layer3": 16, "layer4": 32}

NODES: Mapping[str, Mapping[str, int]] = {
    "mobilenet_v2": {"features.7.conv.0": 8, "features.14.conv.0": 16, "features.18": 32},
    "resnet18": RESNET,
    "resnet34": RESNET,
    "resnet50": RESNET,
    "resnet101": RESNET,
    "resnet152": RESNET,
    "small_resnet": {"0": 1, "1": 2, "2": 4},
    "vgg16": {"features.15": 4, "features.22": 8, "features.29": 16},
}
"""By backbone: layers that a map can be taken of, and their strides in pixels.

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
        self.name = backbone.name
        self.arguments = dict(backbone.arguments)
        self.freeze_norms = freeze_norms
        self.body = _body(backbone, nodes)
        spec = backbone.spec
        self.register_buffer("mean", _of_bytes(spec.mean))
        self.register_buffer("std", _of_bytes(spec.std))
        self.size = spec.size
        self.maps = _measured(self, tuple(nodes.values()))
        if self.maps[-1].side < 2:
            raise ConfigError(
                f"backbone.size: {spec.size} pixels leave {counted(self.maps[-1].side, 'cell')} a side in the last map "
                f"of {backbone.name}, wanted at least 2; choose at least {2 * self.maps[-1].stride} pixels"
            )
        if freeze_norms:
            for module in self.norms():
                module.requires_grad_(False)
        self.body.to(memory_format=torch.channels_last)

    def norms(self) -> list[nn.Module]:
        """Its batch normalisations."""
        return [module for module in self.body.modules() if isinstance(module, _NORMS)]

    def train(self, mode: bool = True) -> "Trunk":
        """Training mode for what trains; frozen normalisations, and a trunk that is wholly frozen, stay as they are."""
        super().train(mode)
        if not any(weight.requires_grad for weight in self.parameters()):
            self.body.eval()
        elif self.freeze_norms:
            for module in self.norms():
                module.eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Raw images (N, 3, S, S), uint8 or float 0 … 255, to maps (N, C, side, side), the finest first."""
        images = images.contiguous(memory_format=torch.channels_last)
        return cast(list[Tensor], list(self.body((images - self.mean) / self.std).values()))


class _Stages(nn.Module):
    """Our small network with the outputs of some of its stages."""

    def __init__(self, backbone: SmallResNet, nodes: Mapping[str, int]) -> None:
        super().__init__()
        self.stem, self.stages = backbone.stem, backbone.stages
        ends = list(accumulate(backbone.arguments["blocks"]))
        self._ends = {ends[int(node)] - 1: node for node in nodes}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        outputs, hidden = {}, self.stem(images)
        for number, block in enumerate(self.stages):
            hidden = block(hidden)
            if number in self._ends:
                outputs[self._ends[number]] = hidden
        return outputs


def _body(backbone: Backbone, nodes: Mapping[str, int]) -> nn.Module:
    """The layers that give the maps of some nodes, with the weights of the backbone."""
    if isinstance(backbone, SmallResNet):
        if backbone.arguments["tap"] != "pool":
            raise ConfigError(f"backbone.tap: got {backbone.arguments['tap']}, a trunk wants all stages; write pool")
        return _Stages(backbone, nodes)
    assert isinstance(backbone, TorchvisionBackbone)
    from torchvision.models.feature_extraction import create_feature_extractor

    full = backbone.build()
    body = cast(nn.Module, create_feature_extractor(full, {node: node for node in nodes}))
    body.load_state_dict(backbone.body.state_dict(), strict=False)  # layers behind the last map are left out
    missing = set(body.state_dict()) - set(backbone.body.state_dict())
    assert not missing, missing
    return body


def _of_bytes(values: Sequence[float]) -> Tensor:
    """(1, 3, 1, 1) values of colours in 0 … 1 as those of bytes."""
    return torch.tensor((np.float32(255) * np.asarray(values, np.float32)).reshape(1, 3, 1, 1))


def _measured(trunk: Trunk, strides: tuple[int, ...]) -> tuple[Map, ...]:
    """The maps of one black image."""
    trunk.eval()
    try:
        with torch.inference_mode():
            outputs = trunk(torch.zeros(1, 3, trunk.size, trunk.size))
    except RuntimeError as error:
        raise ConfigError(f"backbone.size: {trunk.size} pixels are too few for this network: {error}") from error
    trunk.train()
    shapes = [output.shape for output in outputs]
    return tuple(Map(shape[1], shape[2], stride) for shape, stride in zip(shapes, strides, strict=True))
