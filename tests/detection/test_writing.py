"""A detector comes into a folder, whole or not at all."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from dqh import intent
from dqh.artifact import new_folder
from dqh.detection.detector_manifest import read_detector_manifest
from dqh.detection.writing import save_detector
from dqh.errors import ConfigError, DataError, DetectorError
from tests.detection.conftest import NAMES, THREE, head, network, spec, written


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(network(head(THREE)), tmp_path / "three.onnx")


def test_what_is_saved(model: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    settings = spec(threshold=0.1).settings
    saved = save_detector(model, tmp_path / "a" / "b", classes=NAMES, settings=settings, sha256=digest.upper())
    assert saved == read_detector_manifest(tmp_path / "a" / "b")
    assert (saved.spec, saved.sha256) == (spec(threshold=0.1), digest)
    assert sorted(file.name for file in (tmp_path / "a" / "b").iterdir()) == ["detector.json", "model.onnx"]


def test_where_nobody_says_it_is_a_yolox_of_coco(tmp_path: Path) -> None:
    model = written(network(head({}, classes=80)), tmp_path / "model.onnx")
    own = save_detector(model, tmp_path / "out").spec
    assert (own.decoder, len(own.classes), own.height, own.width) == ("yolox", 80, 64, 64)
    assert own.settings == spec().settings


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"sha256": "a" * 64}, DetectorError, r"three.onnx has the SHA-256 [0-9a-f]{64}, wanted a{64}; it is another"),
        ({"sha256": "abc"}, ConfigError, r"sha256 must be 64 hexadecimal digits, got 'abc'"),
        ({"decoder": "yolo"}, ConfigError, r"there is none of the name 'yolo'; did you mean yolox\?"),
        (
            {"classes": ("lamp",)},
            DetectorError,
            r"2 classes, but 1 class is named; .* name another decoder or class list",
        ),
        ({"classes": None}, DetectorError, r"2 classes, but 80 classes are named"),
        ({"classes": ("lamp", "lamp")}, ConfigError, r"classes must name nothing twice"),
        ({"size": (96, 64)}, DetectorError, r"got a size of 96 × 64 pixels; leave the size off"),
        ({"settings": spec(iou=2.0).settings}, ConfigError, r"iou must be a number from 0 to 1, got 2.0"),
    ],
)
def test_what_cannot_be_leaves_nothing(
    given: dict[str, Any], error: type[Exception], message: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        save_detector(model, tmp_path / "new" / "out", **{"classes": NAMES} | given)
    assert [file.name for file in tmp_path.iterdir()] == ["three.onnx"]


def test_sizes_that_no_yolox_has(tmp_path: Path) -> None:
    model = written(network(head(THREE), shape=(1, 3, 64, 40)), tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="sides of a multiple of 32 pixels, got 64 × 40"):
        save_detector(model, tmp_path / "out", classes=NAMES)


def test_no_model(tmp_path: Path) -> None:
    for place, reason in ((tmp_path / "none.onnx", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(DataError, match=rf"no model in {place}: {reason}.*; give an ONNX file"):
            save_detector(place, tmp_path / "out")


def test_folders_that_are_not_empty_stay_as_they_are(model: Path, kept: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in kept.iterdir()}
    with pytest.raises(ConfigError, match=r"holds a detector already; choose another folder, or remove it first"):
        save_detector(model, kept, classes=NAMES)
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == before
    with pytest.raises(ConfigError, match=r"is not empty; choose another folder .*; three.onnx lies there"):
        save_detector(model, tmp_path, classes=NAMES)
    with pytest.raises(ConfigError, match=r"three.onnx is a file; name a folder"):
        save_detector(model, model, classes=NAMES)
    assert [file.name for file in tmp_path.iterdir()] == ["three.onnx"]


@pytest.mark.parametrize("name", ["model.onnx", "detector.json"])
def test_a_disk_that_is_full_leaves_nothing(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = new_folder.create

    def full(path: Path, content: bytes) -> None:
        if path.name == name:
            raise OSError(28, os.strerror(28))
        create(path, content)

    monkeypatch.setattr(new_folder, "create", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        save_detector(model, tmp_path / "out", classes=NAMES)
    assert raised.value.filename == str(tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["three.onnx"]


def test_what_a_killed_writer_announced_is_removed(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    intent.announce(out, ["model.onnx", "detector.json"])
    (out / "model.onnx").write_bytes(b"a part")
    save_detector(model, out, classes=NAMES)
    assert sorted(file.name for file in out.iterdir()) == ["detector.json", "model.onnx"]
    assert (out / "model.onnx").read_bytes() == model.read_bytes()
