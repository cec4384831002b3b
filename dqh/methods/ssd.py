"""A single-shot detector: one pass over an image gives a class and a box for each of some thousand default boxes.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, with the options of Zhai et al., "Visual Discovery at
Pinterest", WWW 2017, as others summarise it: a larger overlap to match, further maps without stride, online hard
examples. What it learns are boxes, not codes.
"""

from typing import Literal

from torch import Tensor

from dqh.losses.multibox import Mining, match, multibox_terms
from dqh.models import Backbone
from dqh.models.detectors.detector_networks import make
from dqh.models.detectors.ssd_network import CODER
from dqh.training.detection.detection_module import DetectionBatch, DetectionModule
from dqh.training.optimizer import Optimizer


class SSD(DetectionModule):
    """SSD on a backbone.

    Args:
        backbone: images → maps; `backbone.size` is the side of the input.
        classes: C.
        optimizer: how the weights move; `lr_multipliers` of `network.trunk` is that of the backbone, of
            `network.trunk.stem` that of its lower layers; what layers of 0 make of the photos is computed once.
        maps: last maps of the backbone that objects are looked for in, 1 … 3.
        width: channels behind the backbone.
        extras: further maps, each over the one before.
        extra_stride: of these; 1 keeps their size, for finer places at more cost.
        pyramid: whether the maps of the backbone are joined from the coarsest to the finest.
        dropout: share of the channels of the backbone's maps that are left out in training, 0 … .9.
        iou: overlap from which a default box is to find an object, .5 in the source, .7 in Zhai et al.
        mining: `negatives` for the hardest of the background, three for each matched box; `all` for the hardest of all
            boxes, as many in sum.
        freeze_norms: whether batch normalisations of the backbone stay as its weights have them.

    Raises:
        ValueError: a value outside its range.
        ConfigError: the backbone has no maps, or its input is too small.
    """

    method = "ssd"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        optimizer: Optimizer,
        maps: int = 2,
        width: int = 128,
        extras: int = 1,
        extra_stride: Literal[1, 2] = 2,
        pyramid: bool = True,
        dropout: float = 0.0,
        iou: float = 0.5,
        mining: Mining = "negatives",
        freeze_norms: bool = True,
    ) -> None:
        if not 0 < iou < 1:
            raise ValueError(f"iou must be above 0 and below 1, got {iou}")
        if mining not in ("negatives", "all"):
            raise ValueError(f"mining must be negatives or all, got {mining!r}")
        arguments = {
            "maps": maps,
            "width": width,
            "extras": extras,
            "extra_stride": extra_stride,
            "pyramid": pyramid,
            "dropout": dropout,
        }
        network = make(self.method, backbone, classes, arguments, freeze_norms=freeze_norms)
        super().__init__(network, classes=classes, optimizer=optimizer)
        self.arguments = arguments
        self.iou = iou
        self.mining: Mining = mining

    def losses(self, maps: list[Tensor], batch: DetectionBatch) -> dict[str, Tensor]:
        """Cross-entropy of the classes and smooth L1 of the offsets, see `dqh.losses.multibox`."""
        output = self.network.heads(maps)
        targets = match(self.network.anchors, batch.boxes, batch.classes, iou=self.iou, coder=CODER)
        return multibox_terms(output.logits, output.offsets, targets, mining=self.mining)
