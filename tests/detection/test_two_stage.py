"""Two networks with the choice of proposals between them, in a folder and out of it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from dqh.detection.decoders.ready_boxes import DECODER
from dqh.detection.detector_manifest import SECOND, read_detector_manifest
from dqh.detection.golden_inputs import GOLDEN
from dqh.detection.opening import open_detector, verify_exported
from dqh.detection.proposals import Selection
from dqh.detection.spec import DetectorSpec
from dqh.detection.two_stage import TwoStageNetwork, two_stages
from dqh.detection.writing import write_detector
from dqh.errors import DetectorError
from dqh.sealed import seal, unseal
from tests.detection.conftest import FLOAT

SIDE = 32
BOXES = np.array([[[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]]], np.float32)
LOGITS = np.array([[0.5, 1, -2]], np.float32)
SELECTION = Selection(candidates=1000, least_side=1.0, threshold=0.0, iou=0.7, most=4)
"""Boxes 1 and 2 become proposals, and two places stay empty."""

SPEC = DetectorSpec("ready_boxes", SIDE, SIDE, ("lamp", "chair"), DECODER.usual._replace(threshold=0.1))


def model(
    constants: dict[str, NDArray[Any]], nodes: list[Any], inputs: dict[str, list[Any]], outputs: list[str]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())


def first(boxes: NDArray[Any] = BOXES, logits: NDArray[Any] = LOGITS) -> bytes:
    """Always proposes the same, and has the input as its map."""
    nodes = [
        helper.make_node("Identity", ["b"], ["boxes"]),
        helper.make_node("Identity", ["l"], ["logits"]),
        helper.make_node("Identity", ["images"], ["map_0"]),
    ]
    return model({"b": boxes, "l": logits}, nodes, {"images": ["n", 3, SIDE, SIDE]}, ["boxes", "logits", "map_0"])


def second(scores: int = 2) -> bytes:
    """Moves every proposal one pixel to the right; its scores are 1/255 of the mean of the map."""
    nodes = [
        helper.make_node("Add", ["proposals", "right"], ["boxes"]),
        helper.make_node("ReduceMean", ["map_0"], ["mean"], keepdims=1),
        helper.make_node("Reshape", ["mean", "flat"], ["value"]),
        helper.make_node("Mul", ["value", "share"], ["scores"]),
    ]
    constants = {
        "right": np.array([1, 0, 1, 0], np.float32),
        "flat": np.array([1, 1, 1]),
        "share": np.tile(np.array([1.0, 0.5], np.float32)[:scores], (1, 4, 1)) / np.float32(255),
    }
    inputs = {"proposals": ["n", "k", 4], "map_0": ["n", 3, SIDE, SIDE]}
    return model(constants, nodes, inputs, ["boxes", "scores"])


@pytest.fixture
def opened() -> Iterator[Callable[..., TwoStageNetwork]]:
    networks: list[TwoStageNetwork] = []

    def both(one: bytes, other: bytes, selection: Selection = SELECTION) -> TwoStageNetwork:
        networks.append(two_stages((one, other), selection, names=("first.onnx", "second.onnx"), threads=1))
        return networks[-1]

    yield both
    for own in networks:
        own.close()


def images(value: int = 204) -> NDArray[np.float32]:
    return np.full((1, 3, SIDE, SIDE), value, np.float32)


def test_the_second_looks_at_the_proposals_of_the_first(opened: Callable[..., TwoStageNetwork]) -> None:
    """204 / 255 = .8 of class 0, .4 of class 1; where there is no proposal there is no score."""
    network = opened(first(), second())
    boxes, scores = network.run(images())
    assert boxes[0].tolist() == [[1, 0, 11, 10], [21, 20, 31, 30], [1, 0, 1, 0], [1, 0, 1, 0]]
    np.testing.assert_allclose(scores[0], [[0.8, 0.4], [0.8, 0.4], [0, 0], [0, 0]], rtol=1e-6)
    proposals, objectness = network.propose(images())
    assert proposals[0].tolist() == [[1, 0, 11, 10], [21, 20, 31, 30], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert ((objectness[0] > 0) == [True, True, False, False]).all()
    assert network.input_size() == (SIDE, SIDE)


def test_more_proposals_than_the_second_takes_are_looked_at(opened: Callable[..., TwoStageNetwork]) -> None:
    """Nine boxes side by side, of which four are proposed: all as surely something, so that the first ones stay."""
    left = np.arange(9, dtype=np.float32) * 3
    boxes = np.stack([left, 0 * left, left + 2, 0 * left + 9], axis=1)
    network = opened(first(boxes[np.newaxis], -np.arange(9, dtype=np.float32)[np.newaxis]), second())
    proposals, objectness = network.propose(images(51))
    np.testing.assert_array_equal(proposals[0], boxes[:4] + np.array([1, 0, 1, 0]))
    np.testing.assert_allclose(objectness[0], 0.3, rtol=1e-5)  # .2 and .1


def test_nothing_is_proposed_where_the_first_is_sure_of_nothing(opened: Callable[..., TwoStageNetwork]) -> None:
    network = opened(first(), second(), SELECTION._replace(threshold=1.0))
    proposals, objectness = network.propose(images())
    assert (proposals.shape, objectness.shape) == ((1, 4, 4), (1, 4))
    assert not objectness.any()


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((first(boxes=BOXES[:, :2]), second()), r"first.onnx answers \(1, 2, 4\) and \(1, 3\) .*, wanted boxes"),
        ((first(logits=LOGITS * np.float32(np.nan)), second()), "first.onnx answers with numbers that are not finite"),
        ((second(), first()), "first.onnx"),
        ((first(), first()), "second.onnx"),
    ],
)
def test_networks_that_do_not_answer_as_they_should(
    models: tuple[bytes, bytes], message: str, opened: Callable[..., TwoStageNetwork]
) -> None:
    with pytest.raises(DetectorError, match=message):
        opened(*models).run(images())


def test_a_second_of_another_number_of_proposals_is_told(opened: Callable[..., TwoStageNetwork]) -> None:
    network = opened(first(), second(), SELECTION._replace(most=5))
    with pytest.raises(DetectorError, match=r"second.onnx answers .*, wanted boxes \(1, 5, 4\)|cannot run second.onnx"):
        network.run(images())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of both, with one golden input."""
    with_golden: dict[str, bytes] = {}
    network = two_stages((first(), second()), SELECTION, names=("first", "second"), threads=1)
    boxes, scores = network.run(images())
    for name, array in zip(GOLDEN, (images().astype(np.uint8), boxes, scores), strict=True):
        np.save(tmp_path / "array.npy", array)
        with_golden[name] = (tmp_path / "array.npy").read_bytes()
    written = write_detector(
        tmp_path / "out", [first(), second()], SPEC, network, selection=SELECTION, golden=with_golden
    )
    network.close()
    assert written == read_detector_manifest(tmp_path / "out")
    return tmp_path / "out"


def test_a_folder_of_two_networks_detects(folder: Path) -> None:
    """A photo of 64 pixels is twice as large as the input; both classes of both proposals."""
    photo = np.full((64, 64, 3), 204, np.uint8)
    assert sorted(file.name for file in folder.iterdir()) == ["detector.json", "golden", "model.onnx", SECOND]
    with open_detector(folder, threads=1) as detector:
        found = detector.detect([photo])
        proposed = detector.propose(photo)
    assert found.valid.sum() == 4
    assert found.boxes[0, 0].tolist() == [2, 0, 22, 20]
    assert proposed is not None
    assert proposed.boxes.tolist() == [[2, 0, 22, 20], [42, 40, 62, 60]]


def test_its_golden_inputs_are_answered_again(folder: Path) -> None:
    verdict = verify_exported(folder)
    assert verdict is not None
    assert verdict.inputs == 1
    assert max(verdict.box_error, verdict.score_error) < 1e-6


def test_the_id_is_of_the_second_network_and_the_choice_too(folder: Path) -> None:
    manifest = read_detector_manifest(folder)
    assert manifest.second is not None
    others = [
        manifest._replace(second=None),
        manifest._replace(second=manifest.second._replace(selection=SELECTION._replace(most=3))),
        manifest._replace(second=manifest.second._replace(file=manifest.second.file._replace(sha256="a" * 64))),
    ]
    assert len({manifest.detector_id, *(other.detector_id for other in others)}) == 4
    assert manifest._replace(golden=None).detector_id == manifest.detector_id


@pytest.mark.slow
@pytest.mark.parametrize("name", [SECOND, *GOLDEN])
def test_a_flipped_byte_is_told(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DetectorError, match=rf"{Path(name).name} is damaged: it does not match the hash"):
        verify_exported(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields["second_stage"].update(iou=2), "second_stage.iou must be a number from 0 to 1, got 2"),
        (lambda fields: fields["second_stage"].pop("most"), "second_stage.most is missing"),
        (lambda fields: fields.pop("second_stage"), "a detector_id that is not of its other fields"),
        (lambda fields: fields["golden"].update(more=1), "golden.more is unknown to this version of dqh"),
    ],
)
def test_manifests_that_say_something_else(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    forged = Path(shutil.copytree(folder, tmp_path / "forged"))
    fields = unseal((forged / "detector.json").read_bytes())
    change(fields)
    (forged / "detector.json").write_bytes(seal(fields))
    with pytest.raises(DetectorError, match=message):
        open_detector(forged)
