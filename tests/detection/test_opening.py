"""A detector that is kept in a folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dqh.detection.detector import Detector
from dqh.detection.detector_manifest import read_detector_manifest
from dqh.detection.opening import open_detector
from dqh.errors import ConfigError, DetectorError, NoDetectorError
from dqh.sealed import seal
from tests.detection.conftest import NAMES


def test_it_detects_as_it_was_saved(kept: Path, tmp_path: Path) -> None:
    """Also by a link to its folder, and by a text."""
    (tmp_path / "link").symlink_to(kept, target_is_directory=True)
    with open_detector(str(tmp_path / "link"), threads=1) as own:
        detector: Detector = own
        detections = detector.detect([np.zeros((64, 64, 3), np.uint8)])
    assert detections.valid.sum() == 3
    assert np.allclose(detections.boxes[0, 0], [16, 16, 48, 48])
    assert (detector.classes, detector.most) == (NAMES, 100)
    assert detector.detector_id == read_detector_manifest(kept).detector_id


def test_what_cannot_be_opened(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(NoDetectorError, match="no detector at"):
        open_detector(tmp_path / "none")
    damaged = Path(shutil.copytree(kept, tmp_path / "damaged"))
    (damaged / "model.onnx").write_bytes(b"other")
    with pytest.raises(DetectorError, match="does not match the hash"):
        open_detector(damaged)


def test_a_folder_that_says_something_else_than_its_network(kept: Path, tmp_path: Path) -> None:
    """Hashes and id are right, but the names are three."""
    forged = Path(shutil.copytree(kept, tmp_path / "forged"))
    manifest = read_detector_manifest(kept)
    manifest = manifest._replace(spec=manifest.spec._replace(classes=("a", "b", "c")))
    (forged / "detector.json").write_bytes(seal(manifest.to_json()))
    with pytest.raises(DetectorError, match=r"forged/model.onnx does not answer .* 2 classes, but 3 classes are named"):
        open_detector(forged)


def test_thresholds_that_can_be_none(kept: Path) -> None:
    for threshold in (float("nan"), -1.0):
        with pytest.raises(ConfigError, match="threshold must be a number from 0 to 1"):
            open_detector(kept, threshold=threshold)
