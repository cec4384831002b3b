"""Every backbone on a fake CUDA device, with its head, as a training step and the encoding of images run it."""

import inspect
from typing import Any

import pytest
import torch

from dqh.models import BACKBONES, Backbone, Encoder, HashHead, ResNet18
from dqh.models.heads import ACTIVATIONS
from dqh.models.pretrained import TorchvisionBackbone
from tests.devices.guard import fake_cuda, stand_in_cuda

NEEDED: dict[str, dict[str, Any]] = {
    "identity": {"size": 6},
    "timm": {"model": "test_vit", "size": 64},
    "whitened_convnet": {"widths": (24, 24, 24)},
}
SIZE = 64

ALIKE = {
    name
    for name, kind in BACKBONES.items()
    if issubclass(kind, TorchvisionBackbone) and kind.build is TorchvisionBackbone.build and kind is not ResNet18
}
"""Networks of torchvision of which nothing but the name is ours; each takes seconds, so that one stands for them."""

NETWORKS = {name: kind for name, kind in BACKBONES.items() if name not in ALIKE}


def backbone(kind: type[Backbone]) -> Backbone:
    given = NEEDED.get(kind.name, {})
    if "tap" in inspect.signature(kind).parameters:
        given = {"tap": kind.taps[-1], "size": SIZE} | given
    return kind(**given)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=name, marks=pytest.mark.slow if name in ("timm", "resnet18", "alexnet", "vgg16") else ())
        for name, kind in NETWORKS.items()
    ],
)
def test_no_network_mixes_devices_or_waits(kind: type[Backbone]) -> None:
    """Those of timm need values while they are built."""
    with (stand_in_cuda if kind.name == "timm" else fake_cuda)() as device, torch.no_grad():
        with torch.device("cuda"):
            network = backbone(kind)
            encoder = Encoder(network, HashHead(network.dimension, 12, dropout=0.5, normalise=True))
            vectors, size = network.spec.kind == "vector", network.spec.size
            images = torch.zeros(4, size) if vectors else torch.zeros(4, 3, size, size).byte()
        assert all(value.is_cuda for value in [*encoder.parameters(), *encoder.buffers()])
        with device.step():
            outputs = [encoder.train(mode)(images) for mode in (True, False)]
    assert all(output.embedding.is_cuda and output.features.shape == (4, network.dimension) for output in outputs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_head_mixes_devices_or_waits(activation: Any) -> None:
    with fake_cuda() as device:
        with torch.device("cuda"):
            head, features = HashHead(6, 12, activation=activation), torch.zeros(4, 6)
        with device.step():
            assert head(features).is_cuda


@pytest.mark.parametrize("name", ["identity", "whitened_convnet"])
def test_what_starts_from_images_starts_alike(name: str) -> None:
    """Those that `initialise` themselves; on the CPU, and where images are on a device."""
    kind = BACKBONES[name]
    torch.manual_seed(0)
    wanted = backbone(kind)
    shape = (40, 6) if name == "identity" else (4, 3, SIZE, SIZE)
    seen = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    seen[0] = 1e6 if name == "identity" else seen[0]
    wanted.initialise(seen)
    with stand_in_cuda(), torch.no_grad():
        with torch.device("cuda"):
            found = backbone(kind)
        found.initialise(seen.to("cuda"))
        unfit = found.unfit(seen.to("cuda"))
        starts = {key: value.held for key, value in found.state_dict().items()}
        assert unfit.is_cuda
    fixed = {"identity": ["centre", "scale"], "whitened_convnet": ["whiten.weight", "whiten.bias"]}[name]
    assert all(torch.equal(starts[key], wanted.state_dict()[key]) for key in fixed)
