"""A detector on photos with boxes: what is measured, told and written; whose photos are asked."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dqh.data import JSONBoxes, Photos, Protocol
from dqh.data.class_map import ClassMap
from dqh.detection.decoders import DECODERS
from dqh.detection.detections import Detections, Objects, detections_of
from dqh.detection.detector_manifest import DetectorManifest
from dqh.detection.spec import DetectorSpec
from dqh.detection.trained_detector import save_trained
from dqh.errors import ConfigError, DataError, DetectorError, DqhError, TooManyBadImagesError
from dqh.evaluation.detector_data import asked_photos
from dqh.evaluation.detector_evaluation import evaluate_detector
from dqh.export.detector_onnx import export_detector
from tests.detection.test_trained_detector import INPUTS, detector_of
from tests.training.detection.shapes import shapes


class Knowing:
    """A detector that knows the boxes of the photos that it is asked about, one after the other, but for the last."""

    detector_id = "0" * 64
    most = 5

    def __init__(self, source: JSONBoxes, rows: list[int], classes: tuple[str, ...] = ("square", "disc")) -> None:
        self.classes = classes
        self._truths = [source.boxes(row) for row in rows]

    def detect(self, images: list[np.ndarray]) -> Detections:
        assert len(images) == 1
        truth = self._truths.pop(0)
        count = len(truth.classes) if self._truths else 0
        return detections_of(
            [Objects(truth.boxes[:count], np.full(count, 0.9, np.float32), truth.classes[:count])], self.most
        )


class Proposing(Knowing):
    """Of two stages, the first of which proposes the first true box of a photo but for one, and one that is none."""

    def __init__(self, source: JSONBoxes, rows: list[int]) -> None:
        super().__init__(source, rows)
        self._first = [source.boxes(row).boxes[: min(1, place)] for place, row in enumerate(rows)]

    def propose(self, image: np.ndarray) -> Objects:
        own = np.concatenate([self._first.pop(0), np.array([[0, 0, 2, 2]], np.float32)])
        return Objects(own, np.linspace(0.9, 0.1, len(own), dtype=np.float32), np.zeros(len(own), np.int64))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes(tmp_path_factory.mktemp("shapes") / "data", train=4, query=5)


def source_of(root: Path, **arguments) -> JSONBoxes:
    return JSONBoxes(root=root, query="query.txt", database="database.txt", **arguments)


def test_a_detector_that_knows_is_right(root: Path, tmp_path: Path) -> None:
    """Of five queries the last shows nothing, and nothing is found there."""
    source = source_of(root)
    rows = source.roles["query"]
    training = {"best_epoch": 1, "history": [{"epoch": 1, "train/loss": 2.0, "val/mAP": 0.5}]}
    evaluation = evaluate_detector(
        Knowing(source, rows.tolist()),
        source,
        rows,
        skipped_file=tmp_path / "skipped.csv",
        protocol={"method": "ssd"},
        training=training,
    )
    metrics = evaluation.metrics
    assert metrics["detection"]["ap50"] == metrics["detection"]["ap"] == metrics["proposals"]["recall"] == 1
    assert (metrics["protocol"]["query"], metrics["protocol"]["skipped"]) == (5, 0)
    assert metrics["training"] == {"best_epoch": 1}
    assert metrics["first_stage"] is None
    assert "recall of 100 boxes at IoU 0.5, all classes as one: 1.0000" in evaluation.text()
    evaluation.write(tmp_path, environment={"command": "python evaluate.py"})
    assert json.loads((tmp_path / "metrics.json").read_text())["detection"] == metrics["detection"]
    page = (tmp_path / "report.html").read_text()
    for text in ("ssd on data, boxes", "square", "python evaluate.py", "AP@.5", "Worst photos", "val"):
        assert text in page
    assert not (tmp_path / "skipped.csv").exists()


def test_proposals_of_a_first_stage_are_measured_too(root: Path, tmp_path: Path) -> None:
    source = source_of(root)
    rows = source.roles["query"]
    detector = Proposing(source, rows.tolist())
    evaluation = evaluate_detector(detector, source, rows, skipped_file=None, protocol={"method": "faster_rcnn"})
    counts = [len(source.boxes(row).classes) for row in rows.tolist()]
    assert counts[0] > 0
    share = sum(count > 0 for count in counts[1:]) / sum(counts)
    assert evaluation.metrics["first_stage"]["recall"] == pytest.approx(share)
    assert f"of 100 proposals before they have a class: {share:.4f}" in evaluation.text()
    evaluation.write(tmp_path, environment={})
    assert "recall of proposals" in (tmp_path / "report.html").read_text()


def test_names_of_another_vocabulary_are_mapped(root: Path, tmp_path: Path) -> None:
    source = source_of(root)
    rows = source.roles["query"]
    detector = Knowing(source, rows.tolist(), ("block", "disc"))
    with pytest.raises(DataError, match="'block'"):
        evaluate_detector(detector, source, rows, skipped_file=None, protocol={"method": "detector"})
    evaluation = evaluate_detector(
        detector,
        source,
        rows,
        skipped_file=None,
        protocol={"method": "detector"},
        class_map=ClassMap({"block": "square"}),
    )
    assert evaluation.result.ap50 == 1


def test_photos_that_cannot_be_read_are_listed(tmp_path: Path) -> None:
    root = shapes(tmp_path / "data", train=3, query=4)
    (root / "images" / "004.png").write_bytes(b"no image")
    for fraction in (0.5, 0.01):
        source = source_of(root, max_bad_fraction=fraction)
        rows = source.roles["query"]
        asked = {"skipped_file": tmp_path / "skipped.csv", "protocol": {"method": "ssd"}}
        if fraction == 0.01:
            with pytest.raises(TooManyBadImagesError):
                evaluate_detector(Knowing(source, [0, 2, 3]), source, rows, **asked)
            continue
        evaluation = evaluate_detector(Knowing(source, [0, 2, 3]), source, rows, **asked)
        assert (evaluation.metrics["protocol"]["query"], evaluation.metrics["protocol"]["skipped"]) == (3, 1)
        assert "1 query photo could not be used" in evaluation.text()
        assert "images/004.png" in (tmp_path / "skipped.csv").read_text()


def test_photos_that_were_found_fit_before_a_training_are_fit_behind_it(tmp_path: Path) -> None:
    """One of 4 queries is 25 %, more than the 20 % allowed; one of the 7 photos that the training looked at is less."""
    root = shapes(tmp_path / "data", train=3, query=4)
    (root / "images" / "004.png").write_bytes(b"no image")
    source = source_of(root, max_bad_fraction=0.2)
    rows = source.roles["query"]
    evaluation = evaluate_detector(
        Knowing(source, [0, 2, 3]), source, rows, skipped_file=None, protocol={"method": "ssd"}
    )
    assert evaluation.metrics["protocol"]["skipped"] == 1


@pytest.mark.slow  # torch takes seconds for an export
def test_one_that_was_exported_is_asked_about_the_queries_of_its_split(root: Path, tmp_path: Path) -> None:
    """Not about those that it was trained on, where the data hand out no roles."""
    source = JSONBoxes(root=root)
    split = Protocol("counts", query=3, train=None, validation=0, seed=0).draw(source)
    trained = replace(detector_of(), split=split, boxes_sha256=source.boxes_sha256)
    save_trained(trained, tmp_path / "trained", golden=INPUTS)
    export_detector(tmp_path / "trained", tmp_path / "exported")
    own, other = (asked_photos(tmp_path / name, source) for name in ("trained", "exported"))
    assert other.rows.tolist() == own.rows.tolist() == split.rows(source).query.tolist()
    assert (other.protocol, other.training) == (own.protocol, own.training)
    (tmp_path / "exported" / "split.json").write_bytes(b"{}")
    with pytest.raises(DetectorError, match=r"split.json is damaged: it does not match the hash"):
        asked_photos(tmp_path / "exported", source)


def test_boxes_and_annotations_that_cannot_be_used_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A box without area, and the annotation of a photo of another size, though all photos can be decoded."""
    root = shapes(tmp_path / "data", train=4, query=5)
    content = json.loads((root / "annotations.json").read_text())
    content["images"][0]["boxes"].append([content["classes"][0], 50, 50, 40, 60])
    content["images"][1]["width"] = 999
    (root / "annotations.json").write_text(json.dumps(content))
    source = JSONBoxes(root=root, max_bad_fraction=0.5)
    evaluate_detector(
        Knowing(source, [0, 2]), source, np.array([0, 2]), skipped_file=tmp_path / "skipped.csv", protocol={}
    )
    assert len((tmp_path / "skipped.csv").read_text().splitlines()) == 3
    assert "1 image and 1 box of" in caplog.text


def test_a_missing_package_is_told_before_any_photo_is_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    source = source_of(root)
    monkeypatch.setattr(source, "read", None)
    with pytest.raises(DqhError, match="uv sync --inexact --extra detection"):
        evaluate_detector(
            Knowing(source, []), source, source.roles["query"], skipped_file=None, protocol={"method": "ssd"}
        )


def test_a_detector_from_elsewhere_is_asked_about_the_queries(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = DetectorSpec("yolox", 64, 64, ("cat",), DECODERS["yolox"].usual)
    (tmp_path / "detector.json").write_bytes(DetectorManifest(spec, "0" * 64, 9).to_bytes())
    asked = asked_photos(tmp_path, source_of(root))
    assert asked.rows.tolist() == [0, 1, 2, 3, 4]
    assert (asked.method, asked.training) == ("detector", None)
    assert not caplog.text
    assert asked_photos(tmp_path, JSONBoxes(root=root)).rows.tolist() == list(range(9))
    assert "nothing says which photos of" in caplog.text
    with pytest.raises(ConfigError, match="images has no boxes to compare with; choose data with boxes"):
        asked_photos(tmp_path, Photos([root / "images"]))
