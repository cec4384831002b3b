"""Every loss on a CUDA device that is not there: forward, for one label an image and for several, in all settings."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor, nn

from dqh import losses
from dqh.losses.pairs import within
from tests.devices.guard import fake_cuda, stand_in_cuda
from tests.devices.variants import required, settings
from tests.devices.waits import MAY_WAIT

N, B, C, M, K = 8, 16, 5, 4, 32


def single() -> Tensor:
    return torch.arange(N) % C


def several() -> Tensor:
    return torch.eye(C, dtype=torch.bool)[single()]


ARGUMENTS: dict[str, Callable[[], Any]] = {
    "assignment": lambda: torch.zeros(N, M, dtype=torch.int64),
    "between": lambda: 0.5,
    "bits": lambda: B,
    "centres": lambda: torch.ones(C, B),
    "classes": lambda: C,
    "codes": lambda: torch.ones(N, B),
    "codebooks": lambda: torch.zeros(M, K, B // M),
    "embedding": lambda: torch.zeros(N, B),
    "features": lambda: torch.eye(N, B),
    "margin": lambda: 0.5,
    "negative_target": lambda: -1.0,
    "places": lambda: torch.arange(N),
    "pull": lambda: 0.5,
    "rebuilt": lambda: torch.zeros(N, B),
    "rounds": lambda: 2,
    "scale": lambda: 0.5,
    "scores": lambda: torch.zeros(N, C),
    "sign": lambda: 0.5,
    "soft_weight": lambda: 0.5,
    "ties": lambda: torch.ones(B),
    "weight": lambda: 0.5,
}
"""By the name that the losses give it; what is made lies on the device that is the default."""

FOUND = [getattr(losses, name) for name in losses.__all__ if inspect.isfunction(getattr(losses, name))]
OF_TENSORS = [
    each for each in FOUND if Tensor in get_type_hints(each).values() and required(each) != ["classes", "bits"]
]
BUILDING = [each for each in FOUND if each not in OF_TENSORS]
WAITING = [each for each in OF_TENSORS if f"{each.__module__}.{each.__name__}" in MAY_WAIT]
CALLS = [
    pytest.param(loss, labels, changed, id=f"{loss.__name__}-{labels.__name__}-{changed}")
    for loss in OF_TENSORS
    if loss not in WAITING
    for labels in ((single, several) if {"labels", "pairs"} & {*required(loss)} else (single,))
    for changed in settings(loss)
]


def arguments(loss: Callable[..., Any], labels: Callable[[], Tensor] = single) -> dict[str, Any]:
    """What a loss must be given."""
    targets = torch.eye if loss in WAITING else torch.ones
    known = ARGUMENTS | {
        "labels": labels,
        "pairs": lambda: within(torch.zeros(N, B), labels()),
        "targets": lambda: targets(N, N if loss in WAITING else B),
    }
    return {name: known[name]() for name in required(loss)}


@pytest.mark.parametrize(("loss", "labels", "changed"), CALLS)
def test_no_loss_mixes_devices_or_waits(
    loss: Callable[..., Any], labels: Callable[[], Tensor], changed: dict[str, Any]
) -> None:
    with fake_cuda() as device:
        with torch.device("cuda"):
            given = arguments(loss, labels) | changed
        with device.step():
            found = loss(**given)
    assert found.is_cuda


@pytest.mark.parametrize("loss", WAITING)
def test_what_may_wait_mixes_no_devices(loss: Callable[..., Any]) -> None:
    with stand_in_cuda() as device:
        with torch.device("cuda"):
            given = arguments(loss)
        found = loss(**given)
    assert found.is_cuda
    assert device.waited == {f"{loss.__module__}.{loss.__name__}"}


@pytest.mark.parametrize("bits", [16, 12])
@pytest.mark.parametrize("make", BUILDING)
def test_what_is_made_for_a_method_is_made_on_any_default_device(make: Callable[..., Any], bits: int) -> None:
    """Codes of classes are drawn on the CPU, from the same numbers, and a classifier has them where it is built."""
    wanted = make(C, bits)
    with stand_in_cuda(), torch.device("cuda"):
        found = make(C, bits)
    if isinstance(found, nn.Module):
        assert all(value.is_cuda for value in found.parameters())
        found, wanted = found.weight.held, wanted.weight
    assert torch.equal(found, wanted)
