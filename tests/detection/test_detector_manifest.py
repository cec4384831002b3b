"""The two files of a detector, as anybody may have made them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqh.detection.detector_manifest import DetectorManifest, is_detector, read_detector_manifest, read_model
from dqh.errors import DetectorError, NoDetectorError
from dqh.sealed import seal, unseal
from tests.detection.conftest import spec


@pytest.fixture
def copied(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "copied"))


def forged(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """A manifest that says something else, with a hash that is right."""
    fields = unseal((path / "detector.json").read_bytes())
    change(fields)
    (path / "detector.json").write_bytes(seal(fields))


def test_what_was_written_is_read(kept: Path) -> None:
    manifest = read_detector_manifest(kept)
    assert manifest.spec == spec()
    content = read_model(kept, manifest)
    assert (len(content), content) == (manifest.size, (kept / "model.onnx").read_bytes())
    assert sorted(file.name for file in kept.iterdir()) == ["detector.json", "model.onnx"]
    assert is_detector(kept)
    assert list(json.loads((kept / "detector.json").read_bytes()))[-1] == "self_sha256"


def test_the_id_is_of_all_that_decides_answers() -> None:
    manifest = DetectorManifest(spec(), "a" * 64, 5)
    others = [
        manifest._replace(sha256="b" * 64),
        *(
            manifest._replace(spec=spec(**{name: value}))
            for name, value in (("threshold", 0.1), ("classes", ("a", "b")))
        ),
    ]
    assert len({manifest.detector_id, *(other.detector_id for other in others)}) == 4
    assert manifest._replace(size=6).detector_id == manifest.detector_id == manifest.to_json()["detector_id"]


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        NoDetectorError, match=r"no detector at .*: .*detector.json is missing; make a folder of a mode"
    ):
        read_detector_manifest(tmp_path)
    (tmp_path / "a b.onnx").touch()
    with pytest.raises(
        NoDetectorError, match=r"a b.onnx is a file; make a folder .*: dqh detector '.*a b.onnx' --out D"
    ):
        read_detector_manifest(tmp_path / "a b.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda fields: fields.update(format_version=2),
            "has format version 2, this version of dqh reads 1; use the dqh",
        ),
        (lambda fields: fields.update(format_version=True), "has format version True"),
        (lambda fields: fields.update(backend="torch"), "backend must be 'onnx', got 'torch'; make it again"),
        (lambda fields: fields.update(threshold=0.5), "has a detector_id that is not of its other fields"),
        (
            lambda fields: fields.update(decoder="ssd", most=-1),
            "decoder must be 'ready_boxes' or 'yolox', got 'ssd'; most must be an int",
        ),
        (lambda fields: fields.update(height=48), "sides of a multiple of 32 pixels, got 48 × 64"),
        (lambda fields: fields.update(model={"sha256": "a" * 64}), "model.size is missing"),
        (lambda fields: fields.update(where="/etc"), "where is unknown to this version of dqh"),
        (lambda fields: fields.pop("classes"), "classes is missing"),
        (lambda fields: fields["model"].update(size=2**40), "model.size must be an integer from 1 to 2147483648"),
    ],
)
def test_manifests_that_say_something_else(change: Callable[[dict[str, Any]], Any], message: str, copied: Path) -> None:
    forged(copied, change)
    with pytest.raises(DetectorError, match=message):
        read_detector_manifest(copied)


def test_flipped_bits(copied: Path) -> None:
    manifest = read_detector_manifest(copied)
    for name in ("model.onnx", "detector.json"):
        content = bytearray((copied / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copied / name).write_bytes(content)
    with pytest.raises(DetectorError, match=r"detector.json is damaged: .*; copy the folder again"):
        read_detector_manifest(copied)
    with pytest.raises(DetectorError, match=r"model.onnx is damaged: it does not match the hash in detector.json"):
        read_model(copied, manifest)


def test_files_of_another_kind_are_not_opened(copied: Path) -> None:
    manifest, model = read_detector_manifest(copied), copied / "model.onnx"
    with model.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(DetectorError, match=r"model.onnx is damaged: larger than"):
        read_model(copied, manifest)
    model.rename(copied / "other")
    with pytest.raises(DetectorError, match=r"model.onnx is damaged: No such file"):
        read_model(copied, manifest)
    model.symlink_to("other")
    with pytest.raises(DetectorError, match=r"model.onnx is damaged: a symbolic link where a regular file is wanted"):
        read_model(copied, manifest)
    (copied / "detector.json").unlink()
    (copied / "detector.json").mkdir()
    with pytest.raises(DetectorError, match=r"detector.json is damaged: Is a directory"):
        read_detector_manifest(copied)
