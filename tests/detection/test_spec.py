"""How a detector is run, as JSON has it."""

from typing import Any

import pytest

from dqh.detection.spec import problems_of, require_decoder, spec_of, with_threshold
from dqh.errors import ConfigError
from tests.detection.conftest import spec


def test_json_and_back() -> None:
    own = spec(threshold=0.1, colour="RGB", largest=1.0)
    assert spec_of(own.to_json()) == own
    assert problems_of(own.to_json()) == []
    assert own.to_json() == {
        "decoder": "yolox",
        "height": 64,
        "width": 64,
        "classes": ["lamp", "chair"],
        "colour": "RGB",
        "largest": 1.0,
        "padding": 114,
        "threshold": 0.1,
        "iou": 0.45,
        "most": 100,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": "yolo"}, "decoder must be 'ready_boxes' or 'yolox', got 'yolo'"),
        ({"height": 65}, "sides of a multiple of 32 pixels, got 65 × 64"),
        ({"width": 8192}, "width must be an integer from 1 to 4096, got 8192"),
        ({"classes": []}, "classes must be a list of at least 1, got []"),
        ({"classes": ["a", "a"]}, "classes must name nothing twice, got 'a' again"),
        ({"classes": [""]}, "classes[0] must be a name of 1 to 200 letters, got ''"),
        ({"classes": [str(number) for number in range(10_001)]}, "classes must be at most 10,000 names, got 10,001"),
        ({"colour": "GRB"}, "colour must be 'BGR' or 'RGB', got 'GRB'"),
        ({"largest": 2.0}, "largest must be 255.0 or 1.0, got 2.0"),
        ({"padding": 256}, "padding must be an integer from 0 to 255, got 256"),
        ({"threshold": float("nan")}, "threshold must be a number from 0 to 1, got nan"),
        ({"iou": 1.5}, "iou must be a number from 0 to 1, got 1.5"),
        ({"most": 0}, "most must be an integer from 1 to 1000, got 0"),
        ({"centred": True}, "centred is unknown to this version of dqh"),
    ],
)
def test_what_cannot_be(change: dict[str, Any], message: str) -> None:
    (problem,) = problems_of(spec().to_json() | change)
    assert message in problem


def test_no_such_decoder_names_the_nearest() -> None:
    require_decoder("yolox")
    with pytest.raises(
        ConfigError, match=r"there is none of the name 'yolo_x'; did you mean yolox\? valid: ready_boxes, yolox"
    ):
        require_decoder("yolo_x")


@pytest.mark.parametrize("threshold", [float("nan"), -0.1, 1.5])
def test_a_threshold_that_can_be_none(threshold: float) -> None:
    """Nothing reaches NaN: every photo would show nothing, and nobody would be told."""
    with pytest.raises(ConfigError, match="threshold must be a number from 0 to 1, got"):
        with_threshold(spec(), threshold)
    assert with_threshold(spec(), None) == spec()
    assert with_threshold(spec(), 1).to_json()["threshold"] == 1.0
