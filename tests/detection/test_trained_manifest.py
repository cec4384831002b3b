"""What `detector.json` of a trained detector says: fields as they are written, read, and refused."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqh.detection.decoders.ready_boxes import DECODER
from dqh.detection.spec import DetectorSpec
from dqh.detection.trained_manifest import (
    GOLDEN,
    MANIFEST,
    MAX_BYTES,
    SPLIT,
    WEIGHTS,
    TrainedManifest,
    is_trained,
    read_file,
    read_trained_manifest,
)
from dqh.errors import DetectorError, NoDetectorError
from dqh.sealed import canonical, seal, unseal

CONTENTS = {name: name.encode() for name in (WEIGHTS, SPLIT, *GOLDEN)}
SPEC = DetectorSpec(DECODER.name, 24, 24, ("cat", "dog"), DECODER.usual)


def manifest(**changes: Any) -> TrainedManifest:
    around = {
        "format_version": 1,
        "backend": "torch",
        "method": "ssd",
        "network": {"name": "ssd", "arguments": {"width": 8}, "backbone": {"name": "small_resnet", "arguments": {}}},
        "data": {"name": "photos", "split_sha256": "a" * 64, "boxes_sha256": "b" * 64},
        "training": {"epochs": 3},
        "metrics": None,
        "versions": {"torch": "2"},
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in CONTENTS.items()
        },
    }
    return TrainedManifest(SPEC, around | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / MANIFEST).write_bytes(manifest().to_bytes())
    return tmp_path


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change fields and seal them again, the id as it was."""
    fields = unseal((path / MANIFEST).read_bytes())
    change(fields)
    (path / MANIFEST).write_bytes(seal(fields))


def test_it_comes_back_and_is_known(path: Path) -> None:
    read = read_trained_manifest(path)
    assert read.spec == SPEC
    assert {name: value for name, value in read.around.items() if name != "detector_id"} == manifest().around
    assert read.detector_id == read.around["detector_id"] == manifest().detector_id
    assert is_trained(path)


def test_the_id_is_of_what_decides_answers() -> None:
    """SHA-256 of backend, network, hash of the weights, and spec: neither data, metrics nor golden inputs."""
    own = manifest()
    deciding = {
        "backend": "torch",
        "network": own.around["network"],
        "weights_sha256": hashlib.sha256(CONTENTS[WEIGHTS]).hexdigest(),
    }
    assert own.detector_id == hashlib.sha256(canonical(deciding | SPEC.to_json())).hexdigest()
    assert manifest(metrics={"ap50": 1}, training={}, versions={}).detector_id == own.detector_id
    lower = SPEC._replace(settings=SPEC.settings._replace(threshold=0.01))
    others = [
        own._replace(spec=lower),
        manifest(network=own.around["network"] | {"name": "faster_rcnn"}),
        manifest(files=own.around["files"] | {WEIGHTS: {"sha256": "0" * 64, "size": 1}}),
    ]
    assert len({own.detector_id, *(other.detector_id for other in others)}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields.update(format_version=2), "has format version 2, this version of dqh reads 1"),
        (lambda fields: fields.update(backend="onnx"), "backend must be"),
        (lambda fields: fields.update(method="../ssd"), "method must be a name"),
        (
            lambda fields: fields["network"]["backbone"].update(name="os.system('x')"),
            r"network\.backbone\.name must be",
        ),
        (lambda fields: fields["data"].update(boxes_sha256="x"), "data.boxes_sha256 must be 64 hexadecimal digits"),
        (lambda fields: fields["files"].update({"../x": {"sha256": "0" * 64, "size": 1}}), r"'\.\./x' is unknown to"),
        (lambda fields: fields["files"][SPLIT].update(size=0), r"files\.split\.json\.size must be an integer from 1"),
        (lambda fields: fields["files"][WEIGHTS].update(size=2**33 + 1), "must be an integer from 1 to 8589934592"),
        (lambda fields: fields.pop("training"), "training is missing"),
        (lambda fields: fields.update(classes=["cat", "cat"]), "classes must"),
        (lambda fields: fields.update(detector_id="0" * 64), "a detector_id that is not of its other fields"),
    ],
)
def test_what_describes_no_detector(path: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    rewritten(path, change)
    with pytest.raises(DetectorError, match=message):
        read_trained_manifest(path)


def test_several_problems_are_told_together(path: Path) -> None:
    rewritten(path, lambda fields: fields.update(method="", threshold=7))
    with pytest.raises(DetectorError, match=r"method must be .*; threshold must be a number from 0 to 1, got 7; train"):
        read_trained_manifest(path)


def test_every_flipped_bit_of_the_manifest_is_told(path: Path) -> None:
    content = (path / MANIFEST).read_bytes()
    for place in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        (path / MANIFEST).write_bytes(damaged)
        assert not is_trained(path)
        with pytest.raises(DetectorError, match="is damaged"):
            read_trained_manifest(path)


def test_other_places(path: Path, tmp_path: Path) -> None:
    assert not is_trained(tmp_path / "none")
    with pytest.raises(NoDetectorError, match=r"detector\.json is missing; give the artifact/ folder of a run"):
        read_trained_manifest(tmp_path / "none")
    (path / MANIFEST).unlink()
    os.mkfifo(path / MANIFEST)
    assert not is_trained(path)  # and does not wait for a writer
    with pytest.raises(DetectorError, match="is damaged"):
        read_trained_manifest(path)
    (path / MANIFEST).unlink()
    (path / MANIFEST).write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(DetectorError, match="is damaged"):
        read_trained_manifest(path)


def test_files_are_read_as_they_were_written(path: Path) -> None:
    own = read_trained_manifest(path)
    assert {name: read_file(path, own, name) for name in CONTENTS} == CONTENTS
    (path / SPLIT).write_bytes(b"split.jsom")
    with pytest.raises(DetectorError, match=r"split\.json is damaged: it does not match the hash in detector\.json"):
        read_file(path, own, SPLIT)
    (path / WEIGHTS).write_bytes(CONTENTS[WEIGHTS] + b"x")
    with pytest.raises(DetectorError, match=r"detector\.safetensors is damaged"):
        read_file(path, own, WEIGHTS)
    (path / GOLDEN[0]).unlink()
    (path / GOLDEN[0]).symlink_to(path / SPLIT)
    with pytest.raises(DetectorError, match=r"inputs\.npy is damaged"):
        read_file(path, own, GOLDEN[0])
