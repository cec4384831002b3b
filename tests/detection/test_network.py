"""A network that anybody exported: what it says of itself, what is refused, and that it can be ended."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dqh.detection import network as module
from dqh.detection.network import OnnxNetwork, Port
from dqh.encoding import onnx_runtime
from dqh.errors import ConfigError, DetectorError, DqhError
from tests.detection.conftest import FLOAT, THREE, head, network


def loaded(model: onnx.ModelProto) -> OnnxNetwork:
    return OnnxNetwork(model.SerializeToString(), "model.onnx", threads=1)


@pytest.fixture(scope="module")
def constant() -> Iterator[OnnxNetwork]:
    """Answers one output, in which one number is the first of the input."""
    with loaded(network(head({}), reads=(2, 63, 1), into=(5, 6))) as own:
        yield own


def test_it_says_what_goes_in_and_comes_out(constant: OnnxNetwork) -> None:
    assert constant.inputs == (Port("images", "tensor(float)", (1, 3, 64, 64)),)
    assert constant.outputs == (Port("output", "tensor(float)", (1, 84, 7)),)
    assert str(constant.inputs[0]) == "images, tensor(float) (1, 3, 64, 64)"


def test_it_runs(constant: OnnxNetwork) -> None:
    images = np.zeros((1, 3, 64, 64), np.float32)
    images[0, 2, 63, 1] = 7
    (output,) = constant.run(images)
    assert (output[0, 5, 6], output.sum()) == (7, 7)


def test_its_size_is_what_it_says(constant: OnnxNetwork) -> None:
    assert constant.input_size() == constant.input_size((64, 64)) == (64, 64)
    with pytest.raises(DetectorError, match=r"\(1, 3, 64, 64\), got a size of 64 × 96 pixels; leave the size off"):
        constant.input_size((64, 96))


def test_a_run_that_fails_is_told(constant: OnnxNetwork) -> None:
    with pytest.raises(DetectorError, match=r"onnxruntime \d.* cannot run model.onnx: .*; export the model again"):
        constant.run(np.zeros((1, 3, 32, 64), np.float32))
    assert len(constant.run(np.zeros((1, 3, 64, 64), np.float32))) == 1  # it is still there


def test_a_size_that_is_open_must_be_said() -> None:
    with loaded(network(head({}), shape=("n", "c", "height", "width"))) as own:
        assert own.input_size((96, 64)) == (96, 64)
        with pytest.raises(ConfigError, match=r"\(n, c, height, width\), of no size of its own; say it: --size H,W"):
            own.input_size()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"others": ["sizes"]},
            r"the inputs of model.onnx are images, .* and sizes, .*; wanted one of tensor\(float\)",
        ),
        (
            {"kind": TensorProto.FLOAT16},
            r"the input of model.onnx is images, tensor\(float16\) \(1, 3, 64, 64\); wanted",
        ),
        ({"shape": (2, 3, 64, 64)}, r"is images, tensor\(float\) \(2, 3, 64, 64\); wanted one"),
        ({"shape": (1, 64, 64, 3)}, r"is images, tensor\(float\) \(1, 64, 64, 3\); wanted one"),
        ({"shape": (3, 64, 64)}, r"is images, tensor\(float\) \(3, 64, 64\); wanted one"),
    ],
)
def test_inputs_that_are_no_image(given: dict[str, Any], message: str) -> None:
    model = network(head({}), **given)
    if given.get("shape") == (3, 64, 64):  # a slice of four axes does not fit
        del model.graph.node[:]
        model.graph.node.append(helper.make_node("Identity", ["base"], ["output"]))
    with loaded(model) as own, pytest.raises(DetectorError, match=message):
        own.input_size()


def external() -> onnx.ModelProto:
    model = network(head({}))
    tensor = next(each for each in model.graph.initializer if each.name == "base")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return model


def foreign() -> onnx.ModelProto:
    model = network(head({}))
    model.graph.node.append(helper.make_node("EPContext", ["images"], ["y"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no model at all", "it is no ONNX model, or cut off"),
        (external().SerializeToString(), "weights lie in another file"),
        (foreign().SerializeToString(), "the operator 'EPContext' of domain 'com.microsoft' is none of ONNX's own"),
        (b"", ""),
    ],
    ids=["other bytes", "external data", "other operators", "empty"],
)
def test_what_cannot_be_loaded(content: bytes, message: str) -> None:
    with pytest.raises(
        DetectorError, match=rf"onnxruntime \d.* cannot load model.onnx: .*{message}.*; export the model"
    ):
        OnnxNetwork(content, "model.onnx", threads=1)


def endless() -> onnx.ModelProto:
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
    model = network(head({}))
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.int64(2**62), "n"), numpy_helper.from_array(np.bool_(True), "t")]
    )
    model.graph.node.append(helper.make_node("Loop", ["n", "t", "output"], ["z"], body=body))
    model.graph.output[0].name = "z"
    return model


def test_a_loop_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_SECONDS", 0.2)
    monkeypatch.setattr(module, "INPUT_SECONDS", 0.1)
    with loaded(endless()) as own:
        assert own.input_size() == (64, 64)
        with pytest.raises(DetectorError, match=r"cannot run model.onnx: not done after 0.3 seconds, the most that"):
            own.run(np.zeros((1, 3, 64, 64), np.float32))


def test_a_missing_runtime_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "find_spec", lambda name: None)
    with pytest.raises(DqhError, match=r"a detector needs the package onnxruntime; install it: uv sync --inexact --ex"):
        OnnxNetwork(b"", "model.onnx")


def test_an_input_that_ends_the_process_takes_no_other_along() -> None:
    content = network(head(THREE)).SerializeToString()
    images = np.zeros((1, 3, 64, 64), np.float32)
    with OnnxNetwork(content, "three") as own:
        before = own.run(images)
        os.kill(own._process._child.pid, signal.SIGKILL)
        with pytest.raises(DetectorError, match="cannot run three: its process ended"):
            own.run(images)
        assert np.array_equal(own.run(images)[0], before[0])
    for _ in range(2):  # whoever has closed it gets no other process
        with pytest.raises(DetectorError, match="its process ended"):
            own.run(images)
