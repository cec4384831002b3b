"""From photos to boxes in their pixels, by networks whose answers are known: see `tests.detection.conftest`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector
from dqh.errors import DetectorError
from tests.detection.conftest import NAMES, SMALL, THREE, Row, head, network, spec

Opened = Callable[..., OnnxDetector]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """`opened(model, threshold=.5)` is a detector; all are closed in the end."""
    networks: list[OnnxNetwork] = []

    def detector(model: onnx.ModelProto, **changes: Any) -> OnnxDetector:
        networks.append(OnnxNetwork(model.SerializeToString(), "model.onnx", threads=1))
        return OnnxDetector(networks[-1], spec(**changes), "0" * 64)

    yield detector
    for own in networks:
        own.close()


@pytest.fixture(scope="module")
def three() -> Iterator[OnnxDetector]:
    """Sees three objects in every photo."""
    with OnnxNetwork(network(head(THREE)).SerializeToString(), "model.onnx", threads=1) as own:
        yield OnnxDetector(own, spec(most=4), "0" * 64)


def photo(height: int, width: int, colour: Sequence[int] = (0, 0, 0)) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def test_boxes_are_in_pixels_of_the_photo(three: OnnxDetector) -> None:
    """A photo of 64 × 128 lies in 32 × 64 of the input, so that all is twice as large, and ends at y = 64.

    By falling score: 16, 16, 48, 48 becomes 32, 32, 96, 96, and is cut; 8, 8, 24, 24 and 12, 6, 28, 14 are doubled.
    """
    boxes, scores, classes, valid = three.detect([photo(64, 128)])
    wanted = [[32, 32, 96, 64], [16, 16, 48, 48], [24, 12, 56, 28], [0, 0, 0, 0]]
    assert np.allclose(boxes[0], wanted, rtol=0, atol=1e-4)
    assert np.allclose(scores[0], [0.75, 0.5, 0.4, 0], rtol=1e-6)
    assert classes[0].tolist() == [0, 1, 0, -1]
    assert valid[0].tolist() == [True, True, True, False]
    assert (three.classes, three.most, three.detector_id) == (NAMES, 4, "0" * 64)


def test_what_lies_in_the_padding_alone_is_none(three: OnnxDetector) -> None:
    """Of a photo of 16 × 128, 8 rows of the input: two boxes begin below it, or at its end; 12, 6, 28, 14 is cut."""
    boxes, _, classes, valid = three.detect([photo(16, 128)])
    assert valid[0].tolist() == [True, False, False, False]
    assert np.allclose(boxes[0, 0], [24, 12, 56, 16], rtol=0, atol=1e-4)
    assert classes[0, 0] == 0


def test_photos_of_several_sizes_and_none(three: OnnxDetector) -> None:
    """What is said of one does not depend on the others."""
    photos = [photo(64, 128), photo(16, 128), photo(300, 200, (255, 0, 0))]
    together = three.detect(photos)
    for row, single in enumerate(photos):
        assert all(
            np.array_equal(array[row], own[0]) for array, own in zip(together, three.detect([single]), strict=True)
        )
    assert [array.shape for array in three.detect([])] == [(0, 4, 4), (0, 4), (0, 4), (0, 4)]


def test_bad_photos_are_told(three: OnnxDetector) -> None:
    with pytest.raises(ValueError, match=r"image 1 is uint8 \(4, 4\), wanted an RGB photo"):
        three.detect([photo(4, 4), np.zeros((4, 4), np.uint8)])


@pytest.mark.parametrize(
    ("channel", "settings", "scale"),
    [(0, {}, 255), (2, {}, 255), (0, {"colour": "RGB"}, 255), (2, {"colour": "RGB", "largest": 1.0}, 1)],
)
def test_colours_and_values_enter_as_the_spec_says(
    channel: int, settings: Mapping[str, Any], scale: int, opened: Opened
) -> None:
    """The score of class 1 at anchor 10 is the first value of a channel; 1 of 255, or 255 of 255 where it is 0 … 1.

    The colour that this channel holds is seen, and the others are not.
    """
    model = network(head({10: (0, 0, 0, 0, 1, 0, 0)}), reads=(channel, 0, 0), into=(10, 6))
    detector = opened(model, **{"padding": 0} | dict(settings))
    value = 1 if scale == 255 else 255
    place = channel if settings.get("colour") == "RGB" else 2 - channel
    colours = [[value if position == own else 0 for position in range(3)] for own in range(3)]
    valid = detector.detect([photo(64, 64, colour) for colour in colours]).valid
    assert valid[:, 0].tolist() == [own == place for own in range(3)]


@pytest.mark.parametrize(("padding", "seen"), [(114, 114 / 255), (51, 0.2)])
def test_beside_the_photo_is_padding(padding: int, seen: float, opened: Opened) -> None:
    """The last pixel of the input is the score of a class."""
    model = network(head({10: (0, 0, 0, 0, 1, 0, 0)}), reads=(1, 63, 63), into=(10, 5))
    detector = opened(model, padding=padding, largest=1.0, threshold=0.1)
    scores = detector.detect([photo(32, 64, (255, 255, 255))]).scores
    assert np.allclose(scores[0, 0], seen, rtol=1e-6)


def test_on_one_object_the_surest_of_each_class_stays(opened: Opened) -> None:
    """Anchors 0 and 1 lie 8 pixels apart, their boxes of 32 × 32 share 24 · 32 of 40 · 32 pixels: .6."""
    rows: dict[int, Row] = {
        0: (4, 4, np.log(4), np.log(4), 1, 0.6, 0),
        1: (4, 4, np.log(4), np.log(4), 1, 0.7, 0),
        2: (2, 4, np.log(4), np.log(4), 1, 0, 0.5),  # where anchor 0 is
    }
    model = network(head(rows))
    found = opened(model).detect([photo(64, 64)])
    assert (found.valid.sum(), found.classes[0, :2].tolist()) == (2, [0, 1])
    assert np.allclose(found.boxes[0, :2], [[24, 16, 56, 48], [16, 16, 48, 48]], rtol=0, atol=1e-4)
    assert opened(model, iou=0.61).detect([photo(64, 64)]).valid.sum() == 3


def test_ties_keep_the_order_of_the_anchors_and_most_is_kept(opened: Opened) -> None:
    """Boxes of 8 × 8 around the corners of their cells: of columns 1 and 3 of row 1, and of column 2 of row 5."""
    rows: dict[int, Row] = dict.fromkeys((9, 11, 42), (0, 0, 0, 0, 1, 0.5, 0))
    detections = opened(network(head(rows)), most=2).detect([photo(64, 64)])
    assert detections.boxes.tolist() == [[[4, 4, 12, 12], [20, 4, 28, 12]]]
    assert opened(network(head(rows)), most=5).detect([photo(64, 64)]).boxes[0, 2].tolist() == [12, 36, 20, 44]


def test_nothing_is_an_answer(opened: Opened) -> None:
    detections = opened(network(head({}))).detect([photo(10, 20)])
    assert not detections.valid.any()
    assert (detections.boxes.shape, detections.classes.max()) == ((1, 100, 4), -1)


@pytest.mark.parametrize(
    ("model", "changes", "error", "message"),
    [
        (
            network(head({}), more=["again"]),
            {},
            DetectorError,
            r"model.onnx does not answer as decoder yolox reads it: it has 2 outputs, .*; export it as docs",
        ),
        (network(head({10: SMALL})), {"classes": ("lamp",)}, DetectorError, r"2 classes, but 1 class is named"),
        (network(head({})), {"side": 96}, DetectorError, r"got a size of 96 × 96 pixels"),
    ],
)
def test_a_network_that_is_not_as_the_spec_says(
    model: onnx.ModelProto, changes: dict[str, Any], error: type[Exception], message: str, opened: Opened
) -> None:
    """Seen when it is opened, before any photo."""
    with pytest.raises(error, match=message):
        opened(model, **changes)


def test_a_wrong_answer_to_a_photo_alone_is_told(opened: Opened) -> None:
    detector = opened(network(head({}), reads=(0, 0, 0), into=(10, 4)), padding=0)
    with pytest.raises(DetectorError, match=r"an objectness or a score of 9, wanted 0 … 1"):
        detector.detect([photo(64, 64, (9, 9, 9))])
