"""A two-stage detector: the first stage proposes boxes, the second gives those of them that show an object a class.

Ren et al., "Faster R-CNN", NeurIPS 2015, both stages trained together, with the options of Zhai et al., "Visual
Discovery at Pinterest", WWW 2017, as others summarise it: 100 proposals in place of 300, or those above an objectness.
What it learns are boxes, not codes.
"""

import torch
from torch import Tensor

from dqh.losses.regions import Rule, class_terms, objectness_terms, sample
from dqh.models import Backbone
from dqh.models.detectors.detector_networks import make
from dqh.models.detectors.faster_rcnn_network import ANCHOR_CODER, OVERLAP, PROPOSAL_CODER
from dqh.training.detection.detection_module import DetectionBatch, DetectionModule
from dqh.training.optimizer import Optimizer

ANCHORS = Rule(high=0.6, low=0.3, keep_best=True, boxes=256, share=0.5)
"""Of the first stage, as in the source, §3.1.3, but for .6 in place of .7: of few photos fewer anchors would learn."""

PROPOSALS = Rule(high=0.5, low=0.5, keep_best=False, boxes=32, share=0.4)
"""Of the second stage, as in Girshick, "Fast R-CNN", ICCV 2015, §2.3, but 32 of an image, more of them objects."""

LEARNED_FROM = 300
"""Proposals of an image that are sampled from, where the network answers with fewer."""


class FasterRCNN(DetectionModule):
    """Faster R-CNN on a backbone.

    Args:
        backbone: images → maps; `backbone.size` is the side of the input.
        classes: C.
        optimizer: how the weights move; `lr_multipliers` of `network.trunk` is that of the backbone, of
            `network.trunk.stem` that of its lower layers; what layers of 0 make of the photos is computed once.
        maps: last maps of the backbone that objects are looked for in, 1 … 3.
        width: channels behind the backbone.
        hidden: units of the layers that look at a proposal.
        dropout: share of what they see, and of the units, that a step leaves out.
        proposals: of an image that the second stage looks at; 300 in Ren et al., 100 in Zhai et al.
        objectness: of a proposal at least, 0 … 1; it cuts answers, not the training.
        overlap: intersection over union above which two proposals are one, in answers; .7 in Ren et al. and in the
            training. Of few proposals more may find an object by half where it is less.
        smallest: side of the smallest square anchor, .01 … .5 of that of the input.
        iou: overlap from which a proposal shows an object.
        freeze_norms: whether batch normalisations of the backbone stay as its weights have them.

    Raises:
        ValueError: a value outside its range.
        ConfigError: the backbone has no maps, or its input is too small.
    """

    method = "faster_rcnn"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        optimizer: Optimizer,
        maps: int = 2,
        width: int = 128,
        hidden: int = 256,
        dropout: float = 0.2,
        proposals: int = 100,
        objectness: float = 0.0,
        overlap: float = 0.7,
        smallest: float = 0.06,
        iou: float = 0.5,
        freeze_norms: bool = True,
    ) -> None:
        if not 0 < iou < 1:
            raise ValueError(f"iou must be above 0 and below 1, got {iou}")
        arguments = {
            "maps": maps,
            "width": width,
            "hidden": hidden,
            "dropout": dropout,
            "proposals": proposals,
            "objectness": objectness,
            "overlap": overlap,
            "smallest": smallest,
        }
        network = make(self.method, backbone, classes, arguments, freeze_norms=freeze_norms)
        super().__init__(network, classes=classes, optimizer=optimizer)
        self.arguments = arguments
        self.rule = PROPOSALS._replace(high=iou, low=iou)

    def losses(self, maps: list[Tensor], batch: DetectionBatch) -> dict[str, Tensor]:
        """The terms of both stages, see `dqh.losses.regions`; true boxes are proposals too, as in torchvision."""
        network, truths = self.network, list(zip(batch.boxes, batch.classes, strict=True))
        regions = network.first_stage(maps)
        anchors = [sample(network.anchors, boxes, classes, ANCHORS) for boxes, classes in truths]
        terms = objectness_terms(regions.logits, regions.offsets, network.anchors, anchors, coder=ANCHOR_CODER)
        most = max(LEARNED_FROM, network.proposals)
        selected = network.select(regions, most=most, objectness=0.0, overlap=OVERLAP)
        known = [torch.cat([own[sure > 0], boxes]) for own, sure, boxes in zip(*selected, batch.boxes, strict=True)]
        samples = [sample(own, *truth, self.rule) for own, truth in zip(known, truths, strict=True)]
        chosen = [own[rows.rows] for own, rows in zip(known, samples, strict=True)]
        logits, offsets = network.second_stage(regions.maps, chosen)
        return terms | class_terms(logits, offsets, torch.cat(chosen), samples, coder=PROPOSAL_CODER)
