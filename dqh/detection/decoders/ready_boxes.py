"""Boxes and scores of a fixed number, as the detectors trained here answer: `train.py method=ssd`, `faster_rcnn`.

n boxes, C classes. What is particular to a network, as its default boxes, is done with in the network.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.detection.decoders.decoder import Settings
from dqh.detection.detections import Objects
from dqh.plural import counted

MOST_CANDIDATES = 1000
"""Pairs of a box and a class of one photo, the surest ones: more would say the same again, and take time."""


class ReadyBoxes:
    """Two outputs: boxes (1, n, 4) float32, x0, y0, x1, y1 in pixels of the input, and scores (1, n, C) float32, 0 … 1.

    A box is an object of every class that it is sure enough of.
    """

    name = "ready_boxes"
    usual = Settings(colour="RGB", largest=255.0, padding=114, threshold=0.25, iou=0.45, most=100)

    def size_problem(self, height: int, width: int) -> str | None:
        """Any size may be."""
        return None

    def decode(
        self, outputs: Sequence[NDArray[Any]], *, height: int, width: int, classes: int, threshold: float
    ) -> Objects:
        """See `Decoder.decode`."""
        boxes, scores = _parts(outputs, classes)
        rows, numbers = np.nonzero(scores >= threshold)
        sure = scores[rows, numbers]
        if len(sure) > MOST_CANDIDATES:
            kept = np.sort(np.argsort(-sure, kind="stable")[:MOST_CANDIDATES])
            rows, numbers, sure = rows[kept], numbers[kept], sure[kept]
        return Objects(boxes[rows], sure, numbers.astype(np.int64))


DECODER = ReadyBoxes()


def _parts(outputs: Sequence[NDArray[Any]], classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n, 4) and scores (n, C); `ValueError` where the outputs are something else."""
    shapes = " and ".join(f"{output.dtype.name} {tuple(output.shape)}" for output in outputs)
    known = len(outputs) == 2 and all(output.dtype == np.float32 and output.ndim == 3 for output in outputs)
    if not known or outputs[0].shape != (1, outputs[1].shape[1], 4) or outputs[1].shape[0] != 1:
        raise ValueError(f"its outputs are {shapes}, wanted float32 (1, n, 4) boxes and (1, n, {classes}) scores")
    boxes, scores = outputs[0][0], outputs[1][0]
    if scores.shape[1] != classes:
        named = f"{counted(classes, 'class is', 'classes are')} named"
        raise ValueError(f"its scores are of {counted(scores.shape[1], 'class', 'classes')}, but {named}")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError("it answers with numbers that are not finite")
    low, high = float(scores.min(initial=0)), float(scores.max(initial=0))
    if low < 0 or high > 1:
        raise ValueError(f"it answers with a score of {low if low < 0 else high:.3g}, wanted 0 … 1")
    return boxes, scores
