"""Anchors in the order of the head, proposals, and the answers of both stages."""

import numpy as np
import pytest
import torch

from dqh.detection import two_stage
from dqh.detection.proposals import Selection, select
from dqh.models import VGG16, MobileNetV2, ResNet18, ResNet50, SmallResNet
from dqh.models.detectors import faster_rcnn_network
from dqh.models.detectors.faster_rcnn_network import (
    ANCHOR_CODER,
    OVERLAP,
    PROPOSAL_CODER,
    FasterRCNNNetwork,
    Regions,
)
from dqh.models.detectors.surest_boxes import CANDIDATES, LEAST_SIDE, Proposals
from dqh.models.detectors.trunk import Trunk

PER_CELL = 12


def network(maps: int = 2, **options) -> FasterRCNNNetwork:
    torch.manual_seed(0)
    trunk = Trunk(SmallResNet(width=4, size=32), maps=maps)
    return FasterRCNNNetwork(trunk, 3, **({"width": 8, "hidden": 16, "proposals": 20} | options)).eval()


def regions(own: FasterRCNNNetwork, logits: torch.Tensor, boxes: torch.Tensor) -> Regions:
    return Regions([], logits, torch.zeros_like(boxes), boxes)


@pytest.mark.parametrize(("maps", "sides"), [(1, [8]), (2, [16, 8]), (3, [32, 16, 8])])
def test_a_fixed_number_of_boxes_with_a_score_a_class(maps: int, sides: list[int]) -> None:
    own = network(maps)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        boxes, scores = own(images)
        proposals, objectness = own.proposals_in(images)
    assert len(own.anchors) == PER_CELL * sum(side**2 for side in sides)
    assert (boxes.shape, scores.shape) == ((2, 20, 4), (2, 20, 3))
    assert (proposals.shape, objectness.shape) == ((2, 20, 4), (2, 20))
    assert float(boxes.min()) >= 0
    assert float(boxes.max()) <= 32
    assert float(scores.min()) >= 0
    assert float(scores.sum(2).max()) <= 1 + 1e-5  # the rest is background
    assert bool((objectness.diff() <= 0).all())


@pytest.mark.parametrize(
    ("backbone", "maps"),
    [
        (lambda: MobileNetV2(tap="pool", size=96), 3),
        (lambda: ResNet18(tap="pool5", size=96), 2),
        pytest.param(lambda: ResNet50(tap="pool5", size=96), 3, marks=pytest.mark.slow),
        pytest.param(lambda: VGG16(tap="pool5", size=96), 2, marks=pytest.mark.slow),
    ],
)
def test_it_stands_on_every_backbone_with_maps(backbone, maps: int) -> None:
    own = FasterRCNNNetwork(Trunk(backbone(), maps=maps), 3, width=8, hidden=16).eval()
    with torch.no_grad():
        boxes, scores = own(torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8))
    assert (boxes.shape, scores.shape) == ((2, 100, 4), (2, 100, 3))


def test_anchors_are_in_the_order_of_the_head() -> None:
    """A spot on cell (3, 12) of the map of 2 pixels a cell moves the logits of the cells around it alone.

    The pyramid and the head each look one cell further, so that cells 10 … 14 and 1 … 5 change; a cell lies at its
    number times 2 pixels, where a convolution with a stride of 2 and a padding of 1 has its centre.
    """
    own = network()
    maps = [torch.zeros(1, 8, 16, 16), torch.zeros(1, 16, 8, 8)]
    with torch.no_grad():
        quiet = own.first_stage(maps)
        maps[0][0, :, 3, 12] = 5.0
        moved = (own.first_stage(maps).logits != quiet.logits)[0]
    centres = (own.anchors[:, :2] + own.anchors[:, 2:]) / 2
    assert moved.sum() == 25 * PER_CELL
    assert (centres[moved] - torch.tensor([24.0, 6.0])).abs().max() <= 4
    assert torch.equal(
        moved,
        ((centres - torch.tensor([24.0, 6.0])).abs().amax(1) <= 4) & (torch.arange(len(moved)) < 16 * 16 * PER_CELL),
    )


def test_anchors_have_the_sides_and_the_ratios_that_are_said() -> None:
    """Of a map of 8 × 8: .06 to .85 of 32 pixels in equal ratios, 1.92, 4.65, 11.24 and 27.2, by whole halves.

    Half as high as wide they are √.5 of that high: 1.36, 3.29, 7.95 and 19.2.
    """
    own = network(1)
    widths, heights = (own.anchors[:PER_CELL, 2:] - own.anchors[:PER_CELL, :2]).T
    assert widths[4:8].tolist() == heights[4:8].tolist() == [2, 4, 12, 28]
    assert heights[:4].tolist() == widths[8:].tolist() == [2, 4, 8, 20]


def test_smaller_anchors_leave_the_largest() -> None:
    """From .05 of 32 pixels in equal ratios: 1.6, 4.11, 10.6 and 27.2, by whole halves."""
    own = network(1, smallest=0.05)
    assert (own.anchors[4:8, 2] - own.anchors[4:8, 0]).tolist() == [2, 4, 10, 28]


def test_boxes_come_from_offsets() -> None:
    """No offset is the anchor itself, and what the coder makes of a box leads back to it; all clipped."""
    own = network()
    maps = [torch.zeros(1, 8, 16, 16), torch.zeros(1, 16, 8, 8)]
    with torch.no_grad():
        for layer in (own.head.bbox_pred, own.regressor):
            layer.weight.zero_()
        torch.testing.assert_close(own.first_stage(maps).boxes[0], own.anchors.clamp(0, 32))
        proposals = torch.tensor([[[3.0, 4.0, 20.0, 30.0], [0, 0, 0, 0]]])
        wanted = torch.tensor([[5.0, 1.0, 28.0, 31.0]])
        own.regressor.bias.copy_(PROPOSAL_CODER.encode_single(wanted, proposals[0, :1])[0])
        boxes, scores = own.answer([torch.zeros(1, 8, 16, 16), *maps], proposals)
    torch.testing.assert_close(boxes[0, :1], wanted, rtol=1e-4, atol=1e-3)
    assert bool(torch.isfinite(scores).all())


def test_proposals_are_the_surest_boxes_that_lie_on_no_surer_one() -> None:
    """Box 1 lies on box 0 by .9, box 2 is less than a pixel wide, box 3 stays, and the rest of the four is empty."""
    own = network(proposals=4)
    boxes = torch.tensor([[[0.0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 0.5, 20], [20, 20, 30, 30]]])
    logits = torch.tensor([[0.5, 1.0, 9.0, -2.0]])
    selected = own.select(regions(own, logits, boxes))
    assert selected.boxes[0].tolist() == [[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]
    torch.testing.assert_close(selected.objectness[0], torch.tensor([0.7311, 0.1192, 0, 0]), atol=1e-4, rtol=0)
    surer = own.select(regions(own, logits, boxes), objectness=0.5)
    assert surer.objectness[0, 1:].tolist() == [0, 0, 0]
    assert own.select(regions(own, logits, boxes), most=1).boxes.shape == (1, 1, 4)
    assert own.select(regions(own, logits, boxes), overlap=0.9).boxes[0, 1].tolist() == [0, 0, 10, 9]
    assert network(proposals=4, overlap=0.9).select(regions(own, logits, boxes)).boxes[0, 1].tolist() == [0, 0, 10, 9]


@pytest.mark.parametrize("overlap", [OVERLAP, 0.4])
def test_numpy_selects_the_same_proposals(overlap: float) -> None:
    own = network(proposals=30, objectness=0.3, overlap=overlap)
    rng = torch.Generator().manual_seed(1)
    corners = torch.rand(3, 400, 2, generator=rng) * 24
    boxes = torch.cat([corners, corners + torch.rand(3, 400, 2, generator=rng) * 12], dim=2).clamp(0, 32)
    logits = torch.randn(3, 400, generator=rng) * 2
    wanted = own.select(regions(own, logits, boxes))
    selection = Selection(CANDIDATES, LEAST_SIDE, 0.3, overlap, 30)
    assert bool((wanted.objectness > 0).any())
    for place in range(3):
        proposals, objectness = select(boxes[place].numpy(), logits[place].numpy(), selection)
        np.testing.assert_array_equal(proposals, wanted.boxes[place].numpy())
        np.testing.assert_allclose(objectness, wanted.objectness[place].numpy(), rtol=1e-5)


def test_the_boxes_that_lie_least_on_the_background_are_told() -> None:
    """Box 1 has .6, box 0, on which it lies by .9, has .3 and goes; the fourth place holds no proposal."""
    own = network(proposals=2)
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 20, 9, 30]]])
    scores = torch.tensor([[[0.2, 0.1, 0], [0.5, 0.1, 0], [0, 0, 0.1], [0.9, 0, 0]]])
    own.select = lambda regions, most: Proposals(torch.zeros(1, 4, 4), torch.tensor([[0.9, 0.8, 0.1, 0]]))
    own.answer = lambda maps, proposals: (boxes, scores)
    surest = own.proposals_in(torch.zeros(1, 3, 32, 32))
    assert surest.boxes[0].tolist() == [[0, 0, 10, 9], [20, 20, 30, 30]]
    torch.testing.assert_close(surest.objectness[0], torch.tensor([0.6, 0.1]))


def test_numpy_chooses_by_the_same_constants() -> None:
    for name in ("LOOKED_AT", "OVERLAP_OF_MOVED", "LEAST_DOUBT"):
        assert getattr(two_stage, name) == getattr(faster_rcnn_network, name)


def test_where_there_is_no_proposal_there_is_no_score() -> None:
    own = network(objectness=1.0)
    with torch.no_grad():
        _, scores = own(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    assert float(scores.max()) == 0


def test_both_ways_into_the_second_stage_are_one() -> None:
    own = network()
    maps = [torch.randn(2, 8, 16, 16), torch.randn(2, 8, 16, 16), torch.randn(2, 16, 8, 8)]
    proposals = torch.tensor([[[3.0, 4, 20, 30], [0, 0, 8, 8]], [[5, 5, 25, 25], [1, 2, 31, 30]]])
    with torch.no_grad():
        logits, offsets = own.second_stage(maps, list(proposals))
        boxes, scores = own.answer(maps, proposals)
    torch.testing.assert_close(scores.flatten(0, 1), logits.softmax(1)[:, 1:])
    decoded = PROPOSAL_CODER.decode_single(offsets, proposals.flatten(0, 1)).clamp(0, 32)
    torch.testing.assert_close(boxes.flatten(0, 1), decoded)


def test_the_coders_are_inverses() -> None:
    anchors, boxes = torch.tensor([[2.0, 3, 12, 9]]), torch.tensor([[1.0, 5, 20, 8]])
    for coder in (ANCHOR_CODER, PROPOSAL_CODER):
        torch.testing.assert_close(coder.decode_single(coder.encode_single(boxes, anchors), anchors), boxes)
