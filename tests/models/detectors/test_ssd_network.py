"""Default boxes in the order of the heads, boxes from offsets, and the options of the network."""

import pytest
import torch

from dqh.models import SmallResNet
from dqh.models.detectors.ssd_network import CODER, SSDNetwork, SSDOutput
from dqh.models.detectors.trunk import Trunk

PER_CELL = 6


def network(**options) -> SSDNetwork:
    torch.manual_seed(0)
    return SSDNetwork(Trunk(SmallResNet(width=4, size=32), maps=2), 3, **({"width": 8, "extras": 2} | options)).eval()


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ({}, [16, 8, 4, 2]),
        ({"extra_stride": 1}, [16, 8, 8, 8]),
        ({"extras": 0, "pyramid": False}, [16, 8]),
        ({"pyramid": False}, [16, 8, 4, 2]),
    ],
)
def test_a_class_and_a_box_for_every_default_box(options, sides: list[int]) -> None:
    own = network(**options)
    count = PER_CELL * sum(side**2 for side in sides)
    boxes, scores = own(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    assert own.anchors.shape == (count, 4)
    assert (boxes.shape, scores.shape) == ((2, count, 4), (2, count, 3))
    assert float(boxes.min()) >= 0
    assert float(boxes.max()) <= 32
    assert float(scores.min()) >= 0
    assert float(scores.sum(2).max()) <= 1 + 1e-5  # the rest is background


def test_default_boxes_are_in_the_order_of_the_heads() -> None:
    """A spot on one cell of the finest map moves the outputs of the cells around it alone, whose boxes lie there.

    Cell (3, 12) of 16 × 16, of 2 pixels each, has its centre at x = 25, y = 7; a 3 × 3 head sees one cell further.
    """
    own = network(pyramid=False, extras=0)
    maps = [torch.zeros(1, 8, 16, 16), torch.zeros(1, 16, 8, 8)]
    quiet = own.heads(maps)
    maps[0][0, :, 3, 12] = 5.0
    moved = (own.heads(maps).offsets != quiet.offsets).any(2)[0]
    centres = (own.anchors[:, :2] + own.anchors[:, 2:]) / 2
    assert moved.sum() == 9 * PER_CELL
    assert (centres[moved] - torch.tensor([25.0, 7.0])).abs().max() <= 2


def test_boxes_come_from_offsets() -> None:
    """No offset is the default box itself, and what the coder makes of a box leads back to it; all clipped."""
    own = network()
    wanted = torch.tensor([[3.0, 4.0, 20.0, 30.0]]).repeat(len(own.anchors), 1)
    offsets = torch.stack([torch.zeros_like(own.anchors), CODER.encode_single(wanted, own.anchors)])
    maps = [torch.zeros(2, 8, 16, 16), torch.zeros(2, 16, 8, 8)]
    own.heads = lambda maps: SSDOutput(torch.zeros(2, len(own.anchors), 4), offsets)
    boxes, scores = own.propose(maps)
    torch.testing.assert_close(boxes[0], own.anchors.clamp(0, 32))
    torch.testing.assert_close(boxes[1], wanted, rtol=1e-4, atol=1e-3)
    assert torch.equal(scores, torch.full_like(scores, 0.25))
