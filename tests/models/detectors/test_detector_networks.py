"""Networks by name and plain values, as an artifact has them."""

import pytest
import torch

from dqh.models import SmallResNet
from dqh.models.detectors.detector_networks import ARGUMENTS, NETWORKS, make

SSD = {"maps": 1, "width": 8, "extras": 1, "extra_stride": 2, "pyramid": True}


def test_every_network_has_its_arguments() -> None:
    assert set(ARGUMENTS) == set(NETWORKS)


def test_a_network_without_numbers_knows_its_default_boxes() -> None:
    with torch.device("meta"):
        bare = make("ssd", SmallResNet(width=4, size=16), 2, SSD)
    whole = make("ssd", SmallResNet(width=4, size=16), 2, SSD)
    assert torch.equal(bare.anchors, whole.anchors)
    assert {name: value.shape for name, value in bare.state_dict().items()} == {
        name: value.shape for name, value in whole.state_dict().items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": 4}, "maps must be an integer from 1 to 3, got 4"),
        ({"width": 1.5}, "width must be an integer"),
        ({"extra_stride": 3}, "extra_stride must be 1 or 2"),
        ({"depth": 3}, "depth is unknown"),
    ],
)
def test_arguments_that_are_none(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("ssd", SmallResNet(width=4, size=16), 2, SSD | change)
