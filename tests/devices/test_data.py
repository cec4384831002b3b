"""Augmentation, and images that live on a CUDA device that is not there."""

from typing import Any

import numpy as np
import pytest
import torch

from dqh.data import Augment, Digits, KeyedDraws, Resident, Store
from dqh.inputs import InputSpec
from tests.devices.guard import fake_cuda, stand_in_cuda
from tests.devices.variants import settings

EVERYTHING = {
    "padding": 2,
    "padding_mode": "reflect",
    "flip": True,
    **dict.fromkeys(("rotation", "scale", "shear", "shift", "warp"), 0.1),
    "cutout": 3,
}
VIEWS = [*settings(Augment), {"padding": 2, "padding_mode": "reflect"}, EVERYTHING]


@pytest.mark.parametrize("size", [8, 6], ids=["whole", "cropped"])
@pytest.mark.parametrize("changed", VIEWS, ids=str)
def test_no_view_mixes_devices_or_waits(changed: dict[str, Any], size: int) -> None:
    with fake_cuda() as device:
        images, keys = torch.zeros(4, 3, 8, 8, dtype=torch.uint8, device="cuda"), torch.arange(4, device="cuda")
        with device.step():
            views = Augment(**changed)(images, size, draws=KeyedDraws(7, keys), mean=(0.1, 0.2, 0.3))
    assert views.is_cuda
    assert views.shape == (4, 3, size, size)


@pytest.mark.parametrize("changed", VIEWS, ids=str)
def test_the_views_are_those_of_the_cpu(changed: dict[str, Any]) -> None:
    images = torch.randint(256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    keys, options = torch.arange(4), {"mean": (0.1, 0.2, 0.3)}
    wanted = Augment(**changed)(images, 6, draws=KeyedDraws(7, keys), **options)
    with stand_in_cuda() as device:
        there, places = images.to("cuda"), keys.to("cuda")
        with device.step():
            found = Augment(**changed)(there, 6, draws=KeyedDraws(7, places), **options)
    assert torch.equal(found.held, wanted)


def test_images_on_the_device_are_gathered_there() -> None:
    """All places go there before the first batch; the second one is a step."""
    store = Store(Digits(), InputSpec(size=6, resize=8))
    groups = [np.array([3, 1]), np.array([5, 5, 0])]
    wanted = list(store.batches(groups, size=6))
    with stand_in_cuda() as device:
        batches = Resident(store, np.arange(7), device=torch.device("cuda", 0)).batches(groups, size=6)
        found = [next(batches)]
        with device.step():
            found += list(batches)
        assert all(part.is_cuda for batch in found for part in batch)
    for batch, right in zip(found, wanted, strict=True):
        assert torch.equal(batch.images.held, right.images)
        assert torch.equal(batch.rows.held, right.rows)
