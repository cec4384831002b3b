"""The input spec."""

import pytest

from dqh.export import plain_reading
from dqh.inputs import IMAGENET_MEAN, LARGEST, InputSpec


def test_json_round_trip() -> None:
    spec = InputSpec(size=224, resize=256, mean=IMAGENET_MEAN, interpolation="bicubic")
    assert InputSpec.from_json(spec.to_json()) == spec
    assert "mirror" not in spec.to_json()  # as artifacts had it before there was one
    both = InputSpec(size=224, resize=256, mirror=True)
    assert InputSpec.from_json(both.to_json()) == both


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0, "resize": 4}, "got size=0, resize=4"),
        ({"size": 5, "resize": 4}, "1 <= size <= resize <= 2048, got size=5, resize=4"),
        ({"size": 4, "resize": 4, "std": (1.0, 0.0, 1.0)}, "std above 0"),
        ({"size": 4, "resize": 10**7}, "<= 2048, got size=4, resize=10000000"),
        ({"size": 4, "resize": 2049}, "<= 2048, got size=4, resize=2049"),
        ({"size": 4, "resize": 4, "interpolation": "lanczos9"}, "one of bilinear, bicubic, nearest, got 'lanczos9'"),
        ({"size": 4, "resize": 4, "kind": "vector", "mirror": True}, "mirror is for images, got mirror=True and kind="),
        ({"size": 4, "resize": 4, "colour": "BGR"}, "colour must be one of RGB, got 'BGR'"),
    ],
)
def test_impossible_values(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InputSpec(**fields)


def test_verify_onnx_has_the_same_limits() -> None:
    """It must stand alone, so that they are there twice."""
    assert {"image": plain_reading.MAX_SIDE, "vector": plain_reading.MAX_LENGTH} == LARGEST
