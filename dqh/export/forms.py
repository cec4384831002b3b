"""Forms of an artifact for other services: ONNX, torch.export, empty faiss indexes, a Triton model repository.

They go into the artifact, or into a folder of their own with what is needed to check them:

    encoder.onnx, verify_onnx.py     onnx
    encoder.pt2                      pt2
    faiss/                           faiss
    triton/                          triton
    export.json                      in place of artifact.json: its fields, and every file with its hash
    quantizer.safetensors, golden/   as in the artifact
"""

import logging
import os
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from dqh.artifact.artifact import Artifact, manifest_of
from dqh.artifact.interface import QUANTIZER
from dqh.artifact.loading import load_artifact
from dqh.artifact.manifest import (
    EXPORT_MANIFEST,
    FORMAT_VERSION,
    MANIFEST,
    is_artifact,
    listing_of,
    read_listed,
    read_manifest,
)
from dqh.artifact.places import INDEX_KIND
from dqh.artifact.publishing import opened, require_empty, write_contents
from dqh.errors import ArtifactError, ConfigError
from dqh.export.artifact.exported_program import exported_program
from dqh.export.artifact.faiss_form import Lists, faiss_files
from dqh.export.artifact.onnx_form import onnx_model, verify_script
from dqh.export.artifact.triton import triton_files
from dqh.files import no_folder

logger = logging.getLogger(__name__)

FORMS = ("onnx", "pt2", "faiss", "triton")


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        folder: that it lies in.
        encoder_id: of the encoder.
        sizes: file name → bytes.
    """

    folder: Path
    encoder_id: str
    sizes: Mapping[str, int]


def export_forms(
    path: Path, forms: Collection[str], *, out: Path | None = None, lists: Lists | None = None
) -> Exported:
    """Make forms of an artifact; those of the same names that are there already are replaced.

    Args:
        path: the artifact folder.
        forms: some of `FORMS`.
        out: a folder for the forms, new, empty, or one with forms of the same encoder; None for the artifact itself,
            whose manifest is replaced last, and is of the newest format version then.
        lists: of the faiss indexes.

    Raises:
        ArtifactError: the artifact is missing or damaged, `out` holds forms of another encoder, or a form cannot be
            made.
        ConfigError: no form is asked for, or an unknown one, `out` is a file or holds something else, or something that
            is not ours lies where a form belongs.
        OSError: a file cannot be written; the folder is as it was.
        DqhError: a form needs a package that is not installed.
    """
    unknown = [each for each in forms if each not in FORMS]
    if unknown or not forms:
        raise ConfigError(f"to: forms must be some of {', '.join(FORMS)}, got {', '.join(unknown) or 'none'}")
    artifact = load_artifact(path)
    if out is not None:
        _require_forms(out, artifact.encoder_id)  # before anything is made
    contents = _Contents(artifact, lists or Lists()).of(forms)  # all of them before anything is written
    makers = {form: partial(write_contents, contents=files) for form, files in contents.items()}
    manifest = read_manifest(path)
    if out is None:
        with opened(path, MANIFEST) as folder:
            folder.publish({**(folder.manifest or {}), **_of_version_2(path, artifact)}, forms=makers)
    else:
        with opened(out, EXPORT_MANIFEST) as folder:
            if folder.manifest is None:
                fields = manifest_of(artifact) | {"metrics": manifest["metrics"], "versions": manifest["versions"]}
                folder.publish(fields, own=_checked_with(path, manifest), forms=makers)
            else:
                _require_encoder(out, folder.manifest, artifact.encoder_id)
                folder.publish(folder.manifest, forms=makers)
    sizes = {file: len(content) for files in contents.values() for file, content in files.items()}
    return Exported(path if out is None else out, artifact.encoder_id, sizes)


class _Contents:
    """The files of each form; the ONNX model is made once."""

    def __init__(self, artifact: Artifact, lists: Lists) -> None:
        self.artifact = artifact
        self.lists = lists

    @cached_property
    def _model(self) -> bytes:
        return onnx_model(self.artifact)

    def of(self, forms: Collection[str]) -> dict[str, dict[str, bytes]]:
        made: dict[str, Callable[[], dict[str, bytes]]] = {
            "onnx": lambda: {"encoder.onnx": self._model, "verify_onnx.py": verify_script()},
            "pt2": lambda: {"encoder.pt2": exported_program(self.artifact)},
            "faiss": lambda: faiss_files(self.artifact, self.lists),
            "triton": lambda: triton_files(self.artifact, self._model),
        }
        return {form: make() for form, make in made.items() if form in forms}


def _require_forms(out: Path, encoder_id: str) -> None:
    """Raise unless a folder is not there, empty, or holds forms of this encoder."""
    if is_artifact(out):
        raise ConfigError(f"{out} is an artifact; leave --out off to add forms to it, or choose another folder")
    if os.path.lexists(out / EXPORT_MANIFEST):
        _require_encoder(out, read_manifest(out, EXPORT_MANIFEST), encoder_id)
    elif problem := no_folder(out):
        raise ConfigError(problem)
    elif out.is_dir():
        require_empty(out)


def _require_encoder(out: Path, manifest: Mapping[str, Any], encoder_id: str) -> None:
    if manifest.get("kind") == INDEX_KIND:
        raise ConfigError(f"{out} holds forms of an index; choose another folder")
    got = manifest.get("encoder_id")
    if got != encoder_id:
        raise ArtifactError(f"{out} holds forms of encoder {got}, not of {encoder_id}; choose another folder")


def _of_version_2(path: Path, artifact: Artifact) -> dict[str, Any]:
    """What an artifact of format version 1 needs to become one of version 2, whose id the forms carry."""
    if read_manifest(path)["format_version"] == FORMAT_VERSION:
        return {}
    logger.info("%s becomes format version %d, its encoder %s", path, FORMAT_VERSION, artifact.encoder_id)
    fields = manifest_of(artifact)
    return {name: fields[name] for name in ("format_version", "encoder_id", "head")}


def _checked_with(path: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """What forms in a folder of their own are checked with: the quantizer and the golden inputs of their artifact."""
    files = listing_of(path, manifest)
    kept = [file for file in files if file == QUANTIZER or file.startswith("golden/")]
    return {file: read_listed(path, files, file) for file in kept}
