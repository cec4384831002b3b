"""How well a detector finds boxes: average precision and recall as COCO defines them, computed by faster-coco-eval.

N photos, C classes, K objects found in a photo at most. What the numbers mean, and by what each is divided:

- A found box is right at an IoU threshold where its overlap with a true box of its class reaches it; boxes are taken by
  falling score, each true box is found once, by the found box of the highest score, and what finds it again is wrong.
- **AP** of a class at a threshold: precision, made falling, at the 101 recalls 0, 0.01 … 1, divided by 101; recall is
  divided by the true boxes of the class. `ap50` is at IoU .5, `ap` the mean over .5, .55 … .95.
- **AR@100** of a class: the share of its true boxes that are found at all, mean over the same ten thresholds.
- At most 100 found boxes of a class and photo count, those of the highest scores, in AP too.
- Over classes: the mean over those that have a true box. A class without one is not measured: None, never 0, and boxes
  found of it count nowhere.
- **Difficult boxes and crowds** are what COCO calls a crowd: they are left out of all divisors, and a found box of
  their class which finds no other true box, and of whose own area the threshold's share lies in one, counts as neither
  right nor wrong, any number of them. (VOC's own programs take IoU for difficult boxes, and one found box each.)

The numbers are those of `pycocotools` to rounding, which the tests compare.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.boxes import Boxes
from dqh.data.class_map import LEFT_OUT
from dqh.detection.detections import Detections, Objects, detections_of
from dqh.detection.suppression import suppress
from dqh.errors import DqhError

logger = logging.getLogger(__name__)

MOST = 100
"""Found boxes of a class and photo that count."""

MERGED = 0.45
"""Overlap above which boxes of classes that become one are one object, as decoders have it for one class."""

INSTALL = "uv sync --inexact --extra detection"

_ANY_AREA = [0.0, 1e10]
_NOT_MEASURED = -1.0  # what the library gives for a class without true boxes


def require_measures() -> None:
    """Raise `DqhError` with the command that installs it where faster-coco-eval is missing."""
    if find_spec("faster_coco_eval") is None:
        raise DqhError(f"detection is measured by the package faster-coco-eval; install it: {INSTALL}")


class ClassResult(NamedTuple):
    """A class.

    Attributes:
        name: of the class.
        ap50: AP at IoU .5, 0 … 1; None where there is no true box, as of the next two.
        ap: mean AP over IoU .5 … .95.
        ar: AR@100.
        boxes: true boxes, without difficult ones.
        difficult: true boxes that are difficult, or crowds.
        photos: that have a true box of it which is not difficult.
    """

    name: str
    ap50: float | None
    ap: float | None
    ar: float | None
    boxes: int
    difficult: int
    photos: int


@dataclass(frozen=True)
class DetectionResult:
    """What was measured; numbers over classes are means over the measured ones, None where there are none.

    Attributes:
        ap50: mean AP at IoU .5, 0 … 1.
        ap: mean AP over IoU .5 … .95.
        ar: mean AR@100.
        classes: each, in the order of its number.
        photos: N.
        negatives: photos without a true box, or with difficult ones alone.
        detections: boxes that the detector found.
    """

    ap50: float | None
    ap: float | None
    ar: float | None
    classes: tuple[ClassResult, ...]
    photos: int
    negatives: int
    detections: int

    @property
    def measured(self) -> int:
        """Classes with a true box."""
        return sum(row.ap is not None for row in self.classes)

    @property
    def boxes(self) -> int:
        """True boxes of all classes, without difficult ones."""
        return sum(row.boxes for row in self.classes)

    def to_json(self) -> dict[str, Any]:
        """The fields, and those of each class, as plain JSON values."""
        return asdict(self) | {"classes": [row._asdict() for row in self.classes], "measured": self.measured}


class ProposalRecall(NamedTuple):
    """The share of the true boxes, all classes as one, that the best found boxes of each photo reach.

    Attributes:
        recall: 0 … 1; None where there is no true box.
        boxes: true boxes without difficult ones, the divisor.
        photos: N.
        iou: the overlap that counts.
        most: found boxes of a photo that were looked at, those of the highest scores.
    """

    recall: float | None
    boxes: int
    photos: int
    iou: float
    most: int


def evaluate_detections(
    truth: Sequence[Boxes], detections: Detections, *, class_names: Sequence[str]
) -> DetectionResult:
    """AP and AR of what a detector found, by class and over classes, as the module says.

    Args:
        truth: the true boxes of the N photos.
        detections: what was found in them, with class numbers of `class_names`; see `in_classes` for those of others.
        class_names: the C names.

    Raises:
        ValueError: shapes, numbers or classes make no sense; all that is wrong is told together.
        DqhError: faster-coco-eval is not installed.
    """
    count = len(class_names)
    _require_sense(truth, detections, classes=count)
    precision, recall = _curves(truth, detections, classes=count, most=MOST)
    numbers = np.concatenate([[], *(boxes.classes[~boxes.difficult] for boxes in truth)]).astype(np.int64)
    hard = np.concatenate([[], *(boxes.classes[boxes.difficult] for boxes in truth)]).astype(np.int64)
    photos = np.concatenate([[], *(np.unique(boxes.classes[~boxes.difficult]) for boxes in truth)]).astype(np.int64)
    sizes, hard_sizes, photo_sizes = (np.bincount(part, minlength=count).tolist() for part in (numbers, hard, photos))
    classes = tuple(
        ClassResult(
            name,
            ap50=_mean(precision[0, :, place]),
            ap=_mean(precision[:, :, place]),
            ar=_mean(recall[:, place]),
            boxes=sizes[place],
            difficult=hard_sizes[place],
            photos=photo_sizes[place],
        )
        for place, name in enumerate(class_names)
    )
    return DetectionResult(
        ap50=_mean(precision[0]),
        ap=_mean(precision),
        ar=_mean(recall),
        classes=classes,
        photos=len(truth),
        negatives=sum(bool(boxes.difficult.all()) for boxes in truth),
        detections=int(detections.valid.sum()),
    )


def proposal_recall(
    truth: Sequence[Boxes], detections: Detections, *, iou: float = 0.5, most: int = MOST
) -> ProposalRecall:
    """Recall of boxes whatever their class, as proposals are measured: all labels, true and found, are one class.

    Args:
        truth: the true boxes of the N photos.
        detections: what was found in them; classes are not looked at.
        iou: the overlap that counts, above 0, at most 1.
        most: found boxes of a photo that count, those of the highest scores.

    Raises:
        ValueError: an argument makes no sense.
        DqhError: faster-coco-eval is not installed.
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou must be above 0 and at most 1, got {iou!r}")
    if isinstance(most, bool) or most < 1:
        raise ValueError(f"most must be a whole number of at least 1, got {most!r}")
    one = [boxes._replace(classes=np.zeros_like(boxes.classes)) for boxes in truth]
    detections = detections._replace(classes=np.zeros_like(detections.classes))
    _require_sense(one, detections, classes=1)
    _, recall = _curves(one, detections, classes=1, most=most, thresholds=(iou,))
    boxes = sum(int((~boxes.difficult).sum()) for boxes in truth)
    return ProposalRecall(_mean(recall), boxes, len(truth), iou, most)


def in_classes(detections: Detections, numbers: NDArray[np.int64], *, iou: float = MERGED) -> Detections:
    """What was found, with other class numbers; what has none is left out.

    Where several classes become one, of their boxes that lie on one object the surest stays, as within a class.

    Args:
        detections: with the detector's class numbers.
        numbers: (D,) for each class of the detector its number here, `LEFT_OUT` for none, see
            `dqh.data.class_map.class_numbers`.
        iou: overlap above which two boxes of classes that become one are one object.
    """
    named = numbers[numbers != LEFT_OUT]
    merged = np.flatnonzero(np.bincount(named) > 1)  # classes here that several become
    photos = []
    for boxes, scores, classes, valid in zip(*detections, strict=True):
        own = Objects(boxes[valid], scores[valid], numbers[classes[valid]])
        own = own.take(own.classes != LEFT_OUT)
        if np.isin(own.classes, merged).any():
            others = ~np.isin(own.classes, merged)
            kept = suppress(*own, iou=iou, most=len(own.scores))
            own = own.take(np.union1d(np.flatnonzero(others), kept))
        photos.append(own)
    return detections_of(photos, detections.valid.shape[1])


def _mean(values: NDArray[np.float64]) -> float | None:
    """Mean over what is measured; None where nothing is."""
    measured = values[values > _NOT_MEASURED]
    return float(measured.mean()) if measured.size else None


def _require_sense(truth: Sequence[Boxes], detections: Detections, *, classes: int) -> None:
    """Raise `ValueError` with all that is wrong."""
    count = len(truth)
    problems = [
        f"{name} must be ({count}, K{', 4' * (name == 'boxes')}) as there are {count} photos, got {part.shape}"
        for name, part in detections._asdict().items()
        if part.ndim != 2 + (name == "boxes") or part.shape[:1] != (count,)
    ]
    if not problems and (detections.boxes.shape[2] != 4 or len({part.shape[:2] for part in detections}) > 1):
        problems.append(
            f"detections must be of one K, boxes of 4 edges, got {', '.join(str(part.shape) for part in detections)}"
        )
    if not problems:
        problems += _problems_of(
            "detections", detections.boxes[detections.valid], detections.classes[detections.valid], classes=classes
        )
        if not np.isfinite(detections.scores[detections.valid]).all():
            problems.append("detections: a score is no finite number")
    for place, boxes in enumerate(truth):
        shapes = (boxes.boxes.shape, boxes.classes.shape, boxes.difficult.shape)
        most = len(boxes.classes) if boxes.classes.ndim else 0
        if shapes != ((most, 4), (most,), (most,)):
            problems.append(f"truth[{place}] must have the shapes (K, 4), (K,) and (K,), got {shapes}")
        else:
            problems += _problems_of(f"truth[{place}]", boxes.boxes, boxes.classes, classes=classes)
    if problems:
        raise ValueError("; ".join(problems[:8]) + "; …" * (len(problems) > 8))


def _problems_of(what: str, boxes: NDArray[Any], numbers: NDArray[Any], *, classes: int) -> list[str]:
    problems = []
    if not np.isfinite(boxes).all():
        problems.append(f"{what}: an edge is no finite number")
    elif (boxes[:, 2:] <= boxes[:, :2]).any():
        problems.append(
            f"{what}: {boxes[(boxes[:, 2:] <= boxes[:, :2]).any(axis=1)][0].tolist()} is no box x0, y0, x1, y1"
        )
    if ((numbers < 0) | (numbers >= classes)).any():
        wrong = sorted(set(numbers[(numbers < 0) | (numbers >= classes)].tolist()))[:4]
        problems.append(f"{what}: class {', '.join(map(str, wrong))}, wanted 0 … {classes - 1}")
    return problems


def _curves(
    truth: Sequence[Boxes],
    detections: Detections,
    *,
    classes: int,
    most: int,
    thresholds: Sequence[float] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision (T, 101, C) and recall (T, C) at T thresholds, .5 … .95 for None; -1 of a class without true boxes."""
    if all(boxes.difficult.all() for boxes in truth):
        count = 10 if thresholds is None else len(thresholds)
        return np.full((count, 101, classes), _NOT_MEASURED), np.full((count, classes), _NOT_MEASURED)
    require_measures()
    from faster_coco_eval import COCO, COCOeval_faster

    frame = {
        "images": [{"id": place + 1} for place in range(len(truth))],
        "categories": [{"id": place + 1, "name": str(place)} for place in range(classes)],
    }
    sides = [COCO(frame | {"annotations": rows}) for rows in (_true_rows(truth), _detection_rows(detections))]
    evaluator = COCOeval_faster(*sides, "bbox", print_function=logger.debug)
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [_ANY_AREA], ["all"]
    evaluator.params.maxDets = [most]
    if thresholds is not None:
        evaluator.params.iouThrs = np.array(thresholds)
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = (np.asarray(evaluator.eval[name], dtype=np.float64) for name in ("precision", "recall"))
    return precision[..., 0, 0], recall[..., 0, 0]


def _true_rows(truth: Sequence[Boxes]) -> list[dict[str, Any]]:
    """True boxes as the library takes them; ids count from 1, as it takes 0 for none."""
    rows = [
        (place, corners, number, difficult)
        for place, boxes in enumerate(truth)
        for corners, number, difficult in zip(*(part.tolist() for part in boxes), strict=True)
    ]
    return [
        _row(row, place, corners, number) | {"iscrowd": int(difficult)}
        for row, (place, corners, number, difficult) in enumerate(rows, start=1)
    ]


def _detection_rows(detections: Detections) -> list[dict[str, Any]]:
    places, ranks = np.nonzero(detections.valid)
    parts = (part[places, ranks].tolist() for part in (detections.boxes, detections.classes, detections.scores))
    return [
        _row(row, place, corners, number) | {"iscrowd": 0, "score": score}
        for row, (place, corners, number, score) in enumerate(zip(places.tolist(), *parts, strict=True), start=1)
    ]


def _row(identity: int, place: int, corners: Sequence[float], number: int) -> dict[str, Any]:
    x0, y0, x1, y1 = corners
    size = (x1 - x0, y1 - y0)
    return {
        "id": identity,
        "image_id": place + 1,
        "category_id": number + 1,
        "bbox": [x0, y0, *size],
        "area": size[0] * size[1],
    }
