"""An artifact as ONNX: uint8 images (or float32 vectors) in, packed codes, embedding and features out, any batch size.

Needs the extra `onnx`. Names and places of source files, which the exporter notes at each node, are taken out.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from dqh.errors import ArtifactError, DqhError
from dqh.export.artifact import Artifact
from dqh.export.graph import OUTPUTS, example_of, graph_of

INPUT = "inputs"
LARGEST = 2**31 - 2**20
"""Bytes: one protobuf message cannot hold more."""


def verify_script() -> bytes:
    """`verify_onnx.py`, which checks the form where neither torch nor this package is installed."""
    return Path(__file__).with_name("verify_onnx.py").read_bytes()


def onnx_model(artifact: Artifact) -> bytes:
    """The content of `encoder.onnx`.

    Args:
        artifact: what to export. Its `encoder_id`, bits and kind of codes enter the metadata of the model.

    Raises:
        ArtifactError: the network is larger than an ONNX file can be, or torch cannot export it.
        DqhError: the extra `onnx` is not installed.
    """
    for package in ("onnx", "onnxscript"):
        needed(package)
    weights = sum(each.numel() * each.element_size() for each in artifact.encoder.state_dict().values())
    if weights > LARGEST:
        raise ArtifactError(f"the weights take {weights} bytes, more than an ONNX file holds; export pt2 instead")
    try:
        program = torch.onnx.export(
            graph_of(artifact),
            (example_of(artifact),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            external_data=False,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        first = str(error).strip().splitlines()[0]
        raise ArtifactError(f"torch {torch.__version__} cannot export this network as ONNX: {first}") from error
    model: Any = program.model_proto  # type: ignore[union-attr]
    _forget_sources(model)
    facts = {"encoder_id": artifact.encoder_id, "bits": artifact.quantizer.bits, "code_kind": artifact.quantizer.kind}
    for name, value in facts.items():
        model.metadata_props.add(key=name, value=str(value))
    return bytes(model.SerializeToString(deterministic=True))


def needed(package: str) -> Any:
    """A package of the extra `onnx`; `DqhError` with the command that installs it where it is missing."""
    try:
        return import_module(package)
    except ImportError as error:
        raise DqhError(
            f"the ONNX form needs the package {package}; install it: uv sync --inexact --extra onnx"
        ) from error


def _forget_sources(model: Any) -> None:
    for part in (model, model.graph, *model.functions):
        del part.metadata_props[:]
        part.doc_string = ""
    graphs = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        values = [] if graph.DESCRIPTOR.name == "FunctionProto" else [*graph.input, *graph.output, *graph.initializer]
        for each in [*graph.node, *graph.value_info, *values]:
            each.doc_string = ""
            del each.metadata_props[:]
        for node in graph.node:
            graphs += [inner.g for inner in node.attribute if inner.HasField("g")]
            graphs += [inner for attribute in node.attribute for inner in attribute.graphs]
