"""A detector on disk: a folder of two files, one of which says all about the other.

    detector.json   canonical JSON, last field `self_sha256`: `format_version`, `backend` (what runs the network),
                    `detector_id`, `model` (`sha256` and `size` in bytes of the other file), and how the network is run:
                    `decoder`, `height`, `width`, `classes`, `colour`, `largest`, `padding`, `threshold`, `iou`, `most`
                    (see `dqh.detection.spec`)
    model.onnx      the network, byte for byte as it was given

The folder may be reached by a link; in it, links are not followed, and nothing but regular files is opened. How it
comes to be is in `dqh.detection.writing`.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dqh.commands import command
from dqh.detection.detector_files import FORMAT_VERSION, MANIFEST, read_fields, read_hashed
from dqh.detection.spec import DetectorSpec, problems_of, spec_of
from dqh.errors import DetectorError, NoDetectorError
from dqh.schema import HASH, Check, integer, one_of, record
from dqh.sealed import canonical, seal

MODEL = "model.onnx"

MAX_BYTES = 16 * 2**20
"""Largest manifest that is parsed."""

MAX_MODEL = 2**31
"""Bytes of the largest model; no ONNX file is larger."""

BACKEND = "onnx"

_AROUND: dict[str, Check] = {
    "format_version": one_of(FORMAT_VERSION),
    "backend": one_of(BACKEND),
    "detector_id": HASH,
    "model": record({"sha256": HASH, "size": integer(1, MAX_MODEL)}),
}
"""The fields beside those of the spec."""


class DetectorManifest(NamedTuple):
    """What `detector.json` says.

    Attributes:
        spec: how the network is run.
        sha256: of the model.
        size: of the model, bytes.
    """

    spec: DetectorSpec
    sha256: str
    size: int

    @property
    def detector_id(self) -> str:
        """The SHA-256 of all that decides answers: backend, model and spec."""
        deciding = {"backend": BACKEND, "model_sha256": self.sha256} | self.spec.to_json()
        return hashlib.sha256(canonical(deciding)).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fields of `detector.json`, without its hash."""
        around = {
            "format_version": FORMAT_VERSION,
            "backend": BACKEND,
            "detector_id": self.detector_id,
            "model": {"sha256": self.sha256, "size": self.size},
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


def _problems(fields: Mapping[str, Any]) -> list[str]:
    around = {name: value for name, value in fields.items() if name in _AROUND}
    return record(_AROUND)(around, "") + problems_of(_rest(fields))


def _rest(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _AROUND}


def _parsed(fields: Mapping[str, Any]) -> DetectorManifest:
    return DetectorManifest(spec_of(_rest(fields)), fields["model"]["sha256"], fields["model"]["size"])
