"""The encoder by the Open Inference Protocol (V2 REST), as KServe, Triton and their clients speak it.

One model, `encoder`: `inputs` are raw images (N, 3, S, S) UINT8, or vectors (N, F) FP32, as they enter the network;
`codes` (N, ⌈B / 8⌉) UINT8, `embedding` (N, D) and `features` (N, F) FP32 come out. The binary extension is not spoken.
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct, field

import dqh
from dqh.codes import code_bytes
from dqh.encoding.loaded_encoder import LoadedEncoder
from dqh.service.refusals import RequestError

MODEL, VERSION, INPUT = "encoder", "1", "inputs"
OUTPUTS = ("codes", "embedding", "features")
MOST = 64
"""Inputs of a request."""

Dimensions = list[int]


class Tensor(Struct, kw_only=True):
    """A tensor: its values one after another, the last dimension fastest, or as nested lists."""

    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0, le=2**31)]], Meta(max_length=8)]
    datatype: Literal["UINT8", "FP32"]
    data: list[Any]


class Wanted(Struct):
    """An output that is asked for."""

    name: str


class InferenceAsked(Struct, kw_only=True):
    """Inputs of the encoder, and which of its outputs are wanted; all where none is named."""

    inputs: list[Tensor]
    outputs: list[Wanted] = field(default_factory=list)
    id: Annotated[str, Meta(max_length=256)] | None = None


class Inferred(Struct, kw_only=True, omit_defaults=True):
    """Outputs of the encoder."""

    model_name: str
    model_version: str
    outputs: list[Tensor]
    id: str | None = None


class TensorKnown(Struct):
    """Name, type and shape of a tensor; -1 for any number."""

    name: str
    datatype: str
    shape: Dimensions


class ModelKnown(Struct):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorKnown]
    outputs: list[TensorKnown]


class ServerKnown(Struct):
    """What serves models."""

    name: str
    version: str
    extensions: list[str]


class Alive(Struct):
    """Whether the server lives."""

    live: bool


class Ready(Struct):
    """Whether it is ready."""

    ready: bool


def server_known() -> ServerKnown:
    """The metadata of the server."""
    return ServerKnown("dqh", dqh.__version__, [])


def model_known(encoder: LoadedEncoder) -> ModelKnown:
    """The metadata of the encoder."""
    spec, quantizer = encoder.interface.spec, encoder.interface.quantizer
    entering = [-1, 3, spec.size, spec.size] if spec.kind == "image" else [-1, spec.size]
    sizes = (code_bytes(quantizer.bits), quantizer.dimension, encoder.interface.feature_size)
    return ModelKnown(
        MODEL,
        [VERSION],
        "dqh",
        [TensorKnown(INPUT, "UINT8" if spec.kind == "image" else "FP32", entering)],
        [
            TensorKnown(name, "UINT8" if name == "codes" else "FP32", [-1, size])
            for name, size in zip(OUTPUTS, sizes, strict=True)
        ],
    )


def require_model(name: str, version: str = VERSION) -> None:
    """RequestError (404) where there is no such model, or version of it."""
    if name != MODEL or version != VERSION:
        raise RequestError(404, f"there is one model, {MODEL}, and its version {VERSION}")


def infer(encoder: LoadedEncoder, asked: InferenceAsked) -> Inferred:
    """What the encoder makes of inputs.

    Raises:
        RequestError: they are not what it takes, or an output is wanted that it does not give (400).
    """
    known = model_known(encoder).inputs[0]
    names = [wanted.name for wanted in asked.outputs] or list(OUTPUTS)
    if unknown := sorted(set(names) - set(OUTPUTS)):
        raise RequestError(400, f"outputs are {', '.join(OUTPUTS)}, got {unknown[0][:80]!r}")
    if len(asked.inputs) != 1 or asked.inputs[0].name != known.name or asked.inputs[0].datatype != known.datatype:
        raise RequestError(400, f"wanted one input, {known.name}, of type {known.datatype}")
    given = asked.inputs[0]
    if len(given.shape) != len(known.shape) or given.shape[1:] != known.shape[1:] or not 1 <= given.shape[0] <= MOST:
        raise RequestError(400, f"wanted shape {known.shape} with 1 … {MOST} inputs, got {given.shape}")
    encoded = encoder.encode(_array(given))
    outputs = []
    for name in names:
        array = np.asarray(getattr(encoded, name))
        kind = "UINT8" if name == "codes" else "FP32"
        outputs.append(Tensor(name=name, shape=list(array.shape), datatype=kind, data=array.ravel().tolist()))  # type: ignore[arg-type]
    return Inferred(model_name=MODEL, model_version=VERSION, outputs=outputs, id=asked.id)


def _array(given: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        array = np.array(given.data)
    except ValueError:
        array = np.empty(0)
    whole = given.datatype == "UINT8"
    if array.size != math.prod(given.shape) or array.dtype.kind not in ("iu" if whole else "iuf"):
        raise RequestError(400, f"data must be {math.prod(given.shape)} {'whole ' * whole}numbers, as its shape says")
    fits = (array >= 0).all() and (array <= 255).all() if whole else np.isfinite(array).all()
    if not fits:
        raise RequestError(400, "data must be in 0 … 255" if whole else "data must be finite")
    return array.reshape(given.shape).astype(np.uint8 if whole else np.float32)
