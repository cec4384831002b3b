"""A network of torch as an ONNX model, whatever it is exported for: any batch size, all weights inside, no places.

Needs the extra `onnx`. Names and places of source files, which the exporter notes at each node, are taken out.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dqh.encoding.onnx_runtime import require_package
from dqh.errors import DqhError

LARGEST = 2**31 - 2**20
"""Bytes: one protobuf message cannot hold more."""


def require_onnx() -> None:
    """Raise `DqhError` with the command that installs it where a package of the extra `onnx` is missing."""
    for package in ("onnx", "onnxscript"):
        require_package(package)


def onnx_of(
    network: nn.Module,
    *examples: Tensor | tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    error: type[DqhError],
    advice: str = "",
) -> Any:
    """The `ModelProto` of a network, the first side of whose inputs is the batch.

    Args:
        network: in evaluation mode.
        examples: of each argument of the network, a tensor or several, of a batch of two: of a batch of one, exporters
            make a constant.
        inputs: names of all tensors that go in.
        outputs: names of the outputs, in the order in which the network answers.
        error: raised where it cannot be exported.
        advice: what to do where it is too large for an ONNX file.

    Raises:
        DqhError: `error`, or the extra `onnx` is not installed.
    """
    require_onnx()
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if weights > LARGEST:
        raise error(f"the weights take {weights} bytes, more than an ONNX file holds{advice and f'; {advice}'}")
    batch = {0: torch.export.Dim("batch")}
    shapes = tuple(batch if isinstance(part, Tensor) else (batch,) * len(part) for part in examples)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name: batch will not be used")  # several inputs share it
            program = torch.onnx.export(
                network,
                examples,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=list(inputs),
                output_names=list(outputs),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as failure:
        first = str(failure).strip().splitlines()[0]
        raise error(f"torch {torch.__version__} cannot export this network as ONNX: {first}") from failure
    model: Any = program.model_proto  # type: ignore[union-attr]
    _forget_sources(model)
    return model


def onnx_bytes(model: Any) -> bytes:
    """The content of the file of a model: the same for the same model."""
    return bytes(model.SerializeToString(deterministic=True))


def _forget_sources(model: Any) -> None:
    """Take out of a model the names and places of source files, which the exporter notes at each node."""
    for part in (model, model.graph, *model.functions):
        del part.metadata_props[:]
        part.doc_string = ""
    graphs = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        values = [] if graph.DESCRIPTOR.name == "FunctionProto" else [*graph.input, *graph.output, *graph.initializer]
        for named in [*graph.node, *graph.value_info, *values]:
            named.doc_string = ""
            del named.metadata_props[:]
        for node in graph.node:
            graphs += [inner.g for inner in node.attribute if inner.HasField("g")]
            graphs += [inner for attribute in node.attribute for inner in attribute.graphs]
