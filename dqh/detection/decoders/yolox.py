"""The output of YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021"), as its own program exports it to ONNX.

A anchors: one a cell of three grids over the input, C classes.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.detection.decoders.decoder import Settings
from dqh.detection.detections import Objects
from dqh.plural import counted

STRIDES = (8, 16, 32)
"""Pixels a side of the cells of each grid, in the order of the output."""

_BEFORE_CLASSES = 5
"""Numbers of an anchor before those of the classes: x, y, width, height, objectness."""


class YOLOX:
    """One output (1, A, 5 + C) float: of each anchor x, y, log width, log height, objectness, and a score a class.

    Places and sizes are in cells, from the corner of the anchor's own cell. Objectness and scores have passed a sigmoid
    in the network, as YOLOX exports them. An anchor is of the class that it is surest of, by objectness × score of the
    class, which is what the post-processing of YOLOX does.
    """

    name = "yolox"
    usual = Settings(colour="BGR", largest=255.0, padding=114, threshold=0.25, iou=0.45, most=100)

    def size_problem(self, height: int, width: int) -> str | None:
        """Both sides are multiples of the largest stride."""
        step = max(STRIDES)
        if height % step == width % step == 0:
            return None
        return f"the input of a YOLOX has sides of a multiple of {step} pixels, got {height} × {width}"

    def decode(
        self, outputs: Sequence[NDArray[Any]], *, height: int, width: int, classes: int, threshold: float
    ) -> Objects:
        """See `Decoder.decode`."""
        rows = _rows(outputs, height, width, classes)
        corners, strides = _cells(height, width)
        near = np.flatnonzero(rows[:, 4] >= threshold)  # no class makes an anchor surer than its objectness
        rows, corners, strides = rows[near], corners[near], strides[near]
        by_class = rows[:, 4:5] * rows[:, _BEFORE_CLASSES:]
        best = by_class.argmax(axis=1)
        scores = by_class[np.arange(len(rows)), best]
        sure = scores >= threshold
        rows, corners, strides = rows[sure], corners[sure], strides[sure]
        # centre = (corner + xy) · stride, size = exp(log size) · stride
        with np.errstate(over="ignore"):  # it is looked at below
            centres = (corners + rows[:, :2]) * strides
            sizes = np.exp(rows[:, 2:4]) * strides
        boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
        if not np.isfinite(boxes).all():
            raise ValueError("it answers with boxes that are larger than any number, as no YOLOX does")
        return Objects(boxes, scores[sure], best[sure].astype(np.int64))


DECODER = YOLOX()


def _rows(outputs: Sequence[NDArray[Any]], height: int, width: int, classes: int) -> NDArray[np.float32]:
    """The one output as (A, 5 + C); `ValueError` where it is none of YOLOX."""
    shapes = " and ".join(f"{output.dtype.name} {_shape(output)}" for output in outputs) or "nothing"
    anchors = len(_cells(height, width)[0])
    wanted = f"wanted one of float32 (1, {anchors}, {_BEFORE_CLASSES + classes})"
    if len(outputs) != 1:
        raise ValueError(f"it has {counted(len(outputs), 'output')}, {shapes}, {wanted}")
    (output,) = outputs
    known = output.dtype == np.float32 and output.ndim == 3
    if not known or output.shape[:2] != (1, anchors) or output.shape[2] <= _BEFORE_CLASSES:
        raise ValueError(
            f"its output is {shapes}, {wanted}: {anchors} anchors, of strides {', '.join(map(str, STRIDES))} over "
            f"{height} × {width} pixels; no other head is read"
        )
    if output.shape[2] != _BEFORE_CLASSES + classes:
        raise ValueError(
            f"its output is {shapes}, which is {counted(output.shape[2] - _BEFORE_CLASSES, 'class', 'classes')}, but "
            f"{counted(classes, 'class is', 'classes are')} named"
        )
    rows: NDArray[np.float32] = output[0]
    if not np.isfinite(rows).all():
        raise ValueError("it answers with numbers that are not finite")
    likely = rows[:, 4:]
    low, high = float(likely.min()), float(likely.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"it answers with an objectness or a score of {low if low < 0 else high:.3g}, wanted 0 … 1: it was "
            "exported without the sigmoid of YOLOX"
        )
    return rows


@cache
def _cells(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Corner (A, 2) x, y of each anchor's cell, in cells, and its stride (A, 1): grid after grid, row after row."""
    corners, strides = [], []
    for stride in STRIDES:
        down, across = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((across.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _shape(output: NDArray[Any]) -> str:
    return str(tuple(output.shape))
