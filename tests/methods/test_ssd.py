"""What SSD adds to the base of detectors: its options reach the loss and the network."""

import pytest
import torch

from dqh.methods.ssd import SSD
from dqh.models import SmallResNet
from dqh.training.detection.detection_module import DetectionBatch
from dqh.training.optimizer import Optimizer


def ssd(**options) -> SSD:
    torch.manual_seed(0)
    backbone = SmallResNet(width=4, size=32)
    return SSD(backbone, 2, optimizer=Optimizer(), **({"maps": 1, "width": 8, "extras": 1} | options))


BATCH = DetectionBatch(
    torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    (torch.tensor([[3.0, 4.0, 16.0, 18.0]]), torch.zeros(0, 4)),
    (torch.tensor([1]), torch.zeros(0, dtype=torch.int64)),
    torch.tensor([0, 1]),
)


def losses(**options) -> dict[str, float]:
    method = ssd(**options).eval()
    with torch.no_grad():
        return {name: float(term) for name, term in method.losses(method.maps(BATCH.inputs), BATCH).items()}


def test_every_option_of_the_loss_changes_it() -> None:
    plain = losses()
    assert set(plain) == {"classes", "boxes"}
    assert losses(iou=0.2) != plain
    assert losses(mining="all")["classes"] != plain["classes"]
    assert losses(mining="all")["boxes"] == plain["boxes"]


def test_every_option_of_the_network_is_an_argument_of_it() -> None:
    method = ssd(extra_stride=1, pyramid=False, dropout=0.25)
    assert method.arguments == {
        "maps": 1,
        "width": 8,
        "extras": 1,
        "extra_stride": 1,
        "pyramid": False,
        "dropout": 0.25,
    }
    assert len(method.network.anchors) == 9 * (8 * 8 + 8 * 8)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"iou": 0}, "iou must be above 0 and below 1, got 0"),
        ({"mining": "easy"}, "mining must be negatives or all, got 'easy'"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to 0.9, got 1.0"),
        ({"width": 1}, "width must be an integer from 2 to 2048, got 1"),
    ],
)
def test_values_outside_their_range(option, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ssd(**option)
