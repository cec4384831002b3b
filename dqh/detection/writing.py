"""A detector comes into a folder of its own, whole or not at all; its files: `dqh.detection.detector_manifest`."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dqh.artifact.new_folder import publish_new, require_new
from dqh.detection.class_names import COCO, read_class_names
from dqh.detection.decoders import DECODERS, Settings
from dqh.detection.detector_files import MANIFEST, SPLIT
from dqh.detection.detector_manifest import (
    MAX_MODEL,
    MODEL,
    SECOND,
    DetectorManifest,
    OriginNote,
    SecondStage,
    note_of,
    read_all,
    read_detector_manifest,
)
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector, Runnable
from dqh.detection.origin import Origin, split_bytes
from dqh.detection.proposals import Selection
from dqh.detection.spec import DetectorSpec, problems_of, require_decoder
from dqh.errors import ConfigError, DataError, DetectorError
from dqh.files import read_regular

DECODER = "yolox"
"""Where nobody says which."""

_KIND = "detector"


def save_detector(
    model: Path,
    out: Path,
    *,
    decoder: str = DECODER,
    classes: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    settings: Settings | None = None,
    sha256: str | None = None,
) -> DetectorManifest:
    """Make the folder of a detector from a network that was exported to ONNX, which is run once before.

    Args:
        model: the file.
        out: a folder that is not there yet, or is empty.
        decoder: what reads the output, a name of `dqh.detection.decoders.DECODERS`.
        classes: their names in the order of the output; None for those of COCO.
        size: height and width of the input, pixels; None for what the model says, which it must not contradict.
        settings: None for the usual ones of the decoder.
        sha256: of the model, 64 hexadecimal digits; None where it is not known.

    Returns:
        What the manifest of the folder says.

    Raises:
        ConfigError: there is no such decoder, a setting cannot be, or the folder is not empty.
        DataError: there is no such file.
        DetectorError: the file has another hash, cannot be loaded, or its input or output is not as the decoder wants.
        DqhError: onnxruntime is not installed.
        OSError: the folder cannot be written.
    """
    require_decoder(decoder)
    require_place(out)
    content = _content(model)
    _require_hash(model, hashlib.sha256(content).hexdigest(), sha256)
    names = read_class_names(COCO) if classes is None else tuple(classes)
    with OnnxNetwork(content, os.fspath(model)) as network:
        spec = DetectorSpec(decoder, *network.input_size(size), names, settings or DECODERS[decoder].usual)
        return write_detector(out, [content], spec, network)


def require_place(out: Path) -> None:
    """Raise `ConfigError` where a folder cannot become that of a detector, before anything is worked out for it."""
    require_new(out, last=MANIFEST, kind=_KIND)


def write_detector(
    out: Path,
    models: Sequence[bytes],
    spec: DetectorSpec,
    network: Runnable,
    *,
    selection: Selection | None = None,
    golden: Mapping[str, bytes] | None = None,
    origin: Origin | None = None,
) -> DetectorManifest:
    """Make the folder of a detector from the content of its models.

    Args:
        out: a folder that is not there yet, or is empty.
        models: one, or the two of a detector of two stages.
        spec: how it is run.
        network: of these models, loaded; it is run once before.
        selection: of the proposals, where there are two models.
        golden: golden inputs and what they must get, by the names in `dqh.detection.golden_inputs`; they are not
            asked here.
        origin: what it was trained on; None where nothing is known of that.

    Raises:
        ConfigError: the spec cannot be, or the folder is not empty.
        DetectorError: it does not answer as the spec says.
        OSError: the folder cannot be written.
    """
    if problems := problems_of(spec.to_json()):
        raise ConfigError(problems)
    files = dict(zip((MODEL, SECOND), models, strict=False)) | dict(golden or {})
    if origin is not None:
        files[SPLIT] = split_bytes(origin.split)
    notes = {file: note_of(content) for file, content in files.items()}
    manifest = DetectorManifest(
        spec,
        notes[MODEL].sha256,
        notes[MODEL].size,
        None if selection is None else SecondStage(notes[SECOND], selection),
        {file: notes[file] for file in golden} if golden else None,
        None
        if origin is None
        else OriginNote(notes[SPLIT], origin.method, origin.split.sha256, origin.boxes_sha256, origin.training),
    )
    OnnxDetector(network, spec, manifest.detector_id)
    publish_new(
        out,
        files | {MANIFEST: manifest.to_bytes()},
        kind=_KIND,
        check=lambda folder: read_all(folder, read_detector_manifest(folder)),
        error=DetectorError,
    )
    return manifest


def _content(model: Path) -> bytes:
    try:
        return read_regular(model, most=MAX_MODEL, links=True)
    except OSError as error:
        raise DataError(f"no model in {model}: {error.strerror}; give an ONNX file") from error


def _require_hash(model: Path, digest: str, wanted: str | None) -> None:
    if wanted is None:
        return
    if not re.fullmatch(r"[0-9a-fA-F]{64}", wanted):
        raise ConfigError(f"sha256 must be 64 hexadecimal digits, got {wanted!r:.80}")
    if digest != wanted.lower():
        raise DetectorError(
            f"{model} has the SHA-256 {digest}, wanted {wanted.lower()}; it is another file or damaged: fetch it again"
        )
