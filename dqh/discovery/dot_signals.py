"""Dots: a mark on each object that a detector sees in a photo, and what a search from it says of its worth.

P photos, D dots of all of them together, k answers of a dot's search, N rows of the index, C classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.boxes import Boxes, iou
from dqh.detection.detections import Detections
from dqh.discovery.annotate import Kernel
from dqh.ranking import Ranking

SIGNALS = ("score", "nearness", "conformity", "agreement", "area", "margin")
"""What is known of a dot, in the order of the columns of `signals_of`."""

OTHER = -1
"""The class of a row of the index that has none of the detector's, as of a whole image."""

HIT = 0.5
"""Intersection over union from which a box is on an object; share of right answers from which a search is right."""


class Dots(NamedTuple):
    """The dots of P photos, photo by photo, the surest of each first.

    Attributes:
        photos: (D,) int64, number of the photo.
        boxes: (D, 4) float32, x0, y0, x1, y1 in pixels of the upright photo.
        scores: (D,) float32, 0 … 1.
        classes: (D,) int64, numbers of the detector's classes.
    """

    photos: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    @property
    def places(self) -> NDArray[np.float32]:
        """(D, 2) x, y: the middle of each box, where the dot is shown."""
        return np.asarray((self.boxes[:, :2] + self.boxes[:, 2:]) / 2, np.float32)


def dots_of(detections: Detections) -> Dots:
    """A dot for each object that was detected."""
    valid = detections.valid
    photos = np.nonzero(valid)[0].astype(np.int64)
    return Dots(photos, detections.boxes[valid], detections.scores[valid], detections.classes[valid])


def signals_of(
    dots: Dots, *, sizes: NDArray[np.int64], answers: Ranking, row_classes: NDArray[np.int64], kernel: Kernel
) -> NDArray[np.float64]:
    """(D, 6) float64, finite: what is known of each dot, in the order of `SIGNALS`; more of each is meant to be better.

    - `score`: of the detector.
    - `nearness`: the distance of the nearest answer, negative; the source's "top visual Hamming distance".
    - `conformity`: of the answers, the share that has the dot's class.
    - `agreement`: of all pairs of answers, the share that is of one class; 0 of a single answer.
    - `area`: the share of the photo that the box covers.
    - `margin`: the share of the first class in the answers' weight less that of the second, as of words.

    A row of no class of the detector's (`OTHER`) conforms to no dot, and agrees with no other row.

    Args:
        dots: D.
        sizes: (P, 2) width and height of the photos, pixels.
        answers: (D, k), nearest first, of each dot's search.
        row_classes: (N,) the detector's class of each row of the index, or `OTHER`.
        kernel: how much an answer weighs in `margin`; for all else the nearest `kernel.answers` count alike.

    Raises:
        ValueError: shapes differ, or a dot has no answer.
    """
    ids = answers.ids[:, : kernel.answers]
    if len(ids) != len(dots.photos):
        raise ValueError(f"wanted the answers of {len(dots.photos)} dots, got those of {len(ids)}")
    if len(ids) and (not ids.shape[1] or (ids[:, 0] < 0).any()):
        raise ValueError("a dot has no answers, and so no signals; search an index that has rows")
    count = max(2, 1 + int(max(row_classes.max(initial=OTHER), dots.classes.max(initial=OTHER))))
    of_answers = np.where(ids >= 0, row_classes[ids], OTHER)
    weights = kernel.weights(answers.distances) * (ids >= 0)
    is_class = of_answers[:, :, None] == np.arange(count)  # (D, k, C)
    answered, counts = (ids >= 0).sum(axis=1), is_class.sum(axis=1)
    pairs = (counts * (counts - 1)).sum(axis=1) / (answered * (answered - 1)).clip(min=1)
    shares = np.sort(np.einsum("dk,dkc->dc", weights, is_class), axis=1) / weights.sum(axis=1, keepdims=True)
    sides = dots.boxes[:, 2:].astype(np.float64) - dots.boxes[:, :2]
    columns = {
        "score": dots.scores,
        "nearness": -answers.distances[:, :1].sum(axis=1),
        "conformity": ((of_answers == dots.classes[:, None]) & (of_answers != OTHER)).sum(axis=1)
        / answered.clip(min=1),
        "agreement": pairs,
        "area": sides.prod(axis=1) / sizes[dots.photos].prod(axis=1),
        "margin": shares[:, -1] - shares[:, -2],
    }
    return np.stack([columns[name].astype(np.float64) for name in SIGNALS], axis=1)


class TrueObjects(NamedTuple):
    """What lies under each dot.

    Attributes:
        on_class: (D,) bool, whether its box overlaps a true box of its class by `HIT` or more.
        classes: (D,) int64, the class of the true box that it overlaps most, by `HIT` or more; `OTHER` on none.
    """

    on_class: NDArray[np.bool_]
    classes: NDArray[np.int64]


def true_objects(dots: Dots, marked: Sequence[Boxes]) -> TrueObjects:
    """What lies under each dot, by the true boxes of each of the P photos, numbered as the detector's classes are.

    Several dots may be on one object: whoever taps any of them gets what that object looks like.
    """
    on_class, classes = np.zeros(len(dots.photos), np.bool_), np.full(len(dots.photos), OTHER, np.int64)
    for photo in np.unique(dots.photos):
        rows, truth = np.flatnonzero(dots.photos == photo), marked[photo]
        if not len(truth.boxes):
            continue
        overlaps = iou(dots.boxes[rows], truth.boxes)  # a row a dot of the photo, a column a true box
        same = dots.classes[rows, None] == truth.classes
        on_class[rows] = ((overlaps >= HIT) & same).any(axis=1)
        best = overlaps.argmax(axis=1)
        classes[rows] = np.where(overlaps.max(axis=1) >= HIT, truth.classes[best], OTHER)
    return TrueObjects(on_class, classes)


def search_precision(
    answers: Ranking, row_classes: NDArray[np.int64], classes: NDArray[np.int64], *, cutoff: int = 10
) -> NDArray[np.float64]:
    """(D,) P@`cutoff`: the share of the first answers that have the class of what lies under the dot.

    The denominator is `cutoff`, whatever the search could reach; a dot on nothing (`OTHER`) has 0. Answers at equal
    distance count in the order given.

    Args:
        answers: (D, k), nearest first, k at least `cutoff`.
        row_classes: (N,) class of each row of the index, or `OTHER`.
        classes: (D,) of what lies under each dot, or `OTHER`.
        cutoff: at least 1.

    Raises:
        ValueError: there are fewer answers than `cutoff`.
    """
    if not 1 <= cutoff <= answers.ids.shape[1]:
        raise ValueError(f"cutoff must be 1 … {answers.ids.shape[1]}, the answers of a dot, got {cutoff}")
    ids = answers.ids[:, :cutoff]
    of_answers = np.where(ids >= 0, row_classes[ids], OTHER)
    return np.asarray(((of_answers == classes[:, None]) & (of_answers != OTHER)).sum(axis=1) / cutoff)
