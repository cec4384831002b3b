"""The base of all detectors that are trained here: a network, named loss terms, validation by its boxes.

A detector is one subclass in `dqh.methods`. It makes a network and says which loss terms a batch has; the rest, from
logging to the artifact, it gets from here. N images, n boxes that a network proposes in one, C classes.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.detection.decoders.ready_boxes import DECODER
from dqh.detection.detections import Objects, detections_of
from dqh.detection.suppression import suppress
from dqh.errors import NonFiniteLossError
from dqh.evaluation.detection import evaluate_detections
from dqh.evaluation.detector_evaluation import LEAST_SCORE
from dqh.models.detectors.trunk import Trunk
from dqh.training.module import full_float32, rest_frozen
from dqh.training.optimizer import Optimizer


class DetectionBatch(NamedTuple):
    """What a step sees.

    Attributes:
        inputs: (N, 3, S, S) raw images, uint8; or what `Trunk.kept` gave of them, (N, C, side, side) each.
        boxes: of each image (K, 4) float32, x0, y0, x1, y1 in pixels of the input.
        classes: of each image (K,) int64.
        rows: (N,) int64, row of each image in its source.
    """

    inputs: Tensor | tuple[Tensor, ...]
    boxes: tuple[Tensor, ...]
    classes: tuple[Tensor, ...]
    rows: Tensor


class DetectionModule(pl.LightningModule):
    """A network that learns boxes. Subclasses implement `losses`.

    Args:
        network: with its trunk as `network.trunk`, and `propose`, which gives boxes (N, n, 4) in pixels of the
            input and scores (N, n, C), 0 … 1, from the maps of the trunk.
        classes: C.
        optimizer: how the weights move; 0 in `lr_multipliers` for `network.trunk` freezes the trunk, for
            `network.trunk.stem` its lower layers.

    Attributes:
        method: the detector's name, as in `conf/method/`.
        arguments: JSON values with which `dqh.models.detectors.detector_networks.make` makes the same network.
    """

    method: ClassVar[str]
    arguments: dict[str, Any]

    def __init__(self, network: nn.Module, *, classes: int, optimizer: Optimizer) -> None:
        super().__init__()
        self.network: Any = network
        self.classes = classes
        self.optimizer = optimizer
        self._measured: list[tuple[int, Objects]] = []
        self._losses: list[tuple[int, float]] = []

    @abstractmethod
    def losses(self, maps: list[Tensor], batch: DetectionBatch) -> dict[str, Tensor]:
        """Named loss terms of a batch, weighted as they are to be summed; each a scalar tensor."""

    @property
    def trunk(self) -> Trunk:
        """What the network stands on."""
        trunk: Trunk = self.network.trunk
        return trunk

    @property
    def about(self) -> dict[str, Any]:
        """What tells it from other detectors, for loggers."""
        return {"method": self.method, "backbone": self.trunk.name, "size": self.trunk.size, **self.arguments}

    def freeze_layers(self) -> None:
        """Freeze what the optimizer's `lr_multipliers` set to 0, to be called when all parameters are there.

        Raises:
            ConfigError: one of its prefixes fits no parameter, or nothing would train.
        """
        self.optimizer.groups(self)
        self.train()

    def train(self, mode: bool = True) -> "DetectionModule":
        """Training mode for what trains, see `rest_frozen`."""
        super().train(mode)
        if mode:
            rest_frozen(self)
        return self

    def maps(self, inputs: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """The maps of the trunk, float32, of images or of what was kept of them."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.trunk.is_frozen):
            return self.trunk(inputs) if isinstance(inputs, Tensor) else self.trunk.of_kept(inputs)

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> dict[str, Tensor]:
        """The summed loss, with the terms for whoever logs them."""
        maps = self.maps(batch.inputs)
        with full_float32():
            terms = self.losses(maps, batch)
        return {"loss": torch.stack(list(terms.values())).sum(), **{k: v.detach() for k, v in terms.items()}}

    def validation_step(self, batch: DetectionBatch, batch_idx: int) -> None:
        """Keep the loss and the objects of each image."""
        maps = self.maps(batch.inputs)
        with full_float32():
            loss = torch.stack(list(self.losses(maps, batch).values())).sum()
            boxes, scores = self.network.propose(maps)
        self.require_finite(boxes, scores, batch.rows)
        self._losses.append((len(batch.rows), float(loss)))
        rows = batch.rows.tolist()
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        sizes = [data.inputs.sizes[row] for row in rows]
        self._measured += zip(rows, objects_in(boxes, scores, sizes), strict=True)

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss, and of the boxes `val/mAP` (AP at an overlap of .5), `val/AP` (.5 … .95) and `val/AR`."""
        measured, losses = self._measured, self._losses
        self._measured, self._losses = [], []
        if not measured:
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        result = evaluate_detections(
            [data.truths[row] for row, _ in measured],
            detections_of([objects for _, objects in measured], DECODER.usual.most),
            class_names=data.source.class_names,
        )
        counts, values = zip(*losses, strict=True)
        self.log("val/loss", float(np.average(values, weights=counts)))
        for name, value in (("mAP", result.ap50), ("AP", result.ap), ("AR", result.ar)):
            self.log(f"val/{name}", math.nan if value is None else value)

    def require_finite(self, boxes: Tensor, scores: Tensor, rows: Tensor) -> None:
        """Raise `NonFiniteLossError` unless what the network proposes in these rows of the source is finite."""
        bad = ~(torch.isfinite(boxes).flatten(1).all(1) & torch.isfinite(scores).flatten(1).all(1))
        if bool(bad.any()):
            source = self.trainer.datamodule.source  # type: ignore[attr-defined]
            ids = [str(source.ids[row]) for row in rows[bad].tolist()]
            raise NonFiniteLossError(
                f"the network became not finite at step {self.trainer.global_step} (epoch "
                f"{self.trainer.current_epoch + 1}): so are the boxes of {len(ids)} images, such as "
                f"{', '.join(ids[:10])}; lower optimizer.lr"
            )

    def configure_optimizers(self) -> Any:
        """Lightning's form of `Optimizer.build`, the schedule stepped once a batch."""
        optimizer, schedule = self.optimizer.build(self, int(self.trainer.estimated_stepping_batches), fused=False)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def objects_in(boxes: Tensor, scores: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Objects]:
    """The objects of each of N inputs, in their pixels, as what comes of the training will find them.

    Boxes are cut to the photo, as they are where a detector is used: what of one lies in the padding beside it is none.

    Args:
        boxes: (N, n, 4).
        scores: (N, n, C).
        sizes: width and height of each photo in its input, in whose top left it lies.
    """
    side = 1  # the decoder looks at shapes alone
    objects = []
    for own, sure, size in zip(boxes.float().cpu().numpy(), scores.float().cpu().numpy(), sizes, strict=True):
        proposed = DECODER.decode(
            (own[np.newaxis], sure[np.newaxis]), height=side, width=side, classes=sure.shape[1], threshold=LEAST_SCORE
        )
        proposed = proposed._replace(boxes=np.clip(proposed.boxes, 0, np.array([*size, *size], np.float32)))
        is_whole: NDArray[np.bool_] = np.all(proposed.boxes[:, :2] < proposed.boxes[:, 2:], axis=1)
        whole = proposed.take(is_whole)
        objects.append(whole.take(suppress(*whole, iou=DECODER.usual.iou, most=DECODER.usual.most)))
    return objects
