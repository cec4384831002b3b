"""A single-shot detector (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016) on any trunk.

N images, A default boxes, C classes. Its layers, heads and coding of boxes are torchvision's.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import Conv2dNormActivation, clip_boxes_to_image

from dqh.models.detectors.surest_boxes import Proposals, selected
from dqh.models.detectors.trunk import Trunk

ASPECTS = (1.0, 2.0, 0.5)
"""Width over height of the default boxes of each size."""

SIZES = 3
"""Of the default boxes around each cell of a map."""

SCALES = (0.08, 0.95)
"""Side of the smallest and of the largest default boxes, in parts of the image."""

PROPOSALS = 100
"""Boxes of an image that are told before they have a class."""

OVERLAP = 0.55
"""Intersection over union above which two of these are one; see `dqh.methods.faster_rcnn`."""

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

    Departures from the source, for a trunk that does not learn along and few photos: the maps of the trunk are brought
    to one width and joined from the coarsest to the finest (Lin et al., "Feature Pyramid Networks", CVPR 2017) unless
    told otherwise; layers behind the trunk are normalised over the batch, and heads and further maps are of depthwise
    convolutions (SSDLite, Sandler et al. 2018, §6.2). Default boxes are
    of more sizes, see `default_boxes`.

    Args:
        trunk: images → maps.
        classes: C, without the background.
        width: channels of all maps behind the trunk.
        extras: maps behind those of the trunk.
        extra_stride: of each of them over the one before; 1 keeps its size, for finer places at more cost.
        pyramid: whether the maps of the trunk are joined.
        dropout: share of the channels of the trunk's maps that are left out in training, 0 … 1, 1 excluded.

    Attributes:
        anchors: (A, 4) default boxes, x0, y0, x1, y1 in pixels of the input.
        least_side: cells a side of its coarsest map.
    """

    anchors: Tensor

    def __init__(
        self,
        trunk: Trunk,
        classes: int,
        *,
        width: int = 128,
        extras: int = 1,
        extra_stride: Literal[1, 2] = 2,
        pyramid: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.dropout = nn.Dropout2d(dropout)
        channels = [part.channels for part in trunk.maps]
        self.neck = _Neck(channels, width, joined=pyramid)
        self.extras = nn.ModuleList(_extra(width, extra_stride) for _ in range(extras))
        sides = [part.side for part in trunk.maps]
        for _ in range(extras):
            sides.append(-(-sides[-1] // extra_stride))
        self.least_side = sides[-1]
        per_cell = SIZES * len(ASPECTS)
        self.head = SSDLiteHead([width] * len(sides), [per_cell] * len(sides), classes + 1, nn.BatchNorm2d)
        self.register_buffer("anchors", default_boxes(sides, trunk.size), persistent=False)

    def heads(self, maps: list[Tensor]) -> SSDOutput:
        """Logits and offsets from the maps of the trunk."""
        seen: list[Tensor] = self.neck([self.dropout(part) for part in maps])
        for layer in self.extras:
            seen.append(layer(seen[-1]))
        outputs = self.head(seen)
        return SSDOutput(outputs["cls_logits"], outputs["bbox_regression"])

    def propose(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes (N, A, 4) in pixels of the input, clipped to it, and scores (N, A, C) 0 … 1 without the background."""
        output = self.heads(maps)
        return self._boxes(output), output.logits.float().softmax(-1)[..., 1:]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What `propose` says of raw images (N, 3, S, S), uint8 or float 0 … 255."""
        return self.propose(self.trunk(images))

    def proposals_in(self, images: Tensor) -> Proposals:
        """The boxes that most surely show something in raw images (N, 3, S, S), whatever it is.

        How sure that is, is what the background leaves. In what `propose` says, one box has a score of every class, so
        that the surest of a class leave little room for those that show something of no clear class.
        """
        output = self.heads(self.trunk(images))
        logits = output.logits.float()
        something = logits[..., 1:].logsumexp(-1) - logits[..., 0]
        rows = zip(self._boxes(output), something, strict=True)
        limits: dict[str, Any] = {"most": PROPOSALS, "objectness": 0.0, "iou": OVERLAP}
        boxes, sure = zip(*(selected(own, one, **limits) for own, one in rows), strict=True)
        return Proposals(torch.stack(boxes), torch.stack(sure))

    def _boxes(self, output: SSDOutput) -> Tensor:
        """Boxes (N, A, 4) in pixels of the input, clipped to it."""
        count, number = output.offsets.shape[:2]
        anchors = self.anchors.repeat(count, 1)
        boxes = CODER.decode_single(output.offsets.reshape(-1, 4).float(), anchors).reshape(count, number, 4)
        clipped: Tensor = clip_boxes_to_image(boxes, (self.trunk.size, self.trunk.size))
        return clipped


class _Neck(nn.Module):
    """The maps of a trunk at one width; where they are joined, each has what the coarser ones see added to it."""

    def __init__(self, channels: list[int], width: int, *, joined: bool) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(Conv2dNormActivation(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(_separable(width, width) for _ in channels) if joined else None

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        own = [layer(part) for layer, part in zip(self.laterals, maps, strict=True)]
        if self.smooth is None:
            return own
        for finer in range(len(own) - 2, -1, -1):
            coarse = functional.interpolate(own[finer + 1], size=own[finer].shape[-2:], mode="nearest")
            own[finer] = own[finer] + coarse
        return [layer(part) for layer, part in zip(self.smooth, own, strict=True)]


def _separable(channels: int, width: int, *, stride: int = 1) -> nn.Module:
    """A 3 × 3 convolution of each channel by itself, and a 1 × 1 one."""
    return nn.Sequential(
        Conv2dNormActivation(channels, channels, 3, stride=stride, groups=channels),
        Conv2dNormActivation(channels, width, 1),
    )


def _extra(width: int, stride: int) -> nn.Module:
    """From one map to the next: to half the channels, and back in cells that stride."""
    return nn.Sequential(Conv2dNormActivation(width, width // 2, 1), _separable(width // 2, width, stride=stride))


def default_boxes(sides: Sequence[int], size: int) -> Tensor:
    """(A, 4) default boxes, x0, y0, x1, y1 in pixels: map by map, row by row, cell by cell, size by size.

    `SIZES` a map grow by one ratio over all maps, and each is there in all `ASPECTS`. Liu et al. 2016 (§2.2) give a map
    one size and, for the square alone, a second; with few maps that leaves gaps which objects fall into.

    Args:
        sides: cells a side of each map, the finest first.
        size: side of the input, pixels.

    Example:
        >>> default_boxes([1], 100)[:3].round().int().tolist()  # side 8, twice as wide, twice as high
        [[46, 46, 54, 54], [44, 47, 56, 53], [47, 44, 53, 56]]
    """
    least, most = SCALES
    count = SIZES * len(sides)
    scales = [least * (most / least) ** (number / (count - 1)) for number in range(count)]
    parts = []
    for number, side in enumerate(sides):
        own = scales[SIZES * number : SIZES * (number + 1)]
        shapes = [(scale * math.sqrt(ratio), scale / math.sqrt(ratio)) for scale in own for ratio in ASPECTS]
        middle = (torch.arange(side, device="cpu") + 0.5) / side
        y, x = torch.meshgrid(middle, middle, indexing="ij")
        half = torch.tensor(shapes, device="cpu") / 2
        centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2)
        parts.append(torch.cat([centres - half, centres + half], dim=-1).reshape(-1, 4))
    return size * torch.cat(parts)
