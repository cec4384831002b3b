"""A single-shot detector (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016) on any trunk.

N images, A default boxes, C classes. Its parts are torchvision's: default boxes, heads, pyramid, coding of boxes.
"""

from collections import OrderedDict
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSDHead
from torchvision.ops import FeaturePyramidNetwork, clip_boxes_to_image

from dqh.models.detectors.trunk import Trunk

ASPECTS = (2, 3)
"""Ratios of the sides of the default boxes, either way, beside 1."""

SCALES = (0.1, 0.9)
"""Side of the default boxes of the finest and the coarsest map, in parts of the image."""

CODER = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
"""From a default box and offsets to a box, and back, as in the source."""


class SSDOutput(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: (N, A, C + 1) float; class 0 is background.
        offsets: (N, A, 4) float, by `CODER`.
    """

    logits: Tensor
    offsets: Tensor


class SSDNetwork(nn.Module):
    """Trunk, further maps of falling size, and on each map a class and a box for every default box.

    The maps of the trunk are brought to one width, and joined from the coarsest to the finest (Lin et al., "Feature
    Pyramid Networks", CVPR 2017) unless told otherwise. That is a departure from the source, whose trunk learns along.

    Args:
        trunk: images → maps.
        classes: C, without the background.
        width: channels of all maps behind the trunk.
        extras: maps behind those of the trunk.
        extra_stride: of each of them over the one before; 1 keeps its size, for finer places at more cost.
        pyramid: whether the maps of the trunk are joined.

    Attributes:
        anchors: (A, 4) default boxes, x0, y0, x1, y1 in pixels of the input.
    """

    anchors: Tensor

    def __init__(
        self,
        trunk: Trunk,
        classes: int,
        *,
        width: int = 256,
        extras: int = 3,
        extra_stride: Literal[1, 2] = 2,
        pyramid: bool = True,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        channels = [part.channels for part in trunk.maps]
        self.neck: nn.Module = FeaturePyramidNetwork(channels, width) if pyramid else _Laterals(channels, width)
        self.extras = nn.ModuleList(_extra(width, extra_stride) for _ in range(extras))
        sides = [part.side for part in trunk.maps]
        for _ in range(extras):
            sides.append(-(-sides[-1] // extra_stride))
        boxes = DefaultBoxGenerator([list(ASPECTS)] * len(sides), min_ratio=SCALES[0], max_ratio=SCALES[1])
        self.head = SSDHead([width] * len(sides), boxes.num_anchors_per_location(), classes + 1)
        self.register_buffer("anchors", _default_boxes(boxes, sides, trunk.size), persistent=False)

    def heads(self, maps: list[Tensor]) -> SSDOutput:
        """Logits and offsets from the maps of the trunk."""
        named = OrderedDict((str(number), part) for number, part in enumerate(maps))
        seen = [torch.relu(part) for part in cast(dict[str, Tensor], self.neck(named)).values()]
        for layer in self.extras:
            seen.append(layer(seen[-1]))
        outputs = self.head(seen)
        return SSDOutput(outputs["cls_logits"], outputs["bbox_regression"])

    def propose(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes (N, A, 4) in pixels of the input, clipped to it, and scores (N, A, C) 0 … 1 without the background."""
        output = self.heads(maps)
        count, number = output.offsets.shape[:2]
        anchors = self.anchors.repeat(count, 1)
        boxes = CODER.decode_single(output.offsets.reshape(-1, 4).float(), anchors).reshape(count, number, 4)
        clipped = clip_boxes_to_image(boxes, (self.trunk.size, self.trunk.size))
        return clipped, output.logits.float().softmax(-1)[..., 1:]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What `propose` says of raw images (N, 3, S, S), uint8 or float 0 … 255."""
        return self.propose(self.trunk(images))


class _Laterals(nn.Module):
    """A 1 × 1 convolution for each map."""

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: layer(part) for (name, part), layer in zip(maps.items(), self.layers, strict=True)}


def _extra(width: int, stride: int) -> nn.Module:
    """From one map to the next: a narrow 1 × 1 convolution, and a 3 × 3 one that strides."""
    layers = nn.Sequential(
        nn.Conv2d(width, width // 2, 1),
        nn.ReLU(),
        nn.Conv2d(width // 2, width, 3, stride=stride, padding=1),
        nn.ReLU(),
    )
    for layer in (layers[0], layers[2]):
        nn.init.kaiming_normal_(cast(Tensor, layer.weight), mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, layer.bias))
    return layers


def _default_boxes(generator: DefaultBoxGenerator, sides: list[int], size: int) -> Tensor:
    """(A, 4) in pixels of an input of size × size."""
    with torch.device("cpu"):  # also where the weights are made without numbers
        images = ImageList(torch.zeros(1, 3, size, size), [(size, size)])
        (boxes,) = generator(images, [torch.zeros(1, 1, side, side) for side in sides])
    return cast(Tensor, boxes)
