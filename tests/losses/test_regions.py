"""Which boxes are looked at, and the four terms of a two-stage detector by hand."""

import math

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder

from dqh.losses.regions import Rule, Sample, class_terms, objectness_terms, sample

CODER = BoxCoder((1.0, 1.0, 1.0, 1.0))
OBJECT = torch.tensor([[0.0, 0, 10, 10]])
BOXES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 2], [30, 30, 40, 40]])
"""Overlaps with the object: 1, .5, .2 and 0."""

ALL = Rule(high=0.7, low=0.3, keep_best=True, boxes=100, share=0.5)


def by_row(own: Sample) -> dict[int, int]:
    return dict(zip(own.rows.tolist(), own.classes.tolist(), strict=True))


def test_what_lies_between_is_not_looked_at() -> None:
    own = sample(BOXES, OBJECT, torch.tensor([4]), ALL)
    assert by_row(own) == {0: 5, 2: 0, 3: 0}
    assert own.boxes[own.classes > 0].tolist() == OBJECT.tolist()


def test_the_best_box_shows_an_object_however_little_of_it() -> None:
    far = torch.tensor([[0.0, 0, 10, 50]])
    assert by_row(sample(BOXES, far, torch.tensor([1]), ALL)) == {0: 2, 1: 0, 2: 0, 3: 0}
    assert by_row(sample(BOXES, far, torch.tensor([1]), ALL._replace(keep_best=False))) == {0: 0, 1: 0, 2: 0, 3: 0}


def test_a_photo_without_objects_shows_background_alone() -> None:
    own = sample(BOXES, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), ALL)
    assert by_row(own) == {0: 0, 1: 0, 2: 0, 3: 0}


def test_a_photo_without_boxes_gives_none() -> None:
    assert len(sample(BOXES[:0], OBJECT, torch.tensor([4]), ALL).rows) == 0
    assert len(sample(BOXES[:0], OBJECT[:0], torch.zeros(0, dtype=torch.int64), ALL).rows) == 0


def test_so_many_are_drawn_and_at_most_a_share_shows_objects() -> None:
    many = torch.cat([OBJECT.repeat(50, 1), BOXES[3:].repeat(50, 1)])
    torch.manual_seed(0)
    own = sample(many, OBJECT, torch.tensor([0]), ALL._replace(boxes=20, share=0.25))
    assert (len(own.rows), int((own.classes > 0).sum())) == (20, 5)
    assert len(set(own.rows.tolist())) == 20
    other = sample(many, OBJECT, torch.tensor([0]), ALL._replace(boxes=20, share=0.25))
    assert own.rows.tolist() != other.rows.tolist()
    few = sample(many[:51], OBJECT, torch.tensor([0]), ALL._replace(boxes=20, share=0.25))
    assert (len(few.rows), int((few.classes > 0).sum())) == (6, 5)


def test_objectness_by_hand() -> None:
    """Logits 0, 2 and 4 of an anchor that shows an object, one that does not, and one that is not looked at.

    (log 2 + log(1 + e²)) / 2; offsets are wanted as 0 and are .05, 1, 0 and 0, of which the first lies below 1/9:
    (½ · .05² · 9 + 1 − 1/18) / 2.
    """
    own = Sample(torch.tensor([0, 1]), torch.tensor([3, 0]), OBJECT.repeat(2, 1))
    offsets = torch.tensor([[[0.05, 1, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]])
    terms = objectness_terms(torch.tensor([[0.0, 2, 4]]), offsets, BOXES[:3], [own], coder=CODER)
    assert float(terms["objectness"]) == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2)
    assert float(terms["anchors"]) == pytest.approx((0.5 * 0.05**2 * 9 + 1 - 1 / 18) / 2)


def test_rows_are_of_their_own_image() -> None:
    """The one anchor of the second image that is looked at is number 2; all others have a logit that would be seen."""
    nothing = Sample(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    own = Sample(torch.tensor([2]), torch.tensor([1]), BOXES[2:3])
    logits, offsets = torch.full((2, 3), 50.0), torch.full((2, 3, 4), 50.0)
    logits[1, 2], offsets[1, 2] = 0, 0
    terms = objectness_terms(logits, offsets, BOXES[:3], [nothing, own], coder=CODER)
    assert float(terms["objectness"]) == pytest.approx(math.log(2))
    assert float(terms["anchors"]) == 0


def test_classes_by_hand() -> None:
    """Equal logits of three classes: log 3; the box of the one that shows an object is 1 off in one offset, of two."""
    samples = [Sample(torch.tensor([0, 3]), torch.tensor([2, 0]), OBJECT.repeat(2, 1))]
    offsets = torch.tensor([[0.0, 0, 0, 1], [9, 9, 9, 9]])
    terms = class_terms(torch.zeros(2, 3), offsets, BOXES[[0, 3]], samples, coder=CODER)
    assert float(terms["classes"]) == pytest.approx(math.log(3))
    assert float(terms["boxes"]) == pytest.approx((1 - 1 / 18) / 2)


@pytest.mark.parametrize("positives", [0, 1])
def test_gradients_are_finite_and_there_where_little_is_positive(positives: int) -> None:
    logits, offsets = torch.zeros(1, 4, requires_grad=True), torch.zeros(1, 4, 4, requires_grad=True)
    objects, classes = OBJECT[:positives], torch.zeros(positives, dtype=torch.int64)
    own = [sample(BOXES, objects, classes, ALL)]
    scores, moves = (
        torch.zeros(len(own[0].rows), 3, requires_grad=True),
        torch.zeros(len(own[0].rows), 4, requires_grad=True),
    )
    terms = objectness_terms(logits, offsets, BOXES, own, coder=CODER)
    terms |= class_terms(scores, moves, BOXES[own[0].rows], own, coder=CODER)
    torch.stack(list(terms.values())).sum().backward()
    for leaf in (logits, offsets, scores, moves):
        assert leaf.grad is not None
        assert bool(torch.isfinite(leaf.grad).all())
    assert bool(logits.grad.any())
    assert bool(scores.grad.any())


def test_the_gradient_is_that_of_differences() -> None:
    own = [Sample(torch.tensor([0, 2]), torch.tensor([1, 0]), OBJECT.double().repeat(2, 1))]
    anchors = BOXES[:3].double() + torch.tensor([0.0, 0, 1, 2])
    logits = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    offsets = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)

    def loss(logits: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(objectness_terms(logits, offsets, anchors, own, coder=CODER).values())).sum()

    def other(logits: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        terms = class_terms(logits.reshape(1, 3).repeat(2, 1), offsets[0, :2], anchors[[0, 2]], own, coder=CODER)
        return torch.stack(list(terms.values())).sum()

    assert torch.autograd.gradcheck(loss, (logits, offsets))
    assert torch.autograd.gradcheck(other, (logits, offsets))
