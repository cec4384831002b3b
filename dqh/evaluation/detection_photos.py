"""What a detector got right and wrong in single photos, and which photos a report shows.

K true boxes of a photo, D found ones that are sure enough to be shown.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.boxes import Boxes, area, intersection, iou
from dqh.data.source import Source
from dqh.detection.detections import Detections
from dqh.evaluation.gallery import choose

IOU, THRESHOLD = 0.5, 0.3
"""Overlap from which a found box is right, and score from which one is shown."""

SIDE = 256
"""Longer side of a photo in a report, pixels."""


class PhotoMatch(NamedTuple):
    """The true and the found boxes of a photo, and which of them belong together.

    Attributes:
        truth: the true boxes.
        boxes: (D, 4) float32, found, by falling score.
        scores: (D,) float32.
        classes: (D,) int64.
        right: (D,) bool, whether a found box has a true box of its class for itself.
        ignored: (D,) bool, whether it has none, but lies in a difficult box of its class.
        hit: (K,) bool, whether a true box was found; no difficult one is.
    """

    truth: Boxes
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    right: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    hit: NDArray[np.bool_]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(D,) bool, whether a found box is neither right nor ignored."""
        return ~(self.right | self.ignored)

    @property
    def missed(self) -> NDArray[np.bool_]:
        """(K,) bool, whether a true box that is not difficult was not found."""
        return ~(self.hit | self.truth.difficult)

    @property
    def f1(self) -> float:
        """Of the photo, 0 … 1: 2 right / (2 right + wrong + missed); 1 where nothing is to be found and nothing was."""
        errors = int(self.wrong.sum() + self.missed.sum())
        twice = 2 * int(self.right.sum())
        return twice / (twice + errors) if twice + errors else 1.0


class ShownPhoto(NamedTuple):
    """A photo in a report.

    Attributes:
        group: `best`, `typical` or `worst`, by the F1 of photos.
        id: in the data set.
        image: (H, W, 3) uint8 RGB, upright, shrunk to `SIDE`.
        size: its width and height before, the frame of the boxes, pixels.
        match: its boxes.
    """

    group: str
    id: str
    image: NDArray[np.uint8]
    size: tuple[int, int]
    match: PhotoMatch


def match_photos(
    truth: Sequence[Boxes], detections: Detections, *, iou: float = IOU, threshold: float = THRESHOLD
) -> list[PhotoMatch]:
    """Which boxes belong together in each of N photos, as `dqh.evaluation.detection` counts them.

    Args:
        truth: the true boxes of the photos.
        detections: what was found in them, with class numbers of the same vocabulary.
        iou: the overlap from which a found box is right.
        threshold: the score from which a found box counts.

    Raises:
        ValueError: there is another number of photos on either side.
    """
    if len(truth) != len(detections.valid):
        raise ValueError(f"detections must be of {len(truth)} photos, as truth is, got {len(detections.valid)}")
    kept = detections.valid & (detections.scores >= threshold)
    return [
        _match(
            boxes,
            detections.boxes[place, keep],
            detections.scores[place, keep],
            detections.classes[place, keep],
            least=iou,
        )
        for place, (boxes, keep) in enumerate(zip(truth, kept, strict=True))
    ]


def _match(
    truth: Boxes,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    *,
    least: float,
) -> PhotoMatch:
    order = np.argsort(-scores, kind="stable")
    boxes, scores, classes = boxes[order], scores[order], classes[order]
    overlap = iou(boxes, truth.boxes)
    covered = intersection(boxes, truth.boxes) / area(boxes)[:, None]
    alike = classes[:, None] == truth.classes[None, :]
    right, hit = np.zeros(len(boxes), np.bool_), np.zeros(len(truth.classes), np.bool_)
    for place in range(len(boxes)):
        rivals = np.flatnonzero(alike[place] & ~truth.difficult & ~hit & (overlap[place] >= least))
        if len(rivals):
            rivals = rivals[::-1]  # of equals the last, as there
            hit[rivals[overlap[place, rivals].argmax()]] = right[place] = True
    ignored = ~right & (alike & truth.difficult[None, :] & (covered >= least)).any(axis=1)
    return PhotoMatch(truth, boxes, scores, classes, right, ignored, hit)


def photo_gallery(source: Source, rows: NDArray[np.int64], matches: Sequence[PhotoMatch]) -> list[ShownPhoto]:
    """The photos of the highest, the middle and the lowest F1, of different classes where possible, with their pixels.

    Args:
        source: of the photos.
        rows: (N,) rows of the source.
        matches: of these rows.

    Raises:
        ValueError: there are no photos, or another number of matches.
        BadImageError: a photo that is to be shown cannot be read.
    """
    if len(rows) != len(matches) or not matches:
        raise ValueError(f"matches must be of the rows, at least one, got {len(matches)} for {len(rows)} rows")
    scores = np.array([match.f1 for match in matches])
    classes = np.zeros((len(matches), 1 + max(int(match.truth.classes.max(initial=0)) for match in matches)), np.bool_)
    for place, match in enumerate(matches):
        classes[place, match.truth.classes] = True
    shown = []
    for choice in choose(scores, classes):
        row = int(rows[choice.position])
        photo = source.read(row)
        if not isinstance(photo, Image.Image):
            raise TypeError(f"{source.name} holds vectors, which show nothing")
        small = photo.copy()
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        shown.append(
            ShownPhoto(choice.group, str(source.ids[row]), np.asarray(small), photo.size, matches[choice.position])
        )
    return shown
