"""The maps of a backbone: their sides and strides, the weights that they have, and what stays in training."""

import pytest
import torch
from torch import nn

from dqh.errors import ConfigError
from dqh.models import VGG16, AlexNet, MobileNetV2, ResNet18, ResNet50, SmallResNet
from dqh.models.detectors.trunk import NODES, Trunk
from dqh.models.zoo import BACKBONES


@pytest.mark.parametrize(
    ("backbone", "size", "wanted"),
    [
        (lambda: MobileNetV2(tap="pool", size=96), 96, [(192, 12, 8), (576, 6, 16), (1280, 3, 32)]),
        (lambda: ResNet18(tap="pool5", size=64), 64, [(128, 8, 8), (256, 4, 16), (512, 2, 32)]),
        (lambda: SmallResNet(width=4, size=16), 16, [(4, 16, 1), (8, 8, 2), (16, 4, 4)]),
        pytest.param(
            lambda: ResNet50(tap="pool5", size=64),
            64,
            [(512, 8, 8), (1024, 4, 16), (2048, 2, 32)],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: VGG16(tap="pool5", size=64), 64, [(256, 16, 4), (512, 8, 8), (512, 4, 16)], marks=pytest.mark.slow
        ),
    ],
)
def test_maps_of_three_strides(backbone, size: int, wanted: list[tuple[int, int, int]]) -> None:
    trunk = Trunk(backbone(), maps=3).eval()
    assert [tuple(part) for part in trunk.maps] == wanted
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    with torch.inference_mode():
        assert [tuple(part.shape[1:]) for part in trunk(images)] == [(c, side, side) for c, side, _ in wanted]
        two = Trunk(backbone(), maps=2).eval()
        assert [part.stride for part in two.maps] == [stride for *_, stride in wanted[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("maps", [1, 2, 3])
@pytest.mark.parametrize("backbone", [lambda: MobileNetV2(tap="pool", size=96), lambda: SmallResNet(size=16)])
def test_the_stem_ends_before_the_first_map(backbone, maps: int) -> None:
    """Its weights and those of the body are all, each once; what it keeps of an image leads to the same maps."""
    trunk = Trunk(backbone(), maps=maps, freeze_norms=False).eval()
    images = torch.randint(0, 256, (2, 3, trunk.size, trunk.size), dtype=torch.uint8)
    whole = Trunk(backbone(), maps=3, freeze_norms=False)
    assert sum(map(torch.numel, trunk.parameters())) == sum(map(torch.numel, whole.parameters()))
    assert [*trunk.stem.parameters()]
    assert [*trunk.body.parameters()]
    with torch.inference_mode():
        wanted = trunk(images)
        trunk.stem.requires_grad_(requires_grad=False)
        (lower,) = trunk.kept(images)
        for ours, theirs in zip(trunk.of_kept([lower]), wanted, strict=True):
            torch.testing.assert_close(ours, theirs)
        trunk.requires_grad_(requires_grad=False)
        for ours, theirs in zip(trunk.kept(images), wanted, strict=True):
            torch.testing.assert_close(ours, theirs)
    assert trunk.kept_shapes == [(part.channels, part.side, part.side) for part in trunk.maps]


def test_every_backbone_of_the_list_is_there() -> None:
    assert set(NODES) <= set(BACKBONES)


def test_the_last_map_has_the_weights_of_the_backbone() -> None:
    """Its mean over the cells are the features that the backbone itself gives."""
    backbone = MobileNetV2(tap="pool", size=64).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        wanted = backbone((images / 255 - 0.5) / 0.5)
        last = Trunk(backbone).eval()(images)[-1]
    torch.testing.assert_close(last.mean((2, 3)), wanted, rtol=1e-4, atol=1e-5)


def test_frozen_norms_keep_what_they_have() -> None:
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    for freeze in (True, False):
        trunk = Trunk(SmallResNet(width=4, size=16), freeze_norms=freeze).train()
        before = [norm.running_mean.clone() for norm in trunk.norms()]
        trunk(images)
        moved = [not torch.equal(norm.running_mean, mean) for norm, mean in zip(trunk.norms(), before, strict=True)]
        assert any(moved) is not freeze
        assert all(norm.weight.requires_grad is not freeze for norm in trunk.norms())
        assert any(weight.requires_grad for weight in trunk.parameters())


def test_a_trunk_that_is_wholly_frozen_stays_in_evaluation() -> None:
    trunk = Trunk(SmallResNet(width=4, size=16), freeze_norms=False).requires_grad_(requires_grad=False).train()
    assert not any(module.training for module in trunk.body.modules() if isinstance(module, nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (lambda: AlexNet(tap="fc7"), "alexnet has no maps to find objects in; choose one of mobilenet_v2, resnet18"),
        (lambda: SmallResNet(tap="stage2"), "backbone.tap: got stage2, a trunk wants all stages; write pool"),
        (lambda: ResNet18(tap="pool5", size=32), "32 pixels leave 1 cell a side in the last map of resnet18"),
    ],
)
def test_backbones_that_cannot_be_a_trunk(backbone, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Trunk(backbone())
