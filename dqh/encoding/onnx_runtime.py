"""The ONNX form of an artifact as ONNX Runtime runs it, on a CPU, in a process of its own.

Needs the package onnxruntime, of the extra `onnx`. Writing the form is in `onnx_form`.
"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from dqh import cores
from dqh.artifact.manifest import listing_of, read_listed, read_manifest
from dqh.commands import command
from dqh.encoding.form_process import FormProcess
from dqh.encoding.onnx_session import OnnxSession
from dqh.errors import ArtifactError, DqhError

FILE = "encoder.onnx"
"""In an artifact."""

INSTALL = "uv sync --inexact --extra onnx"


class OnnxForm(FormProcess):
    """Answers as the artifact does; soft bits aside, its codes are the same (see `dqh.artifact.golden`).

    Args:
        content: of `encoder.onnx`, as it was written: its hash has been checked.
        threads: that compute; None for as many as there are cores, see `dqh.cores.threads`.

    Attributes:
        encoder_id: of the artifact that it was made of, as its metadata says; None where it does not.

    Raises:
        ArtifactError: it keeps weights elsewhere, or asks for operators that are not of ONNX, or ONNX Runtime cannot
            load it, or not in `LOAD_SECONDS`.
        DqhError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, *, threads: int | None = None) -> None:
        require_package("onnxruntime")
        super().__init__(OnnxSession, f"onnxruntime {runtime_version()}", FILE)
        facts = self.load(content, threads=threads or cores.threads())
        self.encoder_id: str | None = facts["metadata"].get("encoder_id")


def require_package(name: str, *, of: str = "the ONNX form") -> None:
    """Raise `DqhError` with the command that installs it where a package of the extra `onnx` is missing."""
    if find_spec(name) is None:
        raise DqhError(f"{of} needs the package {name}; install it: {INSTALL}")


def runtime_version() -> str:
    """Of ONNX Runtime, whichever of its packages is installed; it is not loaded into this process."""
    for package in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "of unknown version"


def load_onnx(path: Path, encoder_id: str) -> OnnxForm:
    """The ONNX form in an artifact.

    Raises:
        ArtifactError: the artifact has no such form, or it is damaged, of another encoder, or cannot be loaded.
        DqhError: onnxruntime is not installed.
    """
    require_package("onnxruntime")
    write = command("dqh", "export", path, "--to", "onnx")
    manifest = read_manifest(path)
    files = listing_of(path, manifest)
    if FILE not in files:
        raise ArtifactError(f"{path} has no {FILE}; write it: {write}")
    form = OnnxForm(read_listed(path, files, FILE))
    if form.encoder_id != encoder_id:
        raise ArtifactError(
            f"{path / FILE} was made of encoder {form.encoder_id}, the artifact holds {encoder_id}; write it anew: "
            f"{write}"
        )
    return form
