"""The model repository: the layout and types that Triton reads, as the ONNX form has them."""

import re
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest

from dqh.export.artifact.triton import config
from tests.artifact.conftest import make_kind

TYPES = {"TYPE_UINT8": "tensor(uint8)", "TYPE_FP32": "tensor(float)"}


@pytest.mark.parametrize("kind", ["binary", "wide_pq"])
def test_inputs_and_outputs_are_those_of_the_model(kind: str, formed: Callable[[str], Path]) -> None:
    folder = formed(kind) / "triton" / "encoder"
    assert (folder / "1" / "model.onnx").read_bytes() == (formed(kind) / "encoder.onnx").read_bytes()
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    text = (folder / "config.pbtxt").read_text()
    found = [
        (name, TYPES[dtype], [int(each) for each in dims.split(",")])
        for name, dtype, dims in re.findall(r'name: "(\w+)", data_type: (\w+), dims: \[ ([\d, ]+) \]', text)
    ]
    assert found == [(each.name, each.type, each.shape[1:]) for each in (*session.get_inputs(), *session.get_outputs())]
    assert text.count("{") == text.count("}")
    assert text.startswith(f'name: "{folder.name}"\nbackend: "onnxruntime"\n')


def test_a_batch_holds_its_distances() -> None:
    """2 × 65,536 distances an input in 2^26 leave 512, capped at 64; 32 × 65,536 leave 32."""
    artifact = make_kind("wide_pq")
    assert "max_batch_size: 64\n" in config(artifact)
    artifact.quantizer.subspaces = 32
    assert "max_batch_size: 32\n" in config(artifact)
