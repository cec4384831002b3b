"""A detector that was trained here, on disk: an artifact like that of an encoder, without codes.

    detector.json           canonical JSON, last field `self_sha256`: `format_version`, `backend` (`torch`),
                            `detector_id`, `method`, `network` (name, arguments, backbone), how it is run (`decoder`,
                            `height`, `width`, `classes` …, see `dqh.detection.spec`), `data` with the hash of the split
                            and of the boxes, `training`, `metrics`, `versions`, and `files`: sha256 and size of the
                            others. It is replaced in one step where metrics are recorded
    detector.safetensors    weights
    split.json              who is who in the data
    golden/                 `inputs.npy` (N, 3, size, size) uint8, and the `boxes.npy` (N, n, 4) and `scores.npy`
                            (N, n, C) float32 that they must get

Nothing is unpickled, and nothing is imported that a file names. How one is written is in `trained_detector`.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dqh.detection.detector_files import FORMAT_VERSION, MANIFEST, NAME, SPLIT, read_fields, read_hashed
from dqh.detection.golden_inputs import GOLDEN
from dqh.detection.spec import FIELDS, DetectorSpec, problems_of, spec_of
from dqh.errors import DetectorError, NoDetectorError
from dqh.files import read_regular
from dqh.schema import HASH, Check, anything, integer, mapping, maybe, one_of, record, text
from dqh.sealed import canonical, seal, unseal

BACKEND = "torch"
WEIGHTS = "detector.safetensors"

MAX_BYTES = 64 * 2**20
"""Largest manifest that is parsed."""

_MOST = {WEIGHTS: 2**33, SPLIT: 2**32} | dict.fromkeys(GOLDEN, 2**31)
"""Bytes of each file, at most."""

_AROUND: dict[str, Check] = {
    "format_version": one_of(FORMAT_VERSION),
    "backend": one_of(BACKEND),
    "detector_id": HASH,
    "method": NAME,
    "network": record(
        {
            "name": NAME,
            "arguments": mapping(anything),
            "backbone": record({"name": NAME, "arguments": mapping(anything)}),
        }
    ),
    "data": record({"name": text(), "split_sha256": HASH, "boxes_sha256": HASH}),
    "training": mapping(anything),
    "metrics": maybe(mapping(anything)),
    "versions": mapping(text()),
    "files": record({name: record({"sha256": HASH, "size": integer(1, most)}) for name, most in _MOST.items()}),
}
"""The fields beside those of the spec."""


class TrainedManifest(NamedTuple):
    """What `detector.json` says.

    Attributes:
        spec: how the network is run.
        around: the other fields, as JSON has them.
    """

    spec: DetectorSpec
    around: dict[str, Any]

    @property
    def detector_id(self) -> str:
        """The SHA-256 of all that decides answers: backend, network, weights and spec."""
        deciding = {
            "backend": BACKEND,
            "network": self.around["network"],
            "weights_sha256": self.around["files"][WEIGHTS]["sha256"],
        }
        return hashlib.sha256(canonical(deciding | self.spec.to_json())).hexdigest()

    def to_bytes(self) -> bytes:
        """The content of `detector.json`."""
        return seal({**self.around, "detector_id": self.detector_id} | self.spec.to_json())


def is_trained(path: Path) -> bool:
    """Whether the folder of a detector says that it was trained here; what cannot be read says nothing."""
    try:
        return bool(unseal(read_regular(path / MANIFEST, most=MAX_BYTES)).get("backend") == BACKEND)
    except (OSError, ValueError):
        return False


def read_trained_manifest(path: Path) -> TrainedManifest:
    """What the manifest of a folder says.

    Raises:
        NoDetectorError: there is none.
        DetectorError: it is broken, of an unknown format version, or says what cannot be.
    """
    file = path / MANIFEST
    if not os.path.lexists(file):
        raise NoDetectorError(f"no detector at {path}: {file} is missing; give the artifact/ folder of a run")
    fields = read_fields(file, most=MAX_BYTES)
    around = {name: value for name, value in fields.items() if name not in FIELDS}
    own = {name: value for name, value in fields.items() if name in FIELDS}
    if problems := record(_AROUND)(around, "") + problems_of(own):
        raise DetectorError(f"{file} does not describe a detector: {'; '.join(problems)}; train it again")
    manifest = TrainedManifest(spec_of(own), around)
    if manifest.detector_id != fields["detector_id"]:
        raise DetectorError(f"{file} has a detector_id that is not of its other fields; train it again")
    return manifest


def read_file(path: Path, manifest: TrainedManifest, name: str) -> bytes:
    """The content of a file of a folder, whose hash is taken from the very bytes that are returned.

    Raises:
        DetectorError: it is missing, no regular file, or not what was written.
    """
    entry: Mapping[str, Any] = manifest.around["files"][name]
    return read_hashed(path / name, size=entry["size"], sha256=entry["sha256"])
