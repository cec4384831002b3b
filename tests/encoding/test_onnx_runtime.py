"""The ONNX form in an artifact, as it is run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from dqh.artifact import load_artifact
from dqh.artifact.golden import eager, parity
from dqh.encoding import onnx_runtime
from dqh.encoding.onnx_runtime import OnnxForm, load_onnx
from dqh.errors import ArtifactError, DqhError
from tests.artifact.conftest import inputs_of
from tests.artifact.forging import write_manifest


@pytest.mark.slow
def test_it_answers_as_torch(formed: Callable[[str], Path]) -> None:
    artifact = load_artifact(formed("pq"))
    form = load_onnx(formed("pq"), artifact.encoder_id)
    inputs = inputs_of(artifact, 33, seed=5)
    found, wanted = form(inputs), eager(artifact.encoder, artifact.quantizer, inputs)
    assert parity(wanted.codes, found, artifact.quantizer)[0] == 0
    assert np.allclose(found.features, wanted.features, rtol=0, atol=1e-5 * np.abs(wanted.features).max())
    assert form.encoder_id == artifact.encoder_id


def test_what_is_missing_damaged_or_of_another(copied: Callable[[str], Path]) -> None:
    path = copied("pq")
    file, own = path / "encoder.onnx", load_artifact(path).encoder_id
    with pytest.raises(ArtifactError, match=rf"was made of encoder {own}, the artifact holds else; write it anew"):
        load_onnx(path, "else")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"encoder.onnx is damaged: it does not match the hash"):
        load_onnx(path, own)
    file.write_bytes(whole[:99])
    with pytest.raises(ArtifactError, match=r"encoder.onnx is damaged"):
        load_onnx(path, own)
    manifest = json.loads((path / "artifact.json").read_bytes())
    del manifest["self_sha256"], manifest["files"]["encoder.onnx"]
    write_manifest(path, manifest)
    with pytest.raises(ArtifactError, match=rf"{path} has no encoder.onnx; write it: dqh export {path} --to onnx"):
        load_onnx(path, own)


def test_what_onnx_runtime_cannot_load(formed: Callable[[str], Path]) -> None:
    model = onnx.load_from_string((formed("pq") / "encoder.onnx").read_bytes())
    model.opset_import[0].version = 10_000
    with pytest.raises(ArtifactError, match=r"onnxruntime \d.* cannot load encoder.onnx: .*; export it again, or upd"):
        OnnxForm(model.SerializeToString())


def test_a_missing_runtime_is_told_with_its_command(
    formed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "find_spec", lambda name: None)
    with pytest.raises(DqhError, match=r"needs the package onnxruntime; install it: uv sync --inexact --extra onnx"):
        load_onnx(formed("pq"), "any")
