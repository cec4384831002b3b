"""Networks of a few constants, whose answers are known: heads of YOLOX over 64 × 64 pixels, of 84 anchors.

Anchors 0 … 63 are cells of 8 pixels, 64 … 79 of 16, 80 … 83 of 32; of each grid row after row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dqh.detection.decoders import DECODERS
from dqh.detection.detector_manifest import DetectorManifest
from dqh.detection.spec import DetectorSpec
from dqh.detection.writing import save_detector

FLOAT = TensorProto.FLOAT
ANCHORS = 84
NAMES = ("lamp", "chair")

Row = Sequence[float]
"""x, y, log width, log height, objectness, and a score a class."""

SMALL: Row = (0.5, 0.25, np.log(2), 0.0, 0.8, 0.5, 0.25)
"""At anchor 10, row 1 and column 2 of the cells of 8: centre ((2 + .5) · 8, (1 + .25) · 8) = (20, 10), size
(2 · 8, 8) = (16, 8), so the box 12, 6, 28, 14; a lamp of .8 · .5 = .4."""

MIDDLE: Row = (0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 1.0)
"""At anchor 69, row 1 and column 1 of the cells of 16: centre (16, 16), size (16, 16), so 8, 8, 24, 24; a chair of .5.
"""

LARGE: Row = (0.0, 0.0, 0.0, 0.0, 1.0, 0.75, 0.5)
"""At anchor 83, row 1 and column 1 of the cells of 32: centre (32, 32), size (32, 32), so 16, 16, 48, 48; a lamp of
.75."""

THREE: Mapping[int, Row] = {10: SMALL, 69: MIDDLE, 83: LARGE}


def head(rows: Mapping[int, Row], *, classes: int = 2, anchors: int = ANCHORS) -> NDArray[np.float32]:
    """An output (1, A, 5 + C) of some anchors; the others say that there is nothing."""
    output = np.zeros((1, anchors, 5 + classes), np.float32)
    for anchor, row in rows.items():
        output[0, anchor] = row
    return output


def network(
    output: NDArray[Any],
    *,
    reads: tuple[int, int, int] = (0, 0, 0),
    into: tuple[int, int] | None = None,
    shape: Sequence[int | str] = (1, 3, 64, 64),
    kind: int = FLOAT,
    others: Sequence[str] = (),
    more: Sequence[str] = (),
) -> onnx.ModelProto:
    """A network that always gives one output, but for one number of it, which may be a value of the input.

    Args:
        output: that it gives.
        reads: channel, row and column of that value.
        into: anchor and column of the output that it is.
        shape: of its input.
        kind: of its input.
        others: further inputs.
        more: further outputs, equal to the first.
    """
    mask = np.zeros_like(output)
    if into is not None:
        mask[0, into[0], into[1]] = 1
    channel, row, column = reads
    constants = {
        "base": output,
        "mask": mask,
        "starts": np.array([0, channel, row, column]),
        "ends": np.array([1, channel + 1, row + 1, column + 1]),
        "flat": np.array([1, 1, 1]),
    }
    nodes = [
        helper.make_node("Slice", ["images", "starts", "ends"], ["value"]),
        helper.make_node("Reshape", ["value", "flat"], ["scalar"]),
        helper.make_node("Cast", ["scalar"], ["number"], to=FLOAT),
        helper.make_node("Mul", ["number", "mask"], ["place"]),
        helper.make_node("Add", ["base", "place"], ["output"]),
        *(helper.make_node("Identity", ["output"], [name]) for name in more),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, list(shape)) for name in ("images", *others)],
        [helper.make_tensor_value_info(name, FLOAT, list(output.shape)) for name in ("output", *more)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def written(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def spec(*, classes: Sequence[str] = NAMES, side: int = 64, **settings: Any) -> DetectorSpec:
    """How such a network is run; settings that are not given are the usual ones."""
    return DetectorSpec("yolox", side, side, tuple(classes), DECODERS["yolox"].usual._replace(**settings))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a detector that sees three objects in every photo."""
    root = tmp_path_factory.mktemp("detector")
    saved = save_detector(written(network(head(THREE)), root / "three.onnx"), root / "three", classes=NAMES)
    assert isinstance(saved, DetectorManifest)
    return root / "three"
