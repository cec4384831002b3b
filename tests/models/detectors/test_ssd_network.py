"""Default boxes in the order of the heads, boxes from offsets, and the options of the network."""

import pytest
import torch
from torchvision.ops import box_iou

from dqh.models import SmallResNet
from dqh.models.detectors.ssd_network import CODER, SSDNetwork, SSDOutput, default_boxes
from dqh.models.detectors.trunk import Trunk

PER_CELL = 9


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
    own = network(pyramid=False, extras=0, width=64)  # so wide that a spot is in some channel above 0 everywhere
    maps = [torch.zeros(1, 8, 16, 16), torch.zeros(1, 16, 8, 8)]
    quiet = own.heads(maps)
    maps[0][0, :, 3, 12] = 5.0
    moved = (own.heads(maps).offsets != quiet.offsets).any(2)[0]
    centres = (own.anchors[:, :2] + own.anchors[:, 2:]) / 2
    assert moved.sum() == 9 * PER_CELL
    assert (centres[moved] - torch.tensor([25.0, 7.0])).abs().max() <= 2


def test_proposals_are_as_sure_as_the_background_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Box 0 has halves of two classes, .45 each, and box 1, the same place, .8 of one: what is there is box 0, once.

    Box 2, elsewhere, has .3; all others are background.
    """
    own = network(extras=0)
    count = len(own.anchors)
    scores = torch.full((1, count, 4), 1e-9)
    scores[..., 0] = 1
    scores[0, :3] = torch.tensor([[0.1, 0.45, 0.45, 1e-9], [0.2, 0.8, 1e-9, 1e-9], [0.7, 0.3, 1e-9, 1e-9]])
    boxes = torch.zeros(1, count, 4)
    boxes[0, :3] = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    offsets = CODER.encode_single(boxes[0].clamp(min=0) + torch.tensor([0.0, 0, 1e-3, 1e-3]), own.anchors)
    monkeypatch.setattr(own, "heads", lambda maps: SSDOutput(scores.log(), offsets.unsqueeze(0)))
    proposals = own.proposals_in(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert (proposals.boxes.shape, proposals.objectness.shape) == ((1, 100, 4), (1, 100))
    torch.testing.assert_close(proposals.objectness[0, :2], torch.tensor([0.9, 0.3]), atol=1e-3, rtol=0)
    torch.testing.assert_close(proposals.boxes[0, :2], boxes[0, [0, 2]], atol=0.01, rtol=0)


def test_default_boxes_by_hand() -> None:
    """Maps of 2 and 1 cells a side over 100 pixels: six sizes from 8 to 95, each (95 / 8)^(1/5) = 1.640 × the last.

    A box twice as wide as high of size 8 is 8 √2 = 11.314 by 8 / √2 = 5.657; the second size is 13.123.
    """
    boxes = default_boxes([2, 1], 100)
    assert boxes.shape == (PER_CELL * 5, 4)
    wanted = [
        [21, 21, 29, 29],
        [19.343, 22.172, 30.657, 27.828],
        [22.172, 19.343, 27.828, 30.657],
        [18.438, 18.438, 31.562, 31.562],
    ]
    torch.testing.assert_close(boxes[:4], torch.tensor(wanted), rtol=0, atol=1e-3)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centres[::PER_CELL].tolist() == [[25, 25], [75, 25], [25, 75], [75, 75], [50, 50]]
    torch.testing.assert_close(boxes[-3], torch.tensor([2.5, 2.5, 97.5, 97.5]))


def test_every_object_that_is_not_tiny_has_a_default_box() -> None:
    """Squares of .15 … .9 of the image, in its middle or half a cell of the finest map beside, overlap by .5 with one.

    On three maps each size is 1.36 × the last one, so that a square between two has 1 / 1.36 in common with a box
    around the same middle; the rest is the distance to that.
    """
    boxes = default_boxes([20, 10, 5], 320)
    for scale in (0.15, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9):
        for centre in (160.0, 168.0):
            half = scale * 320 / 2
            box = torch.tensor([[centre - half, centre - half, centre + half, centre + half]])
            assert float(box_iou(box, boxes).max()) >= 0.5


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


def test_dropout_leaves_out_channels_in_training_alone() -> None:
    own, maps = network(dropout=0.5), [torch.rand(2, 8, 16, 16), torch.rand(2, 16, 8, 8)]
    first, again = (own.heads(maps).logits for _ in range(2))
    assert torch.equal(first, again)
    own.dropout.train()
    first, again = (own.heads(maps).logits for _ in range(2))
    assert not torch.equal(first, again)
