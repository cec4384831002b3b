"""The page about a detector: its numbers, classes, photos and curves, and what a page must not hold."""

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.evaluation.detection import DetectionResult, evaluate_detections
from dqh.evaluation.detection_photos import ShownPhoto, match_photos
from dqh.evaluation.report import detection_page
from dqh.evaluation.report.detection_page import write_detection_report
from tests.evaluation.detected import found, true
from tests.evaluation.report.test_page import Page

EVIL = "<script>alert('x')</script>"
METRICS: dict[str, object] = {
    "protocol": {"data": EVIL, "train": 1234},
    "proposals": {"recall": 0.875},
    "photo_ms": 21.5,
    "training": {"best_epoch": 1},
    "environment": {
        "command": "python train.py method=ssd",
        "seed": 3,
        "date": "2026-11-21T09:00:00+00:00",
        "machine": {"cpu": "a processor", "gpus": []},
        "versions": {"dqh": "0.2.0"},
    },
}
HISTORY: list[dict[str, object]] = [
    {"epoch": 0, "step": 10, "train/loss": 2.0, "val/mAP": 0.2, "train/loss_boxes": 1.0},
    {"epoch": 1, "step": 20, "train/loss": 1.0, "val/mAP": 0.4, "train/loss_boxes": 0.5},
]


def result() -> DetectionResult:
    """Of three classes one is found, one is missed, one has no true box: AP@.5 is 1, 0 and nothing, mean .5."""
    truth = [true((0, 0, 0, 10, 10), (1, 20, 20, 30, 30)), true()]
    boxes = found([(0, 0.9, 0, 0, 10, 10), (2, 0.8, 20, 20, 30, 30)], [])
    return evaluate_detections(truth, boxes, class_names=["cow", EVIL, "bus"])


def photos() -> list[ShownPhoto]:
    match = match_photos([true((0, 0, 0, 10, 10))], found([(0, 0.9, 0, 0, 10, 10)]))[0]
    return [ShownPhoto("best", f"{EVIL}.jpg", np.full((40, 60, 3), 120, np.uint8), (60, 40), match)]


def written(tmp_path: Path, **changes: Any) -> Page:
    given = {"metrics": METRICS, "history": HISTORY, "photos": photos()} | changes
    write_detection_report(
        tmp_path / "report.html",
        given["metrics"],
        result(),
        given["history"],
        given["photos"],
        title=f"ssd {EVIL}",
        command="python evaluate.py artifact=X",
    )
    return Page((tmp_path / "report.html").read_text())


def test_the_numbers_and_the_classes(tmp_path: Path) -> None:
    page = written(tmp_path)
    text = re.sub(r"\s+", " ", page.text)
    assert f"A detector of 3 classes looks for objects in 2 photos of {EVIL}. It was trained on 1,234 photos." in text
    assert "recall, all classes as one" in text
    assert "0.8750" in text
    assert "21.5" in text
    cells = [cell.strip() for cell in page.cells]
    assert cells[:6] == ["class", "AP@.5", "AP@[.5:.95]", "AR@100", "boxes", "photos"]
    start = cells.index("cow")
    assert cells[start : start + 6] == ["cow", "1.0000", "1.0000", "1.0000", "1", "1"]
    assert cells[cells.index("bus") :][1:6] == ["–", "–", "–", "0", "0"]
    assert cells[cells.index("mean") :][1:6] == ["0.5000", "0.5000", "0.5000", "2", "1"]
    assert "python evaluate.py artifact=X" in text


def test_the_page_runs_nothing_and_loads_nothing(tmp_path: Path) -> None:
    """Names of classes, photos and data are text; pictures lie in the page."""
    page = written(tmp_path)
    assert "script" not in page.tags
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    places = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href") and value]
    assert places
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in places)
    assert any(base64.b64decode(value.partition(",")[2]).startswith(b"\x89PNG") for value in places if "," in value)


def test_photos_and_curves_are_drawn(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert page.tags.count("svg") >= 3  # photos, the learning curve, what else was logged
    text = re.sub(r"\s+", " ", page.text)
    assert "Best photos by F1" in text
    assert "Found boxes of a score of at least 0.3;" in text or "Found boxes of a score of at least" in text
    assert "Above what training minimises, below AP@.5 of the validation photos" in text


def test_what_was_not_done_is_said(tmp_path: Path) -> None:
    """No photos, no training, no time and no proposals."""
    metrics = {"protocol": {"data": "photos"}, "environment": METRICS["environment"]}
    text = re.sub(r"\s+", " ", written(tmp_path, metrics=metrics, history=[], photos=[]).text)
    assert "There are no photos to show." in text
    assert "Nothing was trained in this run." in text
    assert "It was trained on" not in text
    assert "ms / photo" not in text


def test_a_picture_that_fails_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk of fonts, say: the page has everything else, and a warning names what is missing."""

    def fails(*given: object) -> str:
        raise OSError("no fonts")

    monkeypatch.setattr(detection_page, "detection_plot", fails)
    text = written(tmp_path).text
    assert "Photos and their boxes" not in text
    assert "AP@.5" in text
    assert "report.html: pictures" in caplog.text


def test_the_page_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("before")
    written(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
