"""What a detector sees in images, as an index takes it: boxes of whole pixels that are worth a row.

N images of a batch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.collection.artifact_note import remembered_detector
from dqh.detection.detections import Detections
from dqh.detection.detector import Detector
from dqh.detection.opening import open_detector
from dqh.errors import DetectorError
from dqh.index.store import Box
from dqh.index.store.header import require_detector
from dqh.index.store.place import at_newest, versions_in

SMALLEST = 8
"""Pixels of the shorter side of a box at least; what is smaller shows too little, and is left out."""


class Part(NamedTuple):
    """The whole of an image, or an object in it.

    Attributes:
        box: x0, y0, x1, y1, whole pixels of the upright image; None for all of it.
        object: class of what is in it, by the name that the detector gives it; None for all of the image.
        score: of the detector, 0 … 1; None for all of the image.
    """

    box: Box | None = None
    object: str | None = None
    score: float | None = None


class Seen(NamedTuple):
    """The objects in an image, by falling score, and how many boxes were left out: too small, or there already."""

    objects: tuple[Part, ...]
    left_out: int


class Named(NamedTuple):
    """A detector, and where it is, if it was named by a path."""

    detector: Detector
    path: Path | None


def detector_of(
    index: Path, given: str | Path | Detector | None, *, option: str, foreign: bool = False
) -> Named | None:
    """The detector that was given, else the one that an index remembers; None where it has no objects either.

    Args:
        index: its folder; there may be none yet.
        given: an open one, or where it is.
        option: by which a user names it.
        foreign: whether an index without objects takes any detector.

    Raises:
        NoDetectorError: there is none where it is said to be.
        DetectorError: it is damaged.
        MismatchError: the index was made with another detector, or without one.
        StoreError: the index is damaged.
    """
    is_there = bool(versions_in(index))
    stored = at_newest(index, lambda manifest: manifest.detector_id) if is_there else None
    if given is None and stored is None:
        return None
    wanted = remembered_detector(index, option=option) if given is None else given
    named = Named(open_detector(wanted), Path(wanted)) if isinstance(wanted, str | Path) else Named(wanted, None)
    if is_there and not (foreign and stored is None):
        require_detector(index, stored, named.detector.detector_id)
    return named


def look(detector: Detector, images: Sequence[NDArray[np.uint8]]) -> list[Seen | str]:
    """What a detector sees in each of N upright RGB images (H, W, 3), or why it fails on it, in words.

    Where it fails on several together, each is shown to it alone.
    """
    try:
        detections = detector.detect(images)
        return [_seen(detections, number, image, detector.classes) for number, image in enumerate(images)]
    except (DetectorError, ValueError) as error:
        if len(images) == 1:
            return [f"the detector fails on it: {error}"]
        return [answer for image in images for answer in look(detector, [image])]


def _seen(detections: Detections, number: int, image: NDArray[np.uint8], classes: Sequence[str]) -> Seen:
    """The objects in one image; `DetectorError` where an answer makes no sense."""
    valid = detections.valid[number]
    boxes, scores, kinds = (values[number][valid] for values in detections[:3])
    sane = np.isfinite(boxes).all(axis=1) & (scores >= 0) & (scores <= 1) & (kinds >= 0) & (kinds < len(classes))
    if not sane.all():
        wrong = int(np.flatnonzero(~sane)[0])
        raise DetectorError(
            f"it answers box {boxes[wrong].tolist()}, score {scores[wrong]}, class {kinds[wrong]} of {len(classes)}"
        )
    height, width = image.shape[:2]
    corners = np.clip(np.rint(boxes), 0, [width, height, width, height]) + 0.0  # which makes 0 of -0
    objects: dict[Box, Part] = {}
    for place in np.argsort(-scores, kind="stable").tolist():
        x0, y0, x1, y1 = corners[place].tolist()
        if min(x1 - x0, y1 - y0) >= SMALLEST:
            box = (x0, y0, x1, y1)
            objects.setdefault(box, Part(box, classes[kinds[place]], float(scores[place])))
    return Seen(tuple(objects.values()), len(boxes) - len(objects))
