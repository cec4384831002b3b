"""What of a foreign model is refused before ONNX Runtime sees it, and what runs in a process that is ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dqh.encoding import form_process as form_module
from dqh.encoding.onnx_runtime import OnnxForm
from dqh.encoding.onnx_session import message_fields, require_whole
from dqh.errors import ArtifactError
from tests.conftest import ROOT

FLOAT = TensorProto.FLOAT


def external(name: str = "w") -> onnx.TensorProto:
    """A weight that lies in a file of the working directory, as ONNX lets a model say."""
    tensor = numpy_helper.from_array(np.ones((5, 5), np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def inner(tensor: onnx.TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [helper.make_tensor_value_info("w", FLOAT, [5, 5])], [tensor])


def model(*nodes: onnx.NodeProto, initializers: Any = (), functions: Any = (), domain: str = "") -> onnx.ModelProto:
    """Answers codes, embedding and features of vectors (N, 5)."""
    inputs = [helper.make_tensor_value_info("inputs", FLOAT, ["N", 5])]
    outputs = [
        helper.make_tensor_value_info("codes", TensorProto.UINT8, ["N", 5]),
        helper.make_tensor_value_info("embedding", FLOAT, ["N", 5]),
        helper.make_tensor_value_info("features", FLOAT, ["N", 5]),
    ]
    own = [
        helper.make_node("Cast", ["inputs"], ["codes"], to=TensorProto.UINT8),
        helper.make_node("Identity", ["inputs"], ["embedding"]),
        helper.make_node("Identity", ["inputs"], ["features"]),
    ]
    graph = helper.make_graph([*nodes, *own], "graph", inputs, outputs, list(initializers))
    imports = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=9)


def sparse(values: onnx.TensorProto, indices: onnx.TensorProto) -> onnx.SparseTensorProto:
    tensor = onnx.SparseTensorProto(dims=[25])
    tensor.values.CopyFrom(values)
    tensor.indices.CopyFrom(indices)
    return tensor


def hidden() -> dict[str, onnx.ModelProto]:
    """Models with an external tensor in every place that can hold one."""
    plain = numpy_helper.from_array(np.zeros(25, np.int64), "i")
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner(external()), else_branch=inner(external()))
    nested = helper.make_node(
        "If", ["c"], ["y"], then_branch=helper.make_graph([branch], "g", [], []), else_branch=inner(external())
    )
    constant = helper.make_node("Constant", [], ["y"], value=external())
    function = helper.make_function("own", "f", [], ["y"], [constant], [helper.make_opsetid("", 18)])
    several = helper.make_node("Constant", [], ["y"])
    several.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(external())
    of_sparse = helper.make_node("Constant", [], ["y"])
    of_sparse.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(
        sparse(external(), plain)
    )
    graphs = helper.make_node("Scan", [], ["y"])
    graphs.attribute.add(name="bodies", type=onnx.AttributeProto.GRAPHS).graphs.append(inner(external()))
    defaults = helper.make_function("own", "f", [], ["y"], [], [helper.make_opsetid("", 18)])
    defaults.attribute_proto.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(external())
    found = {
        "initializer": model(initializers=[external()]),
        "branch": model(branch),
        "branch of a branch": model(nested),
        "constant": model(constant),
        "tensors": model(several),
        "sparse constant": model(of_sparse),
        "graphs": model(graphs),
        "function": model(functions=[function], domain="own"),
        "default of a function": model(functions=[defaults], domain="own"),
        "sparse values": model(),
        "sparse indices": model(),
        "training": model(),
        "location alone": model(initializers=[external()]),
        "entries alone": model(initializers=[external()]),
        "address": model(initializers=[external()]),
    }
    found["sparse values"].graph.sparse_initializer.append(sparse(external(), plain))
    found["sparse indices"].graph.sparse_initializer.append(sparse(plain, external("i")))
    found["training"].training_info.add().initialization.CopyFrom(inner(external()))
    del found["location alone"].graph.initializer[0].external_data[:]
    found["entries alone"].graph.initializer[0].data_location = TensorProto.DEFAULT
    found["address"].graph.initializer[0].external_data[0].value = "*/_ORT_MEM_ADDR_/*"
    return found


@pytest.mark.parametrize("place", hidden())
def test_weights_outside_are_refused_wherever_they_are_named(place: str) -> None:
    with pytest.raises(ValueError, match="weights lie in another file"):
        require_whole(memoryview(hidden()[place].SerializeToString()))


def test_no_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.ones((5, 5), np.float32).tofile("weights.bin")
    product = helper.make_node("MatMul", ["inputs", "w"], ["unused"])
    with pytest.raises(ArtifactError, match=r"cannot load encoder.onnx: weights lie in another file .*; export it aga"):
        OnnxForm(model(product, initializers=[external()]).SerializeToString())


def test_other_operators_than_those_of_onnx_are_refused() -> None:
    node = helper.make_node("EPContext", ["inputs"], ["y"], domain="com.microsoft")
    with pytest.raises(ValueError, match=r"the operator 'EPContext' of domain 'com.microsoft' is none of ONNX's own"):
        require_whole(memoryview(model(node, domain="com.microsoft").SerializeToString()))
    own = helper.make_function("own", "f", ["x"], ["y"], [node], [helper.make_opsetid("com.microsoft", 1)])
    call = helper.make_node("f", ["inputs"], ["y"], domain="own")
    with pytest.raises(ValueError, match="none of ONNX's own"):
        require_whole(memoryview(model(call, functions=[own], domain="own").SerializeToString()))
    own.node[0].CopyFrom(helper.make_node("Identity", ["x"], ["y"]))
    require_whole(memoryview(model(call, functions=[own], domain="own").SerializeToString()))


@pytest.mark.slow
def test_forms_of_this_package_pass(formed: Callable[[str], Path]) -> None:
    for kind in ("binary", "pq", "class_index"):
        require_whole(memoryview((formed(kind) / "encoder.onnx").read_bytes()))


@pytest.mark.parametrize(
    "content",
    [
        b"\x3a",
        b"\x3a\x05\x00",
        b"\x3b\x3c",
        b"\x07",
        b"\x00\x00",
        b"\xff" * 11,
        b"\x80" * 12,
        b"\xba\x80\x80\x80\x80\x01\x00",
    ],
    ids=["no length", "cut off", "a group", "kind 7", "field 0", "endless", "endless zeros", "a number beyond 2^29"],
)
def test_what_parsers_may_read_differently_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX model, or cut off"):
        require_whole(memoryview(content))


def test_fields_are_those_of_protobuf(formed: Callable[[str], Path]) -> None:
    """The walk sees what the package onnx sees: as many nodes, tensors and functions, of the same bytes."""
    content = (formed("pq") / "encoder.onnx").read_bytes()
    whole = onnx.load_from_string(content)
    (graph,) = [value for number, value in message_fields(memoryview(content)) if number == 7]
    assert isinstance(graph, memoryview)
    nodes = [bytes(value) for number, value in message_fields(graph) if number == 1]  # type: ignore[arg-type]
    assert nodes == [each.SerializeToString() for each in whole.graph.node]
    tensors = [value for number, value in message_fields(graph) if number == 5]
    assert len(tensors) == len(whole.graph.initializer) > 0


def test_the_format_of_the_runtime_itself_is_refused(tmp_path: Path) -> None:
    """It is not protobuf, so that the walk sees nothing of it."""
    program = (
        "import sys, onnxruntime; options = onnxruntime.SessionOptions(); "
        "options.optimized_model_filepath = sys.argv[2]; "
        "options.add_session_config_entry('session.save_model_format', 'ORT'); "
        "onnxruntime.InferenceSession(sys.argv[1], options, providers=['CPUExecutionProvider'])"
    )
    (tmp_path / "model.onnx").write_bytes(model().SerializeToString())
    command = [sys.executable, "-c", program, str(tmp_path / "model.onnx"), str(tmp_path / "model.ort")]
    subprocess.run(command, check=True, env=os.environ)
    content = (tmp_path / "model.ort").read_bytes()
    assert content[4:8] == b"ORTM"
    with pytest.raises(ArtifactError, match=r"cannot load encoder\.onnx"):
        OnnxForm(content)


def endless() -> bytes:
    """2^62 additions."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", FLOAT, None),
        ],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("y", FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["n", "t", "inputs"], ["z"], body=body)
    start = [numpy_helper.from_array(np.int64(2**62), "n"), numpy_helper.from_array(np.bool_(True), "t")]
    whole = model(loop, initializers=start)
    whole.graph.node[-1].input[0] = "z"
    return bytes(whole.SerializeToString())


def test_a_loop_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_module, "RUN_SECONDS", 0.3)
    monkeypatch.setattr(form_module, "INPUT_SECONDS", 0.1)
    form = OnnxForm(endless())
    with pytest.raises(
        ArtifactError, match=r"cannot run encoder.onnx: not done after 0.5 seconds, the most .*; export"
    ):
        form(np.ones((2, 5), np.float32))


LOOP = """
import runpy, sys, numpy
names, session = runpy.run_path("dqh/encoding/process.py"), runpy.run_path("dqh/encoding/onnx_session.py")
process, Message = names["Process"](session["OnnxSession"]), names["Message"]
model = numpy.fromfile(sys.argv[1], numpy.uint8)
process.ask(Message({"do": "load", "threads": 1}, (model,)), seconds=60)
print(process._child.pid, flush=True)
process.ask(Message({"do": "run"}, (numpy.ones((1, 5), numpy.float32),)), seconds=600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_loop_without_end(number: int, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(endless())
    command = [sys.executable, "-c", LOOP, str(tmp_path / "model.onnx")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(30)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("change", ["types", "shape", "names"])
def test_answers_of_another_kind_are_refused(change: str) -> None:
    whole = model()
    if change == "types":
        whole.graph.node[0].attribute[0].i = FLOAT
        whole.graph.output[0].type.tensor_type.elem_type = FLOAT
    elif change == "shape":
        whole.graph.node.append(helper.make_node("ReduceSum", ["inputs"], ["features"], keepdims=0))
        del whole.graph.node[2]
        del whole.graph.output[2].type.tensor_type.shape.dim[:]
    else:
        whole.graph.output[1].name = whole.graph.node[1].output[0] = "other"
    form = OnnxForm(whole.SerializeToString())
    wanted = (
        "cannot run encoder.onnx" if change == "names" else "3 inputs got answers .*, wanted codes, embedding and fea"
    )
    with pytest.raises(ArtifactError, match=wanted):
        form(np.ones((3, 5), np.float32))
