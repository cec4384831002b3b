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
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dqh.errors import ArtifactError, ConfigError
from dqh.export.artifact import Artifact, load_artifact, manifest_of
from dqh.export.exported_program import exported_program
from dqh.export.faiss_form import Lists, faiss_files
from dqh.export.manifest import (
    EXPORT_MANIFEST,
    FORMAT_VERSION,
    INDEX_KIND,
    MANIFEST,
    is_artifact,
    listing_of,
    read_listed,
    read_manifest,
    replace_forms,
    write_files,
    write_manifest,
)
from dqh.export.onnx_form import onnx_model, verify_script
from dqh.export.triton import triton_files

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
        ConfigError: no form is asked for, or an unknown one, or `out` is a file or holds something else.
        OSError: a file cannot be written; where `out` was new or empty, it is so again.
        DqhError: a form needs a package that is not installed.
    """
    unknown = [each for each in forms if each not in FORMS]
    if unknown or not forms:
        raise ConfigError(f"to: forms must be some of {', '.join(FORMS)}, got {', '.join(unknown) or 'none'}")
    artifact = load_artifact(path)
    folder, name = (path, MANIFEST) if out is None else (out, EXPORT_MANIFEST)
    begun = out is not None and _holds_forms(out, artifact.encoder_id)
    contents = _Contents(artifact, lists or Lists()).of(forms)  # all of them before anything is written
    made = [file for form in contents.values() for file in form]
    with nullcontext() if out is None or begun else _begun(path, artifact, out, made):
        replace_forms(folder, contents, name, fields=_of_version_2(path, artifact) if out is None else None)
    sizes = {file: len(content) for form in contents.values() for file, content in form.items()}
    return Exported(folder, artifact.encoder_id, sizes)


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


def _holds_forms(out: Path, encoder_id: str) -> bool:
    """Whether a folder holds forms of this encoder already; an error where it holds something else."""
    if is_artifact(out):
        raise ConfigError(f"{out} is an artifact; leave --out off to add forms to it, or choose another folder")
    if (out / EXPORT_MANIFEST).is_file():
        manifest = read_manifest(out, EXPORT_MANIFEST)
        if manifest.get("kind") == INDEX_KIND:
            raise ConfigError(f"{out} holds forms of an index; choose another folder")
        found = manifest.get("encoder_id")
        if found != encoder_id:
            raise ArtifactError(f"{out} holds forms of encoder {found}, not of {encoder_id}; choose another folder")
        return True
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; --out names a folder")
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; choose another folder or remove it first")
    return False


def _of_version_2(path: Path, artifact: Artifact) -> dict[str, Any]:
    """What an artifact of format version 1 needs to become one of version 2, whose id the forms carry."""
    if read_manifest(path)["format_version"] == FORMAT_VERSION:
        return {}
    logger.info("%s becomes format version %d, its encoder %s", path, FORMAT_VERSION, artifact.encoder_id)
    fields = manifest_of(artifact)
    return {name: fields[name] for name in ("format_version", "encoder_id", "head")}


@contextmanager
def _begun(path: Path, artifact: Artifact, out: Path, forms: Collection[str]) -> Iterator[None]:
    """A block behind which a folder without forms, what they are checked with, has them; where it raises, it is undone.

    Args:
        path: of the artifact.
        artifact: its content.
        out: a folder that is not there, or empty.
        forms: files that the block writes into it.
    """
    manifest = read_manifest(path)
    files = listing_of(path, manifest)
    kept = [each for each in files if each == "quantizer.safetensors" or each.startswith("golden/")]
    new = [each for each in (out, *out.parents) if not each.exists()]
    try:
        listed = write_files(out, {each: read_listed(path, files, each) for each in kept})
        fields = manifest_of(artifact) | {"metrics": manifest["metrics"], "versions": manifest["versions"]}
        write_manifest(out, fields | {"files": listed}, EXPORT_MANIFEST)
        yield
    except BaseException:
        written = [out / each for each in (EXPORT_MANIFEST, *kept, *forms)]
        for file in written:
            file.unlink(missing_ok=True)
        inside = {folder for file in written for folder in file.parents if out in folder.parents}
        for folder in [*sorted(inside, reverse=True), *new]:  # the deepest first
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise
