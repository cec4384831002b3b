"""Which forms of an artifact there are, and their making: in the artifact itself, or in a folder of their own.

encoder.onnx, verify_onnx.py     onnx
encoder.pt2                      pt2
faiss/                           faiss, empty indexes
triton/                          triton
"""

import logging
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from dqh.artifact.artifact import Artifact, manifest_of
from dqh.artifact.golden import codes_file
from dqh.artifact.interface import QUANTIZER
from dqh.artifact.lengths import file_of_length, of_length
from dqh.artifact.loading import load_artifact
from dqh.artifact.manifest import EXPORT_MANIFEST, FORMAT_VERSION, MANIFEST, listing_of, read_listed, read_manifest
from dqh.artifact.publishing import Folder, write_contents
from dqh.errors import ArtifactError, ConfigError, DqhError
from dqh.export.artifact.exported_program import exported_program
from dqh.export.artifact.faiss_form import Lists, faiss_files
from dqh.export.artifact.onnx_form import onnx_model, verify_script
from dqh.export.artifact.triton import triton_files
from dqh.export.form import Exported, Form, publish, require_known
from dqh.export.onnx_export import require_onnx

logger = logging.getLogger(__name__)


class Exportable:
    """An artifact as its forms are made of it; the ONNX model is made once."""

    def __init__(self, artifact: Artifact, lists: Lists) -> None:
        self.artifact = artifact
        self.lists = lists

    @cached_property
    def model(self) -> bytes:
        """The content of `encoder.onnx`."""
        return onnx_model(self.artifact)


def _of(
    files: Callable[[Exportable], Mapping[str, bytes]], require: Callable[[Exportable], None] | None = None
) -> Form[Exportable]:
    """A form of some files: name → content."""

    def write(content: Exportable, root: Path) -> None:
        write_contents(root, files(content))

    return Form(write) if require is None else Form(write, require)


def _require_onnx(_: Exportable) -> None:
    require_onnx()


FORMS: Mapping[str, Form[Exportable]] = {
    "onnx": _of(lambda given: {"encoder.onnx": given.model, "verify_onnx.py": verify_script()}, _require_onnx),
    "pt2": _of(lambda given: {"encoder.pt2": exported_program(given.artifact)}),
    "faiss": _of(lambda given: faiss_files(given.artifact, given.lists)),
    "triton": _of(lambda given: triton_files(given.artifact, given.model), _require_onnx),
}


class ArtifactSource:
    """An artifact whose forms are made, see `dqh.export.form.Source`.

    Args:
        path: of the artifact.
        out: folder for the forms; None for the artifact itself.
        lists: of the faiss indexes.
        bits: which of its lengths; None for the main one.

    Raises:
        ArtifactError: it is missing or damaged, or has no such length.
        ConfigError: forms of a further length would go into the artifact itself.
    """

    kind: str | None = None
    error: type[DqhError] = ArtifactError

    def __init__(self, path: Path, *, out: Path | None, lists: Lists, bits: int | None = None) -> None:
        self.path = path
        main = load_artifact(path) if bits is None else load_artifact(path, bits=bits)
        artifact = main.of_length(main.quantizer.bits)
        self.further = bits is not None and bits != read_manifest(path)["bits"]
        if self.further and out is None:
            raise ConfigError(
                f"{path} holds forms of its main length alone, got bits={bits}; give these a folder of their own: "
                "--out DIR"
            )
        self.content = Exportable(artifact, lists)
        self.encoder_id = self.content.artifact.encoder_id
        self.folder, self.name = (path, MANIFEST) if out is None else (out, EXPORT_MANIFEST)

    def fields(self, present: Mapping[str, Any] | None) -> dict[str, Any]:
        """Those that are there, of the newest format version; of a new folder, those of the artifact."""
        artifact = self.content.artifact
        if present is None:
            manifest = of_length(self.path, read_manifest(self.path), artifact.quantizer.bits)
            return manifest_of(artifact) | {name: manifest[name] for name in ("metrics", "versions")}
        if present["format_version"] == FORMAT_VERSION:
            return dict(present)
        logger.info("%s becomes format version %d, its encoder %s", self.path, FORMAT_VERSION, self.encoder_id)
        newer = manifest_of(artifact)
        return {**present, **{name: newer[name] for name in ("format_version", "encoder_id", "head")}}

    def beside(self) -> dict[str, bytes]:
        """The quantizer and the golden inputs of the artifact, which forms are checked with."""
        files = listing_of(self.path, read_manifest(self.path))
        codes, further = f"golden/{codes_file(None)}", f"golden/{codes_file(None)[:5]}_"
        kept = {file: file for file in files if file == QUANTIZER or file.startswith("golden/")}
        kept = {file: place for file, place in kept.items() if not file.startswith(further)}
        if self.further:
            bits = self.content.artifact.quantizer.bits
            kept |= {QUANTIZER: file_of_length(QUANTIZER, bits), codes: f"golden/{codes_file(bits)}"}
        return {file: read_listed(self.path, files, place) for file, place in kept.items()}

    def require_version(self, folder: Folder, forms: Collection[str]) -> None:
        """Forms of one encoder are of one version."""


def export_forms(
    path: Path,
    forms: Collection[str],
    *,
    out: Path | None = None,
    lists: Lists | None = None,
    bits: int | None = None,
) -> Exported:
    """Make forms of an artifact; those of the same names that are there already are replaced.

    Args:
        path: the artifact folder.
        forms: some of `FORMS`.
        out: a folder for the forms, new, empty, or one with forms of the same encoder; None for the artifact itself,
            whose manifest is replaced last, and is of the newest format version then.
        lists: of the faiss indexes.
        bits: which length of the artifact; None for the main one. Forms of another need `out`.

    Raises:
        ArtifactError: the artifact is missing or damaged, or has no such length, `out` is damaged or holds forms of
            another encoder, or a form cannot be made.
        ConfigError: no form is asked for, or an unknown one, `out` is a file or holds something else, or something that
            is not ours lies where a form belongs.
        OSError: a file cannot be written; the folder is as it was.
        DqhError: a form needs a package that is not installed.
    """
    require_known(forms, FORMS, of="an artifact")
    source = ArtifactSource(path, out=out, lists=lists or Lists(), bits=bits)
    _, sizes = publish(source, FORMS, forms)
    return Exported(source.folder, source.encoder_id, None, None, sizes)
