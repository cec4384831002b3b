"""The guard itself: what is wrong is refused in both of its forms, what is right passes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module

import pytest
import torch
from torch import Tensor

from dqh.evaluation.metrics import average_precision
from dqh.ranking.buckets import Buckets
from tests.devices import guard
from tests.devices.guard import CUDA, DeviceWaitError, MixedDevicesError, OneDevice, fake_cuda, stand_in_cuda
from tests.devices.waits import MAY_WAIT

Device = Callable[[], AbstractContextManager[OneDevice]]


def there(*shape: int) -> Tensor:
    return torch.ones(shape, device="cuda")


def written(values: Tensor, place: object) -> None:
    values[place] = torch.zeros((), device="cuda")  # type: ignore[index]


MIXED: dict[str, Callable[[], object]] = {
    "a sum": lambda: there(3, 4) + torch.ones(3, 4),
    "a product": lambda: there(3, 4) @ torch.ones(4, 2),
    "an index": lambda: there(3, 4)[torch.tensor([0, 1])],
    "an index where it is written": lambda: written(there(3, 4), torch.arange(2)),
    "a selection": lambda: there(3, 4).index_select(0, torch.tensor([0, 1])),
    "an operation in place": lambda: torch.ones(3, 4).add_(there(3, 4)),
    "a choice": lambda: torch.where(there(3) > 0, torch.ones(3), 0.0),
    "a scalar that is no operand": lambda: torch.searchsorted(there(3), torch.tensor(1.0)),
    "a place for the result": lambda: torch.mul(there(3), 2, out=torch.ones(3)),
    "draws": lambda: torch.rand(3, generator=torch.Generator(), device="cuda"),
}

WAITS: dict[str, Callable[[], object]] = {
    "copy_ from the host": lambda: there(3).copy_(torch.ones(3)),
    "copy_ to the host": lambda: torch.ones(3).copy_(there(3)),
    "cpu": lambda: there(3).cpu(),
    "to the host": lambda: there(3).to("cpu", non_blocking=True),
    "item": lambda: there(3).sum().item(),
    "float": lambda: float(there(3).sum()),
    "if": lambda: bool(there(1) > 0),
    "tolist": lambda: there(3).tolist(),
    "a mask": lambda: there(3)[there(3) > 0],
    "a mask where it is written": lambda: written(there(3), there(3) > 0),
    "nonzero": lambda: there(3).nonzero(),
    "unique": lambda: there(3).unique(),
    "equal": lambda: torch.equal(there(3), there(3)),
    "bincount": lambda: torch.bincount(there(3).long()),
    "repeats": lambda: there(3).repeat_interleave(there(3).long()),
    "eigenvalues": lambda: torch.linalg.eigh(there(3, 3)),
    "singular values": lambda: torch.linalg.svd(there(3, 3)),
}

UPLOADS: dict[str, Callable[[], object]] = {
    "to": lambda: torch.ones(3).to("cuda"),
    "tensor": lambda: torch.tensor([1, 2], device="cuda"),
    "a list as an index": lambda: there(3)[[0, 1]],
}

RIGHT: dict[str, Callable[[], Tensor]] = {
    "one device": lambda: there(3, 4) @ there(4, 2) + 1,
    "a scalar of the host": lambda: there(3) * torch.tensor(2.0),
    "a scalar of the host to fill with": lambda: there(3).fill_(torch.tensor(2.0)),
    "a choice by a mask": lambda: torch.where(there(3) > 0, there(3), 0.0),
    "zeros by a mask": lambda: there(3).masked_fill_(there(3) > 0, 0.0),
    "an index on the device": lambda: there(3)[torch.arange(2, device="cuda")],
    "a copy on the device": lambda: there(3).copy_(there(3)),
    "another type": lambda: there(3).double(),
    "a copy from the host in passing": lambda: torch.ones(3).to("cuda", non_blocking=True),
    "repeats of a known number": lambda: there(3).repeat_interleave(there(3).long(), output_size=3),
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("form", [fake_cuda, stand_in_cuda])
def test_operations_on_two_devices_are_refused(form: Device, name: str) -> None:
    with form(), pytest.raises(MixedDevicesError, match="cpu"):
        MIXED[name]()


@pytest.mark.parametrize("name", [*WAITS, *UPLOADS])
@pytest.mark.parametrize("form", [fake_cuda, stand_in_cuda])
def test_waits_are_refused_in_a_step(form: Device, name: str) -> None:
    with form() as device, device.step(), pytest.raises(DeviceWaitError):
        (WAITS | UPLOADS)[name]()


@pytest.mark.parametrize("name", WAITS)
def test_waits_are_refused_elsewhere_too_unless_they_are_listed(name: str) -> None:
    with stand_in_cuda(), pytest.raises(DeviceWaitError, match="nothing of it is in MAY_WAIT"):
        WAITS[name]()


@pytest.mark.parametrize("name", UPLOADS)
def test_arrays_reach_the_device_outside_of_a_step(name: str) -> None:
    with stand_in_cuda():
        assert UPLOADS[name]().is_cuda  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("form", [fake_cuda, stand_in_cuda])
def test_what_is_right_passes_and_stays_there(form: Device, name: str) -> None:
    with form() as device, device.step():
        assert RIGHT[name]().device == CUDA


def test_pinned_memory_alone_receives_without_a_wait() -> None:
    with stand_in_cuda() as device, device.step():
        assert torch.empty(3, pin_memory=True).copy_(there(3), non_blocking=True).tolist() == [1, 1, 1]
        with pytest.raises(DeviceWaitError):
            torch.empty(3, pin_memory=True).copy_(there(3))
        with pytest.raises(DeviceWaitError):
            torch.empty(3).copy_(there(3), non_blocking=True)


def test_a_step_ends_and_what_waited_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two items, one relevant, in one bucket: (1 + 1/2) / 2."""
    name = "dqh.evaluation.metrics._terms"
    with stand_in_cuda() as device:
        tied = Buckets(torch.tensor([[2]], device="cuda"), torch.tensor([[1]], device="cuda"))
        with device.step(), pytest.raises(DeviceWaitError):
            average_precision(tied)
        monkeypatch.setattr(guard, "MAY_WAIT", {})
        with pytest.raises(DeviceWaitError, match=name):
            average_precision(tied)
        monkeypatch.setattr(guard, "MAY_WAIT", {name: "a test"})
        found = average_precision(tied)
        assert device.waited == {name}
    assert found.held.tolist() == [0.75]


def test_the_stand_in_changes_what_its_views_show() -> None:
    with stand_in_cuda():
        values = torch.zeros(2, 3, device="cuda")
        values[1, :2].add_(4)
        values.view(-1)[0] = 7
    assert values.held.tolist() == [[7, 0, 0], [4, 4, 0]]


def test_a_tensor_that_leaves_its_device_is_refused() -> None:
    with stand_in_cuda():
        values = there(3)
    with pytest.raises(AssertionError, match="left its device"):
        values + 1


@pytest.mark.parametrize("name", MAY_WAIT)
def test_what_is_listed_is_there(name: str) -> None:
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        assert found is not None
        return
    raise AssertionError(f"no module of {name}")
