"""Networks by name and plain values, as an artifact has them."""

import pytest
import torch

from dqh.models import SmallResNet
from dqh.models.detectors.detector_networks import ARGUMENTS, NETWORKS, make

SMALL = {
    "faster_rcnn": {
        "maps": 1,
        "width": 8,
        "hidden": 16,
        "dropout": 0,
        "proposals": 20,
        "objectness": 0.0,
        "overlap": 0.4,
        "smallest": 0.2,
    },
    "ssd": {"maps": 1, "width": 8, "extras": 1, "extra_stride": 2, "pyramid": True, "dropout": 0.0},
}


def test_every_network_has_its_arguments() -> None:
    assert set(ARGUMENTS) == set(NETWORKS) == set(SMALL)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_network_without_numbers_knows_its_anchors(name: str) -> None:
    with torch.device("meta"):
        bare = make(name, SmallResNet(width=4, size=16), 2, SMALL[name])
    whole = make(name, SmallResNet(width=4, size=16), 2, SMALL[name])
    assert torch.equal(bare.anchors, whole.anchors)
    assert {name: value.shape for name, value in bare.state_dict().items()} == {
        name: value.shape for name, value in whole.state_dict().items()
    }


def test_an_artifact_of_before_has_proposals_and_anchors_as_they_were() -> None:
    """What it names no overlap and no smallest anchor of was trained, and measured, with those of then."""
    before = {name: value for name, value in SMALL["faster_rcnn"].items() if name not in ("overlap", "smallest")}
    own = make("faster_rcnn", SmallResNet(width=4, size=100), 2, before)
    assert own.overlap == 0.7
    assert float((own.anchors[:, 2:] - own.anchors[:, :2]).prod(1).sqrt().min()) == pytest.approx(6, rel=0.1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("ssd", {"maps": 4}, "maps must be an integer from 1 to 3, got 4"),
        ("ssd", {"width": 1.5}, "width must be an integer"),
        ("ssd", {"extra_stride": 3}, "extra_stride must be 1 or 2"),
        ("ssd", {"depth": 3}, "depth is unknown"),
        ("faster_rcnn", {"proposals": 2000}, "proposals must be an integer from 1 to 1000, got 2000"),
        ("faster_rcnn", {"smallest": 0}, "smallest must be a number from 0.01 to 0.5, got 0"),
        ("faster_rcnn", {"objectness": "0"}, "objectness must be a number from 0 to 1, got '0'"),
    ],
)
def test_arguments_that_are_none(name: str, change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, SmallResNet(width=4, size=16), 2, SMALL[name] | change)
