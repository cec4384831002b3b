"""What Faster R-CNN adds to the base of detectors: its options, and losses where there is little to learn from."""

import pytest
import torch

from dqh.methods.faster_rcnn import FasterRCNN
from dqh.models import SmallResNet
from dqh.training.detection.detection_module import DetectionBatch
from dqh.training.optimizer import Optimizer


def faster_rcnn(**options) -> FasterRCNN:
    torch.manual_seed(0)
    backbone = SmallResNet(width=4, size=32)
    return FasterRCNN(backbone, 2, optimizer=Optimizer(), **({"maps": 1, "width": 8, "hidden": 16} | options))


def batch(*boxes: list[list[float]]) -> DetectionBatch:
    images = torch.randint(
        0, 256, (len(boxes), 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return DetectionBatch(
        images,
        tuple(torch.tensor(own).reshape(-1, 4) for own in boxes),
        tuple(torch.ones(len(own), dtype=torch.int64) for own in boxes),
        torch.arange(len(boxes)),
    )


SOME = batch([[3.0, 4, 16, 18]], [])
NOTHING = batch([], [])
TINY = batch([[30.0, 30, 31, 31]], [[0, 0, 32, 32]])
"""A box that hardly any anchor overlaps with, and one that is the whole image."""


def losses(seen: DetectionBatch = SOME, **options) -> dict[str, float]:
    method = faster_rcnn(**options).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        return {name: float(term) for name, term in method.losses(method.maps(seen.inputs), seen).items()}


def test_the_terms_are_of_both_stages() -> None:
    assert set(losses()) == {"objectness", "anchors", "classes", "boxes"}
    nothing = losses(NOTHING)
    assert nothing["anchors"] == nothing["boxes"] == 0
    assert nothing["objectness"] > 0
    assert nothing["classes"] > 0


def test_an_overlap_that_fewer_proposals_reach_changes_the_second_stage_alone() -> None:
    plain, other = losses(), losses(iou=0.2)
    assert other["boxes"] != plain["boxes"]
    assert other["objectness"] == plain["objectness"]


def test_cutting_answers_changes_no_loss() -> None:
    """Proposals, objectness and overlap are of the network's answer; it learns from 300 proposals, or from more."""
    assert losses(proposals=5, objectness=1.0, overlap=0.3) == losses()


@pytest.mark.parametrize("seen", [SOME, NOTHING, TINY], ids=["some", "nothing", "tiny"])
def test_gradients_are_finite_on_every_parameter(seen: DetectionBatch) -> None:
    method = faster_rcnn(dropout=0.3, freeze_norms=False).train()
    method.training_step(seen, 0)["loss"].backward()
    for name, weight in method.named_parameters():
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name


def test_every_option_of_the_network_is_an_argument_of_it() -> None:
    method = faster_rcnn(proposals=7, objectness=0.2, overlap=0.6, smallest=0.1, dropout=0.1)
    assert method.arguments == {
        "maps": 1,
        "width": 8,
        "hidden": 16,
        "dropout": 0.1,
        "proposals": 7,
        "objectness": 0.2,
        "overlap": 0.6,
        "smallest": 0.1,
    }
    boxes, scores = method.eval().network.propose(method.maps(SOME.inputs))
    assert (boxes.shape, scores.shape) == ((2, 7, 4), (2, 7, 2))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"iou": 1}, "iou must be above 0 and below 1, got 1"),
        ({"proposals": 0}, "proposals must be an integer from 1 to 1000, got 0"),
        ({"objectness": 1.5}, "objectness must be a number from 0 to 1, got 1.5"),
        ({"overlap": -0.1}, "overlap must be a number from 0 to 1, got -0.1"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to 0.9, got 1.0"),
        ({"width": 1}, "width must be an integer from 2 to 2048, got 1"),
    ],
)
def test_values_outside_their_range(option, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        faster_rcnn(**option)
