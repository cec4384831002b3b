"""A detector on the photos of a data set: what is measured, as a table, and as files in a folder.

N photos.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.conveniences import convenience
from dqh.data.box_source import BoxSource
from dqh.data.boxes import Boxes
from dqh.data.class_map import ClassMap, class_numbers
from dqh.data.skipped import report_skipped
from dqh.detection.detections import Detections, Objects, detections_of
from dqh.detection.detector import Detector, Proposer
from dqh.errors import BadImageError, DataError
from dqh.evaluation.detection import (
    DetectionResult,
    ProposalRecall,
    evaluate_detections,
    in_classes,
    proposal_recall,
    require_measures,
)
from dqh.evaluation.detection_photos import ShownPhoto, match_photos, photo_gallery
from dqh.evaluation.report.detection_page import write_detection_report
from dqh.evaluation.report.detection_table import render_detection
from dqh.files import write_json
from dqh.plural import counted
from dqh.progress import Progress

LEAST_SCORE = 0.01
"""Of a box that counts: average precision looks at all of them, and below, precision says nothing any more."""


@dataclass(frozen=True)
class DetectorEvaluation:
    """What was measured.

    Attributes:
        metrics: the content of `metrics.json`, but for `environment`.
        result: by class.
        history: rows of `metrics.csv`; empty where nothing was trained.
        photos: with their boxes, best, typical and worst; none where they cannot be drawn.
    """

    metrics: dict[str, Any]
    result: DetectionResult
    history: Sequence[Mapping[str, Any]] = ()
    photos: Sequence[ShownPhoto] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """The heading of the report."""
        protocol = self.metrics["protocol"]
        return f"{protocol['method']} on {protocol['data']}, boxes"

    def text(self) -> str:
        """The table for a terminal."""
        lines = [render_detection(self.result), "", _about(self.metrics)]
        if skipped := self.metrics["protocol"]["skipped"]:
            lines.append(f"{counted(skipped, 'query photo')} could not be used, see skipped.csv")
        return "\n".join(lines)

    def write(self, folder: Path, *, environment: Mapping[str, Any]) -> None:
        """Write `report.html` and `metrics.json` into a folder that exists; see `dqh.environment`."""
        metrics = {**self.metrics, "environment": dict(environment)}
        write_detection_report(
            folder / "report.html",
            metrics,
            self.result,
            self.history,
            self.photos,
            title=self.title,
            command=str(environment.get("command", "")),
        )
        write_json(folder / "metrics.json", metrics)


def evaluate_detector(
    detector: Detector,
    source: BoxSource,
    rows: NDArray[np.int64],
    *,
    skipped_file: Path | None,
    protocol: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    class_map: ClassMap | None = None,
) -> DetectorEvaluation:
    """Detect in photos, and compare with the boxes that they have.

    Args:
        detector: that says of every box how sure it is, down to `LEAST_SCORE`.
        source: of the photos.
        rows: of those that are asked.
        skipped_file: where photos, annotations and boxes that cannot be used are listed, if there are any; None where
            that was done before, and their number was found fit.
        protocol: how the photos were chosen, plain JSON values; what was counted is added.
        training: facts of the training, with its `history`; None where nothing is known.
        class_map: from the detector's class names to those of the source; None where they are the same.

    Raises:
        DataError: classes of the detector that the source does not have, too many photos that cannot be used, or none
            that can.
        DetectorError: the detector fails.
        DqhError: faster-coco-eval is not installed.
    """
    require_measures()
    numbers = class_numbers(detector.classes, source.class_names, class_map)
    parts: list[Detections] = []
    kept: list[int] = []
    skipped: dict[int, str] = {}
    seconds: list[float] = []
    first: list[Objects | None] = []
    progress = Progress("detected in", len(rows), noun="photos")
    for row in rows.tolist():
        try:
            photo = np.asarray(source.read(row), np.uint8)
            source.boxes(row)
        except BadImageError as error:
            skipped[row] = str(error)
            progress.advance(1)
            continue
        began = time.perf_counter()
        parts.append(detector.detect([photo]))
        seconds.append(time.perf_counter() - began)
        first.append(detector.propose(photo) if isinstance(detector, Proposer) else None)
        kept.append(row)
        progress.advance(1)
    if skipped_file is not None:
        report_skipped(source, skipped, total=len(rows), file=skipped_file)
    if not kept:
        raise DataError(f"none of the {counted(len(rows), 'query photo')} can be used")
    objects = in_classes(Detections(*(np.concatenate(fields) for fields in zip(*parts, strict=True))), numbers)
    truth = [source.boxes(row) for row in kept]
    result = evaluate_detections(truth, objects, class_names=source.class_names)
    proposals = proposal_recall(truth, objects)
    shown: Sequence[ShownPhoto] = ()
    with convenience("pictures of photos and boxes"):
        shown = photo_gallery(source, np.array(kept), match_photos(truth, objects))
    facts = dict(training or {})
    history = facts.pop("history", [])
    metrics = {
        "protocol": {
            **protocol,
            "data": source.name,
            "query": len(kept),
            "skipped": len(skipped),
            "classes": len(source.class_names),
            "boxes_sha256": source.boxes_sha256,
            "detector_id": detector.detector_id,
            "least_score": LEAST_SCORE,
        },
        "detection": result.to_json(),
        "proposals": proposals._asdict(),
        "first_stage": None if (recall := _first_stage(truth, first)) is None else recall._asdict(),
        "photo_ms": round(1000 * float(np.median(seconds)), 2),
        "training": facts,
    }
    return DetectorEvaluation(metrics, result, history, shown)


def _first_stage(truth: Sequence[Boxes], proposed: Sequence[Objects | None]) -> ProposalRecall | None:
    """The recall of what is proposed in each photo before it has a class; None where that is not told."""
    kept = [objects for objects in proposed if objects is not None]
    if len(kept) < len(truth):
        return None
    return proposal_recall(truth, detections_of(kept, max(1, *(len(objects.scores) for objects in kept))))


def _about(metrics: Mapping[str, Any]) -> str:
    """Recall whatever the class, that of the proposals where there are such, and the time of a photo, in a line."""
    boxes = metrics["proposals"]
    parts = [f"recall of {boxes['most']} boxes at IoU {boxes['iou']:g}, all classes as one: {_share(boxes)}"]
    if metrics["first_stage"] is not None:
        parts.append(f"of {boxes['most']} proposals before they have a class: {_share(metrics['first_stage'])}")
    parts.append(f"{metrics['photo_ms']:.1f} ms a photo, one after the other, reading excluded")
    return " · ".join(parts)


def _share(recall: Mapping[str, Any]) -> str:
    return "–" if recall["recall"] is None else f"{recall['recall']:.4f}"
