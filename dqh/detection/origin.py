"""What a detector was trained on: its folder says so where it was trained here, also as ONNX."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dqh.artifact.reading import parse_json
from dqh.data.splits import Split
from dqh.detection.detector_files import SPLIT
from dqh.detection.detector_manifest import read_detector_manifest, read_origin_split
from dqh.detection.trained_manifest import is_trained, read_file, read_trained_manifest
from dqh.errors import ArtifactError, DetectorError, DqhError


class Origin(NamedTuple):
    """The training of a detector.

    Attributes:
        method: that trained it, as in `conf/method/`.
        split: of its data.
        boxes_sha256: of the annotations, see `BoxSource`.
        training: facts of the training, plain JSON values.
    """

    method: str
    split: Split
    boxes_sha256: str
    training: Mapping[str, Any]


def read_origin(path: Path) -> Origin | None:
    """What the detector of a folder was trained on; None where nothing is known of that.

    Raises:
        NoDetectorError: there is no detector.
        DetectorError: it is damaged.
    """
    if is_trained(path):
        trained = read_trained_manifest(path)
        fields = trained.around
        split = split_of(path, read_file(path, trained, SPLIT), sha256=fields["data"]["split_sha256"])
        return Origin(fields["method"], split, fields["data"]["boxes_sha256"], fields["training"])
    manifest = read_detector_manifest(path)
    if manifest.origin is None:
        return None
    note = manifest.origin
    split = split_of(path, read_origin_split(path, note), sha256=note.split_sha256)
    return Origin(note.method, split, note.boxes_sha256, note.training)


def split_bytes(split: Split) -> bytes:
    """The content of `split.json`; `split_of` is the inverse."""
    return json.dumps(split.to_json(), ensure_ascii=True).encode()


def split_of(path: Path, content: bytes, *, sha256: str) -> Split:
    """The split in the content of `split.json` of a folder.

    Raises:
        DetectorError: it is none, or not the one of `sha256`.
    """
    try:
        split = Split.from_json(parse_json(content, SPLIT))
    except (ArtifactError, DqhError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DetectorError(f"{path / SPLIT} is no split: {error}; copy the folder again") from error
    if split.sha256 != sha256:
        raise DetectorError(f"{path / SPLIT} is not the split of data.split_sha256; copy the folder again")
    return split
