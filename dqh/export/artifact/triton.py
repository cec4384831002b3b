"""The ONNX form as a model repository of NVIDIA Triton Inference Server."""

from dqh.artifact.artifact import Artifact
from dqh.codes import code_bytes
from dqh.encoding.onnx_session import INPUT

MODEL = "encoder"
MAX_BATCH = 64
_DISTANCES = 2**26
"""Distances to codewords that a batch may need: half a GiB of float64."""


def triton_files(artifact: Artifact, model: bytes) -> dict[str, bytes]:
    """File name → content of the folder `triton/`."""
    return {
        f"triton/{MODEL}/config.pbtxt": config(artifact).encode(),
        f"triton/{MODEL}/1/model.onnx": model,
        "triton/README.md": _readme(artifact).encode(),
    }


def config(artifact: Artifact) -> str:
    """The content of `config.pbtxt`; dimensions are without the batch, which Triton adds."""
    spec, quantizer = artifact.encoder.spec, artifact.quantizer
    kind, dims = ("TYPE_FP32", [spec.size]) if spec.kind == "vector" else ("TYPE_UINT8", [3, spec.size, spec.size])
    tables = getattr(quantizer, "subspaces", 0) * getattr(quantizer, "codewords", 0)
    outputs = (
        ("codes", "TYPE_UINT8", code_bytes(quantizer.bits)),
        ("embedding", "TYPE_FP32", artifact.encoder.head.dimension),
        ("features", "TYPE_FP32", artifact.encoder.backbone.dimension),
    )
    entries = ",\n".join(
        f'  {{ name: "{name}", data_type: {dtype}, dims: [ {size} ] }}' for name, dtype, size in outputs
    )
    return f"""name: "{MODEL}"
backend: "onnxruntime"
max_batch_size: {max(1, min(MAX_BATCH, _DISTANCES // max(1, tables)))}
input [
  {{ name: "{INPUT}", data_type: {kind}, dims: [ {", ".join(map(str, dims))} ] }}
]
output [
{entries}
]
dynamic_batching {{ }}
parameters [
  {{ key: "encoder_id", value: {{ string_value: "{artifact.encoder_id}" }} }},
  {{ key: "bits", value: {{ string_value: "{quantizer.bits}" }} }},
  {{ key: "code_kind", value: {{ string_value: "{quantizer.kind}" }} }}
]
"""


def _readme(artifact: Artifact) -> str:
    spec = artifact.encoder.spec
    if spec.kind == "vector":
        asked = f"`{INPUT}`: vectors, float32, (N, {spec.size})"
        inputs = f"np.zeros((1, {spec.size}), np.float32)"
    else:
        asked = (
            f"`{INPUT}`: decoded, upright RGB images, uint8, (N, 3, {spec.size}, {spec.size}). Their shorter side is "
            f"resized to {spec.resize} ({spec.interpolation}), the centre {spec.size} × {spec.size} cut out: "
            "`read_image` of `verify_onnx.py` does it (`dqh export --to onnx` writes it)"
        )
        inputs = f"np.zeros((1, 3, {spec.size}, {spec.size}), np.uint8)"
    return f"""# Model repository for NVIDIA Triton Inference Server

    docker run --rm -p 8000:8000 -v "$PWD":/models nvcr.io/nvidia/tritonserver:<version>-py3 \\
        tritonserver --model-repository=/models

{asked}.
Answers: `codes`, uint8, {artifact.quantizer.bits} bits ({artifact.quantizer.kind}) packed low bits first; `embedding`
and `features`, float32.

    import numpy as np, tritonclient.http as http
    inputs = {inputs}
    asked = http.InferInput("{INPUT}", inputs.shape, "{"FP32" if spec.kind == "vector" else "UINT8"}")
    asked.set_data_from_numpy(inputs)
    answer = http.InferenceServerClient("localhost:8000").infer("{MODEL}", [asked])
    codes, features = answer.as_numpy("codes"), answer.as_numpy("features")
"""
