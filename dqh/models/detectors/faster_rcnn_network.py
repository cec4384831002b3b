"""A two-stage detector (Ren et al., "Faster R-CNN", NeurIPS 2015) on any trunk.

The first stage says of every anchor whether something lies there, and moves it to that; the best boxes, the proposals,
are what the second stage looks at: it pools their part of the maps, and gives each a class and a better box. What a
proposal shows is also said by the mean of the trunk's own maps in it, which a classification network has learned.

N images, A anchors, K proposals of an image, C classes. Its parts are torchvision's: anchors, pyramid, the head of the
first stage, pooling, the layers of the second, coding of boxes. Three departures from torchvision's own network, so
that shapes never depend on values, which no exported graph could have: a proposal has one box for all classes (as in
Dai et al., "R-FCN", NeurIPS 2016, §2), where there are fewer than K proposals the rest is empty, and a proposal is
pooled from the finest joined map, not from one that its size chooses: torchvision's rule would choose that one for all
boxes below 448 pixels where it has a stride of 16. Proposals of all maps meet in one non-maximum suppression, so that
none of the few is spent on an object that another map proposes too.
"""

from collections import OrderedDict
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers
from torchvision.ops import FeaturePyramidNetwork, clip_boxes_to_image, roi_align

from dqh.models.detectors.surest_boxes import Proposals, selected
from dqh.models.detectors.trunk import Trunk

ASPECTS = (0.5, 1.0, 2.0)
"""Height over width of the anchors, as in the source."""

SMALLEST, LARGEST = 0.06, 0.85
"""Sides of the smallest square anchor, where nobody says otherwise, and of the largest, in parts of the input."""

SIDES_OF_MAP = 4
"""Sides of anchors on each map, the smallest on the finest."""

ANCHOR_CODER = BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
"""From an anchor and offsets to a proposal, and back."""

PROPOSAL_CODER = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
"""From a proposal and offsets to the box of an object, and back."""

OVERLAP = 0.7
"""Intersection over union above which two proposals are one, as in the source: where nobody says otherwise."""

POOLED = 7
"""Cells a side that a proposal is pooled to from the finest joined map."""

POOLED_OF_TRUNK = 2
"""The same of the maps of the trunk, of which only the mean is taken."""

SAMPLES = 2
"""Values a side of such a cell, of which the mean is taken."""

LOOKED_AT = 300
"""Proposals among which the boxes are chosen that most surely show something, where K is less; as in the source."""

OVERLAP_OF_MOVED = 0.55
"""Intersection over union above which two of these are one, as of SSD."""

LEAST_DOUBT = 1e-6
"""How far from 0 and from 1 the share of a box that is no background is taken to be, at least."""


class Regions(NamedTuple):
    """What the first stage says of a batch.

    Attributes:
        maps: that the second stage looks at: the finest joined one (N, width, side, side), and those of the trunk.
        logits: (N, A), of whether something lies there.
        offsets: (N, A, 4), by `ANCHOR_CODER`.
        boxes: (N, A, 4), the anchors moved by them, pixels of the input, clipped to it; without a gradient.
    """

    maps: list[Tensor]
    logits: Tensor
    offsets: Tensor
    boxes: Tensor


class FasterRCNNNetwork(nn.Module):
    """Trunk, pyramid, and two stages.

    Args:
        trunk: images → maps.
        classes: C, without the background.
        width: channels of all maps behind the trunk.
        hidden: units of the two layers of the second stage.
        dropout: share of what is pooled, and of these units, that a training step leaves out.
        proposals: K; 300 in the first source, 100 in Zhai et al. 2017.
        objectness: of a proposal at least, 0 … 1, where the network answers; training looks at all.
        overlap: intersection over union above which two proposals are one, where the network answers, 0 … 1; training
            has `OVERLAP`.
        smallest: side of the smallest square anchor, in parts of the input, above 0, at most `LARGEST`; the others lie
            in equal ratios between these.

    Attributes:
        anchors: (A, 4), x0, y0, x1, y1 in pixels of the input.
        proposals: K.
        objectness: as given.
        overlap: as given.
        least_side: cells a side of its coarsest map.
    """

    anchors: Tensor

    def __init__(
        self,
        trunk: Trunk,
        classes: int,
        *,
        width: int = 128,
        hidden: int = 256,
        dropout: float = 0.2,
        proposals: int = 100,
        objectness: float = 0.0,
        overlap: float = OVERLAP,
        smallest: float = SMALLEST,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.proposals = proposals
        self.objectness = objectness
        self.overlap = overlap
        self.least_side = trunk.maps[-1].side
        channels = [part.channels for part in trunk.maps]
        self.neck = FeaturePyramidNetwork(channels, width, norm_layer=nn.BatchNorm2d)
        sides = _sides(len(trunk.maps), smallest * trunk.size, LARGEST * trunk.size)
        generator = AnchorGenerator(sides, (ASPECTS,) * len(trunk.maps))
        self.head = RPNHead(width, generator.num_anchors_per_location()[0])
        self.dropout = nn.Dropout(dropout)
        self.layers = TwoMLPHead(width * POOLED**2, hidden)
        self.context = nn.Linear(sum(channels), hidden, bias=False)
        self.classifier = nn.Linear(hidden + sum(channels), classes + 1)
        self.regressor = nn.Linear(hidden, 4)
        for layer, spread in ((self.classifier, 0.01), (self.regressor, 0.001)):  # Girshick, "Fast R-CNN", ICCV 2015
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)
        self.register_buffer("anchors", _anchors(generator, trunk), persistent=False)

    def first_stage(self, maps: list[Tensor]) -> Regions:
        """What lies where, from the maps of the trunk."""
        named = OrderedDict((str(number), part) for number, part in enumerate(maps))
        joined = list(cast(dict[str, Tensor], self.neck(named)).values())
        logits, offsets = concat_box_prediction_layers(*self.head(joined))
        count, number = joined[0].shape[0], len(self.anchors)
        boxes = ANCHOR_CODER.decode_single(offsets.detach().float(), self.anchors.repeat(count, 1))
        clipped = clip_boxes_to_image(boxes, (self.trunk.size, self.trunk.size))
        return Regions(
            [joined[0], *maps],
            logits.reshape(count, number),
            offsets.reshape(count, number, 4),
            clipped.reshape(count, number, 4),
        )

    def select(
        self,
        regions: Regions,
        *,
        most: int | None = None,
        objectness: float | None = None,
        overlap: float | None = None,
    ) -> Proposals:
        """The proposals among the boxes of the first stage.

        `dqh.detection.proposals.select` does the same in numpy.

        Args:
            regions: of the first stage.
            most: K; None for that of the network.
            objectness: at least; None for that of the network.
            overlap: above which two are one; None for that of the network.
        """
        most = self.proposals if most is None else most
        least = self.objectness if objectness is None else objectness
        iou = self.overlap if overlap is None else overlap
        rows = zip(regions.boxes, regions.logits.detach().float(), strict=True)
        limits: dict[str, Any] = {"most": most, "objectness": least, "iou": iou}
        boxes, logits = zip(*(selected(own, sure, **limits) for own, sure in rows), strict=True)
        return Proposals(torch.stack(boxes), torch.stack(logits))

    def second_stage(self, maps: list[Tensor], boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (n, C + 1), class 0 of the background, and offsets (n, 4) by `PROPOSAL_CODER`.

        Args:
            maps: of the first stage.
            boxes: of each image (n_i, 4), n in all.
        """
        counts = [
            torch.full((len(own), 1), place, dtype=own.dtype, device=own.device) for place, own in enumerate(boxes)
        ]
        return self._looked_at(maps, torch.cat([torch.cat(counts), torch.cat(boxes)], dim=1))

    def answer(self, maps: list[Tensor], proposals: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, K, 4) in pixels of the input, clipped to it, and scores (N, K, C) 0 … 1 without the background.

        Args:
            maps: of the first stage.
            proposals: (N, K, 4).
        """
        count, most = proposals.shape[:2]
        places = torch.arange(count, dtype=proposals.dtype, device=proposals.device).reshape(-1, 1, 1)
        rows = torch.cat([places.expand(-1, most, -1), proposals], dim=2).reshape(-1, 5)
        logits, offsets = self._looked_at(maps, rows)
        boxes = PROPOSAL_CODER.decode_single(offsets.float(), rows[:, 1:])
        clipped = clip_boxes_to_image(boxes, (self.trunk.size, self.trunk.size))
        scores = logits.float().softmax(-1)[:, 1:]
        return clipped.reshape(count, most, 4), scores.reshape(count, most, -1)

    def propose(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes (N, K, 4) in pixels of the input, and scores (N, K, C) 0 … 1, 0 where there is no proposal."""
        regions = self.first_stage(maps)
        proposals = self.select(regions)
        boxes, scores = self.answer(regions.maps, proposals.boxes)
        return boxes, scores * (proposals.objectness > 0).unsqueeze(-1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What `propose` says of raw images (N, 3, S, S), uint8 or float 0 … 255."""
        return self.propose(self.trunk(images))

    def proposals_in(self, images: Tensor) -> Proposals:
        """The K boxes that most surely show something in raw images (N, 3, S, S), whatever it is.

        The second stage moves the `LOOKED_AT` proposals that the first one is surest of, and says how little of each is
        background. `dqh.detection.two_stage` does the same in numpy.
        """
        regions = self.first_stage(self.trunk(images))
        proposals = self.select(regions, most=max(LOOKED_AT, self.proposals))
        boxes, scores = self.answer(regions.maps, proposals.boxes)
        something = scores.sum(-1).logit(eps=LEAST_DOUBT)
        rows = zip(boxes, something, proposals.objectness > 0, strict=True)
        limits: dict[str, Any] = {"most": self.proposals, "objectness": 0.0, "iou": OVERLAP_OF_MOVED}
        surest = [selected(own[proposed], sure[proposed], **limits) for own, sure, proposed in rows]
        own, sure = zip(*surest, strict=True)
        return Proposals(torch.stack(own), torch.stack(sure))

    def _looked_at(self, maps: list[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and offsets of boxes (n, 5), each behind the place of its image."""
        joined, *own = maps
        strides = [part.stride for part in self.trunk.maps]
        pooled = roi_align(joined, rows, POOLED, spatial_scale=1 / strides[0], sampling_ratio=SAMPLES)
        means = [
            roi_align(part, rows, POOLED_OF_TRUNK, spatial_scale=1 / stride, sampling_ratio=SAMPLES).mean((2, 3))
            for part, stride in zip(own, strides, strict=True)
        ]
        seen = self.dropout(torch.cat(means, dim=1))
        hidden = self.dropout(self.layers(self.dropout(pooled)) + torch.relu(self.context(seen)))
        return self.classifier(torch.cat([hidden, seen], dim=1)), self.regressor(hidden)


def _sides(maps: int, smallest: float, largest: float) -> tuple[tuple[float, ...], ...]:
    """Sides of the square anchors of each map, from the smallest to the largest in equal ratios."""
    sides = np.geomspace(smallest, largest, maps * SIDES_OF_MAP).tolist()
    return tuple(tuple(sides[start : start + SIDES_OF_MAP]) for start in range(0, len(sides), SIDES_OF_MAP))


def _anchors(generator: AnchorGenerator, trunk: Trunk) -> Tensor:
    """(A, 4) pixels, in the order of the head: map after map, row after row, cell after cell."""
    with torch.device("cpu"):  # also where the weights are made without numbers
        sides = [[part.side, part.side] for part in trunk.maps]
        strides = [[torch.tensor(part.stride)] * 2 for part in trunk.maps]
        return torch.cat(generator.grid_anchors(sides, strides)).float()
