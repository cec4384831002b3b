"""A detector on disk: a folder of a few files, one of which says all about the others.

    detector.json       canonical JSON, last field `self_sha256`: `format_version`, `backend` (what runs the network),
                        `detector_id`, `model` (`sha256` and `size` in bytes of the model), and how the network is run:
                        `decoder`, `height`, `width`, `classes`, `colour`, `largest`, `padding`, `threshold`, `iou`,
                        `most` (see `dqh.detection.spec`)
    model.onnx          the network, byte for byte as it was given
    second_stage.onnx   where there are two networks: what looks at the proposals of the first. `detector.json` has
                        `second_stage` then: `sha256`, `size`, and how proposals are chosen (see
                        `dqh.detection.proposals`)
    golden/             where the detector was trained here: inputs and what they must get, with `golden` in
                        `detector.json`, which has `sha256` and `size` of each (see `dqh.detection.golden_inputs`)
    split.json          likewise: who is who in the data of the training, with `origin` in `detector.json`: `method`,
                        `split_sha256`, `boxes_sha256`, `training` (see `dqh.detection.origin`), `sha256` and `size`

The folder may be reached by a link; in it, links are not followed, and nothing but regular files is opened. How it
comes to be is in `dqh.detection.writing`.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dqh.commands import command
from dqh.detection.detector_files import FORMAT_VERSION, MANIFEST, NAME, SPLIT, read_fields, read_hashed
from dqh.detection.golden_inputs import GOLDEN
from dqh.detection.proposals import FIELDS as OF_PROPOSALS
from dqh.detection.proposals import Selection
from dqh.detection.spec import DetectorSpec, problems_of, spec_of
from dqh.errors import DetectorError, NoDetectorError
from dqh.schema import HASH, Check, anything, integer, mapping, one_of, record
from dqh.sealed import canonical, seal

MODEL, SECOND = "model.onnx", "second_stage.onnx"

MAX_BYTES = 16 * 2**20
"""Largest manifest that is parsed."""

MAX_MODEL = 2**31
"""Bytes of the largest file; no ONNX file is larger."""

BACKEND = "onnx"

_FILE: dict[str, Check] = {"sha256": HASH, "size": integer(1, MAX_MODEL)}

_OPTIONAL: dict[str, Check] = {
    "second_stage": record(_FILE | OF_PROPOSALS),
    "golden": record(dict.fromkeys(GOLDEN, record(_FILE))),
    "origin": record(
        _FILE | {"method": NAME, "split_sha256": HASH, "boxes_sha256": HASH, "training": mapping(anything)}
    ),
}

_AROUND: dict[str, Check] = {
    "format_version": one_of(FORMAT_VERSION),
    "backend": one_of(BACKEND),
    "detector_id": HASH,
    "model": record(_FILE),
    **_OPTIONAL,
}
"""The fields beside those of the spec."""


class FileNote(NamedTuple):
    """What a manifest says of a file: SHA-256, 64 hexadecimal digits, and size in bytes."""

    sha256: str
    size: int


def note_of(content: bytes) -> FileNote:
    """The note of a file of this content."""
    return FileNote(hashlib.sha256(content).hexdigest(), len(content))


class SecondStage(NamedTuple):
    """A second network.

    Attributes:
        file: that it lies in.
        selection: of the proposals that it looks at.
    """

    file: FileNote
    selection: Selection


class OriginNote(NamedTuple):
    """What a manifest says of a training, whose split lies in a file beside it.

    Attributes:
        file: the split.
        method: that trained it, as in `conf/method/`.
        split_sha256: of the split, as such.
        boxes_sha256: of the annotations.
        training: facts of the training, plain JSON values.
    """

    file: FileNote
    method: str
    split_sha256: str
    boxes_sha256: str
    training: Mapping[str, Any]


class DetectorManifest(NamedTuple):
    """What `detector.json` says.

    Attributes:
        spec: how the network is run.
        sha256: of the model.
        size: of the model, bytes.
        second: the second network; None where there is one alone.
        golden: golden inputs by name of the file; None where there are none.
        origin: what it was trained on; None where nothing is known of that.
    """

    spec: DetectorSpec
    sha256: str
    size: int
    second: SecondStage | None = None
    golden: Mapping[str, FileNote] | None = None
    origin: OriginNote | None = None

    @property
    def detector_id(self) -> str:
        """The SHA-256 of all that decides answers: backend, models and spec."""
        deciding = {"backend": BACKEND, "model_sha256": self.sha256} | self.spec.to_json()
        if self.second is not None:
            deciding["second_stage"] = {"sha256": self.second.file.sha256} | self.second.selection._asdict()
        return hashlib.sha256(canonical(deciding)).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fields of `detector.json`, without its hash."""
        around: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "backend": BACKEND,
            "detector_id": self.detector_id,
            "model": {"sha256": self.sha256, "size": self.size},
        }
        if self.second is not None:
            around["second_stage"] = self.second.file._asdict() | self.second.selection._asdict()
        if self.golden:
            around["golden"] = {name: note._asdict() for name, note in self.golden.items()}
        if self.origin is not None:
            around["origin"] = self.origin.file._asdict() | {
                name: value for name, value in self.origin._asdict().items() if name != "file"
            }
        return around | self.spec.to_json()

    def to_bytes(self) -> bytes:
        """The content of `detector.json`."""
        return seal(self.to_json())


def is_detector(path: Path) -> bool:
    """Whether a folder holds a detector that was written to its end, or something else in the manifest's place."""
    return os.path.lexists(path / MANIFEST)


def read_detector_manifest(path: Path) -> DetectorManifest:
    """What the manifest of a folder says.

    Raises:
        NoDetectorError: there is none.
        DetectorError: it is broken, of an unknown format version, or says what cannot be.
    """
    file = path / MANIFEST
    if not is_detector(path):
        model = path if path.is_file() else Path("MODEL.onnx")
        what = f"{path} is a file" if path.is_file() else f"{file} is missing"
        raise NoDetectorError(
            f"no detector at {path}: {what}; make a folder of a model: {command('dqh', 'detector', model)} --out DIR"
        )
    fields = read_fields(file, most=MAX_BYTES)
    if problems := _problems(fields):
        raise DetectorError(f"{file} does not describe a detector: {'; '.join(problems)}; make it again")
    manifest = _parsed(fields)
    if manifest.detector_id != fields["detector_id"]:
        raise DetectorError(f"{file} has a detector_id that is not of its other fields; make it again")
    return manifest


def read_model(path: Path, manifest: DetectorManifest) -> bytes:
    """The model of a folder, whose hash is taken from the very bytes that are returned.

    Raises:
        DetectorError: it is missing, no regular file, or not what was written.
    """
    return read_hashed(path / MODEL, size=manifest.size, sha256=manifest.sha256)


def read_second(path: Path, second: SecondStage) -> bytes:
    """The second network of a folder; errors are those of `read_model`."""
    return read_hashed(path / SECOND, size=second.file.size, sha256=second.file.sha256)


def read_kept(path: Path, manifest: DetectorManifest, name: str) -> bytes:
    """The content of a golden file of a folder that has such; errors are those of `read_model`."""
    assert manifest.golden is not None
    note = manifest.golden[name]
    return read_hashed(path / name, size=note.size, sha256=note.sha256)


def read_origin_split(path: Path, origin: OriginNote) -> bytes:
    """The content of the split of a folder that has one; errors are those of `read_model`."""
    return read_hashed(path / SPLIT, size=origin.file.size, sha256=origin.file.sha256)


def files_of(manifest: DetectorManifest) -> tuple[str, ...]:
    """The names of all files of a folder but the manifest."""
    second, split = (SECOND,) * (manifest.second is not None), (SPLIT,) * (manifest.origin is not None)
    return (MODEL, *second, *(manifest.golden or ()), *split)


def read_all(path: Path, manifest: DetectorManifest) -> None:
    """Read every file of a folder, so that its hash is known to hold; errors are those of `read_model`."""
    read_model(path, manifest)
    if manifest.second is not None:
        read_second(path, manifest.second)
    for name in manifest.golden or ():
        read_kept(path, manifest, name)
    if manifest.origin is not None:
        read_origin_split(path, manifest.origin)


def _problems(fields: Mapping[str, Any]) -> list[str]:
    around = {name: value for name, value in fields.items() if name in _AROUND}
    return record(_AROUND, optional=_OPTIONAL)(around, "") + problems_of(_rest(fields))


def _rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _AROUND}


def _parsed(fields: Mapping[str, Any]) -> DetectorManifest:
    spec, model, own = spec_of(_rest(fields)), fields["model"], fields.get("second_stage")
    second = None
    if own is not None:
        selection = Selection(**{name: own[name] for name in Selection._fields})
        second = SecondStage(FileNote(own["sha256"], own["size"]), selection)
    golden = fields.get("golden")
    notes = None if golden is None else {name: FileNote(**note) for name, note in golden.items()}
    trained = fields.get("origin")
    origin = None
    if trained is not None:
        around = {name: trained[name] for name in OriginNote._fields if name != "file"}
        origin = OriginNote(FileNote(trained["sha256"], trained["size"]), **around)
    return DetectorManifest(spec, model["sha256"], model["size"], second, notes, origin)
