"""The ONNX form of an artifact as ONNX Runtime runs it, on a CPU.

Needs the package onnxruntime, of the extra `onnx`. Writing the form is in `onnx_form`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.errors import ArtifactError
from dqh.export.golden import Answers
from dqh.export.graph import OUTPUTS
from dqh.export.manifest import listing_of, read_listed, read_manifest
from dqh.export.onnx_form import INPUT, needed
from dqh.models.backbone import first_line

FILE = "encoder.onnx"
"""In an artifact."""


class OnnxForm:
    """Answers as the artifact does; soft bits aside, its codes are the same (see `dqh.export.golden`).

    Args:
        content: of `encoder.onnx`, as it was written: its hash has been checked.
        threads: that compute; None for as many as torch uses.

    Raises:
        ArtifactError: ONNX Runtime cannot load it.
        DqhError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, *, threads: int | None = None) -> None:
        runtime = needed("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others decode meanwhile
        try:
            self._session: Any = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a dozen kinds, with no common parent of its own
            raise ArtifactError(
                f"onnxruntime {runtime.__version__} cannot load {FILE}: {first_line(error)}; export it again, or "
                "update onnxruntime"
            ) from error

    @property
    def encoder_id(self) -> str | None:
        """Of the artifact that it was made of, as its metadata says."""
        name: str | None = self._session.get_modelmeta().custom_metadata_map.get("encoder_id")
        return name

    def __call__(self, inputs: NDArray[np.uint8] | NDArray[np.float32]) -> Answers:
        """What it says of raw images (N, 3, S, S) uint8 or vectors (N, F) float32."""
        return Answers(*self._session.run(list(OUTPUTS), {INPUT: inputs}))


def load_onnx(path: Path, encoder_id: str) -> OnnxForm:
    """The ONNX form in an artifact.

    Args:
        path: the artifact folder.
        encoder_id: of the encoder that it must have been made of.

    Raises:
        ArtifactError: the artifact has no such form, or it is damaged, of another encoder, or cannot be loaded.
        DqhError: onnxruntime is not installed.
    """
    needed("onnxruntime")
    manifest = read_manifest(path)
    files = listing_of(path, manifest)
    if FILE not in files:
        raise ArtifactError(f"{path} has no {FILE}; write it: dqh export {path} --to onnx")
    form = OnnxForm(read_listed(path, files, FILE))
    if form.encoder_id != encoder_id:
        raise ArtifactError(
            f"{path / FILE} was made of encoder {form.encoder_id}, the artifact holds {encoder_id}; write it anew: "
            f"dqh export {path} --to onnx"
        )
    return form
