"""Matching and the loss of default boxes: hand-worked, and against torchvision's own."""

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from dqh.losses.multibox import Targets, match, multibox_terms

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
ANCHORS = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [20, 20, 30, 30], [21, 20, 31, 30]])


def test_matching_by_hand() -> None:
    """Box 0 is anchor 0; anchor 1 overlaps with it by 100 / 200 = .5. Box 1 overlaps with anchor 2 by 25 / 100 alone,
    less than .5, and still gets it, as its best."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 25, 25]])
    for iou, wanted in ((0.5, [3, 3, 1, 0]), (0.7, [3, 0, 1, 0])):
        targets = match(ANCHORS, [boxes], [torch.tensor([2, 0])], iou=iou, coder=CODER)
        assert targets.classes.tolist() == [wanted]
        assert targets.offsets[0, 0].tolist() == [0, 0, 0, 0]
    # centre of box 1 is 2.5 left of and above that of anchor 2, of side 10; it is half as large
    wanted = torch.tensor([-2.5, -2.5, 5 * torch.tensor(0.5).log(), 5 * torch.tensor(0.5).log()])
    torch.testing.assert_close(targets.offsets[0, 2], wanted)


def test_an_image_without_objects_is_background() -> None:
    targets = match(ANCHORS, [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)], iou=0.5, coder=CODER)
    assert targets.classes.tolist() == [[0, 0, 0, 0]]
    for mining in ("negatives", "all"):
        terms = multibox_terms(torch.zeros(1, 4, 2), torch.ones(1, 4, 4), targets, mining=mining)
        assert float(terms["boxes"]) == 0
        assert float(terms["classes"]) > 0  # what is seen where nothing is has a price


def test_hard_examples_by_hand() -> None:
    """Two classes: logits (0, x) cost log(1 + e^x) as background and log(1 + e^-x) as an object.

    One of six boxes is matched. `negatives` adds the three hardest of the background, x = 2, 1, 0; `all` takes the four
    hardest, among which the matched one at x = 5 is not.
    """
    x = torch.tensor([5.0, 0, 2, 1, -3, -1])
    logits = torch.stack([torch.zeros(6), x], dim=1)[None]
    targets = Targets(torch.tensor([[1, 0, 0, 0, 0, 0]]), torch.zeros(1, 6, 4))
    cost = (1 + x.exp()).log()
    own = (1 + (-x[0]).exp()).log()
    negatives = multibox_terms(logits, torch.zeros(1, 6, 4), targets, mining="negatives")
    torch.testing.assert_close(negatives["classes"], own + cost[[1, 2, 3]].sum())
    hardest = multibox_terms(logits, torch.zeros(1, 6, 4), targets, mining="all")
    torch.testing.assert_close(hardest["classes"], cost[[1, 2, 3, 5]].sum())


def test_it_is_the_loss_of_torchvision() -> None:
    """Where every image shows an object, as torchvision takes no background of one that shows none."""
    torch.manual_seed(0)
    corners = torch.rand(80, 2) * 60
    anchors = torch.cat([corners, corners + 5 + 30 * torch.rand(80, 2)], dim=1)
    boxes = [anchors[:3] + 2, anchors[40:41] - 3]
    classes = [torch.tensor([0, 2, 1]), torch.tensor([2])]
    logits, offsets = torch.randn(2, 80, 4), torch.randn(2, 80, 4)
    theirs = SSD.__new__(SSD)
    torch.nn.Module.__init__(theirs)
    theirs.box_coder, theirs.neg_to_pos_ratio = CODER, 3.0
    wanted = theirs.compute_loss(
        [{"boxes": own, "labels": names + 1} for own, names in zip(boxes, classes, strict=True)],
        {"bbox_regression": offsets, "cls_logits": logits},
        [anchors, anchors],
        [SSDMatcher(0.5)(box_iou(own, anchors)) for own in boxes],
    )
    terms = multibox_terms(logits, offsets, match(anchors, boxes, classes, iou=0.5, coder=CODER), mining="negatives")
    torch.testing.assert_close(terms["classes"], wanted["classification"])
    torch.testing.assert_close(terms["boxes"], wanted["bbox_regression"])


@pytest.mark.parametrize("mining", ["negatives", "all"])
def test_gradients(mining) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    offsets = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    targets = Targets(torch.tensor([[2, 0, 0, 0], [0, 1, 1, 0]]), torch.randn(2, 4, 4, dtype=torch.float64))

    def loss(logits: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return sum(multibox_terms(logits, offsets, targets, mining=mining).values())

    assert torch.autograd.gradcheck(loss, (logits, offsets))
