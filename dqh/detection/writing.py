"""A detector comes into a folder of its own, whole or not at all; see `dqh.detection.detector_manifest` for its files.

Model and manifest are announced by a note of intent first (`dqh.intent`), and the manifest comes last: whoever is
killed leaves a whole detector, or a note by which the next writer removes what is left of it.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dqh import intent
from dqh.artifact.publishing import require_empty
from dqh.detection.class_names import COCO, read_class_names
from dqh.detection.decoders import DECODERS, Settings
from dqh.detection.detector_files import MANIFEST
from dqh.detection.detector_manifest import (
    MAX_MODEL,
    MODEL,
    DetectorManifest,
    is_detector,
    read_detector_manifest,
    read_model,
)
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector
from dqh.detection.spec import DetectorSpec, problems_of, require_decoder
from dqh.errors import ConfigError, DataError, DetectorError
from dqh.files import create, make_folders, read_regular, sync_folder
from dqh.locks import locked_folder

DECODER = "yolox"
"""Where nobody says which."""


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
    content = _content(model)
    digest = hashlib.sha256(content).hexdigest()
    _require_hash(model, digest, sha256)
    names = read_class_names(COCO) if classes is None else tuple(classes)
    with OnnxNetwork(content, os.fspath(model)) as network:
        spec = DetectorSpec(decoder, *network.input_size(size), names, settings or DECODERS[decoder].usual)
        if problems := problems_of(spec.to_json()):
            raise ConfigError(problems)
        manifest = DetectorManifest(spec, digest, len(content))
        OnnxDetector(network, spec, manifest.detector_id)
    _publish(out, {MODEL: content, MANIFEST: manifest.to_bytes()})
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


def _publish(out: Path, contents: Mapping[str, bytes]) -> None:
    """Create the files of a folder, the last one of which makes it whole; where it fails, there is nothing new."""
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    make_folders(out)
    try:
        with locked_folder(out, error=DetectorError):
            if is_detector(out):
                raise ConfigError(f"{out} holds a detector already; choose another folder, or remove it first")
            require_empty(out)
            intent.clear(out)
            try:
                _create(out, contents)
            except BaseException:
                with contextlib.suppress(OSError):  # the next writer tries again
                    intent.clear(out)
                raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:  # a full disk
            error.filename = str(out)
        for folder in new:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()
        raise


def _create(out: Path, contents: Mapping[str, bytes]) -> None:
    intent.announce(out, contents)
    for name, content in contents.items():
        create(out / name, content)
    sync_folder(out)
    read_model(out, read_detector_manifest(out))  # as everybody will
    intent.withdraw(out)
