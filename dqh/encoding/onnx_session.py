"""An ONNX model as ONNX Runtime runs it, once it is seen to be whole in itself: what runs inside a process of its own.

A foreign model can name files or addresses that its weights are read from, outside of what was hashed, and operators
beyond those of ONNX. Both are refused before ONNX Runtime sees the model, by a walk over its protobuf messages that
needs no package. This file imports nothing of this package (see `process`), and is part of `verify_onnx.py`.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

OUTPUTS = ("codes", "embedding", "features")
"""What the model answers, in this order."""

INPUT = "inputs"

LOAD_SECONDS, RUN_SECONDS, INPUT_SECONDS = 120.0, 60.0, 10.0
"""What loading, a run, and each input of it may take: some hundred times what a network takes on one slow core."""

_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Message of onnx.proto → number of a field → the message that it holds, of those that lead to tensors and nodes."""

_STANDARD = ("", "ai.onnx")
"""Domains of ONNX's own operators."""


class OnnxSession:
    """Answers `load`, which gets the model as bytes (N,) uint8 and `threads`, and `run`, which gets inputs."""

    def __call__(self, request: Any) -> Any:
        """`metadata` of the model and name and version of `runtime`, or codes, embedding and features of a batch."""
        if request.fields["do"] == "load":
            return request._replace(fields=self._load(request.arrays[0], request.fields["threads"]), arrays=())
        answers = self._session.run(list(OUTPUTS), {INPUT: request.arrays[0]})
        if not all(isinstance(answer, np.ndarray) and answer.dtype.kind in "biuf" for answer in answers):
            raise TypeError(f"the outputs {', '.join(OUTPUTS)} must be arrays of numbers")
        return request._replace(fields={}, arrays=tuple(answers))

    def _load(self, model: np.ndarray, threads: int) -> dict[str, Any]:
        self._session, runtime = session_of(model, threads)
        return {"metadata": self._session.get_modelmeta().custom_metadata_map, "runtime": runtime}


def session_of(model: np.ndarray, threads: int) -> tuple[Any, str]:
    """A session on the CPU, and name and version of what runs it.

    Args:
        model: its bytes (N,) uint8.
        threads: that compute; 0 for as many as ONNX Runtime likes.

    Raises:
        ValueError: the model is refused, see `require_whole`; ONNX Runtime has errors of its own.
    """
    require_whole(model.data)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is read when the package is imported
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its texts, with names out of the model, come as errors too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others decode meanwhile
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never its own format, unseen by the walk
    session = onnxruntime.InferenceSession(model.tobytes(), options, providers=["CPUExecutionProvider"])
    return session, f"onnxruntime {onnxruntime.__version__}"


def require_whole(model: memoryview) -> None:
    """Raise ValueError unless a model keeps all its weights inside and asks for ONNX's own operators alone.

    Args:
        model: the bytes of a ModelProto. Initializers of all graphs, attributes of all nodes, functions, sparse tensors
            and the graphs of training are seen, however deep they lie.
    """
    asked: set[tuple[str, str]] = set()
    own: set[tuple[str, str]] = set()
    left = [("model", model)]
    while left:
        kind, content = left.pop()
        texts: dict[int, str] = {}
        for number, value in message_fields(content):
            inside = _INSIDE[kind].get(number)
            if inside is not None and isinstance(value, memoryview):
                left.append((inside, value))
            elif kind == "tensor" and (number == 13 or (number == 14 and value != 0)):
                raise ValueError("weights lie in another file (external data), which nothing vouches for")
            elif kind in ("node", "function") and number in (1, 4, 7, 10) and isinstance(value, memoryview):
                texts[number] = bytes(value).decode("utf-8", "replace")
        if kind == "node":
            asked.add((texts.get(7, ""), texts.get(4, "")))
        if kind == "function":
            own.add((texts.get(10, ""), texts.get(1, "")))
    foreign = sorted(operator for operator in asked - own if operator[0] not in _STANDARD)
    if foreign:
        raise ValueError(f"the operator {foreign[0][1]!r} of domain {foreign[0][0]!r} is none of ONNX's own")


def message_fields(message: memoryview) -> Iterator[tuple[int, "int | memoryview"]]:
    """Number and value of each field of a protobuf message, strictly: what parsers read in different ways is refused.

    Raises:
        ValueError: it is cut off, or no message of onnx.proto.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        value: int | memoryview
        if kind == 0:
            value, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}.get(kind, -1)
            if kind == 2:
                size, at = _varint(message, at)
            value = message[at : at + size] if size >= 0 else message[:0]
            at += size
        if not 0 < number < 2**29 or kind not in (0, 1, 2, 5) or at > end:
            raise ValueError("it is no ONNX model, or cut off")
        yield number, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the place behind it."""
    value = 0
    for count, byte in enumerate(message[at : at + 10]):
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return value, at + count + 1
    raise ValueError("it is no ONNX model, or cut off")
