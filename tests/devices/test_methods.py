"""Every method on a CUDA device that is not there, where it is trained: the step, and what comes between the steps."""

import inspect
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dqh import methods
from dqh.models import SmallResNet
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer
from dqh.training import HashModule
from dqh.training.closed_form import ClosedForm
from dqh.training.module import TrainingBatch
from dqh.training.optimizer import Optimizer
from tests.devices.guard import OnCuda, StandInCuda, fake_cuda, stand_in_cuda
from tests.devices.variants import settings

IMAGES, CLASSES, BITS = 40, 10, 16

FOUND: list[type[HashModule]] = [
    kind
    for path in sorted(Path(methods.__file__).parent.glob("*.py"))
    if path.stem != "__init__"
    for _, kind in inspect.getmembers(import_module(f"dqh.methods.{path.stem}"), inspect.isclass)
    if issubclass(kind, HashModule) and kind.__module__ == f"dqh.methods.{path.stem}"
    if not issubclass(kind, ClosedForm) and not kind.waits_for_device
]
"""Those that are trained: what is computed in closed form takes no step, and is fitted on the CPU.

Losses of another package, which wait at every step by their own account, cannot run on a device that is not there."""

SMALL: dict[str, dict[str, Any]] = {name: {"codewords": 16, "dimension": 16} for name in ("dqn", "dpq", "dvsq")}
"""What fits few images and few bits, where the defaults do not."""

TOGETHER: dict[str, list[dict[str, Any]]] = {
    "dqn": [
        {"similarity": "inner_product", "normalise": False},
        {"codebook": "straight_through", "rotation": True, "quantization_warmup": 0.0},
    ]
}
"""Settings of a method that only go together."""


def built(kind: type[HashModule], changed: dict[str, Any]) -> HashModule:
    """A method on the default device."""
    needed = {"classes": CLASSES, "bits": BITS, "optimizer": Optimizer(lr=0.1)}
    given = {name: value for name, value in needed.items() if name in inspect.signature(kind).parameters}
    return kind(SmallResNet(width=4, size=8), **given | SMALL.get(kind.method, {}) | changed)


def variants() -> Iterator[Any]:
    """Every method in all its settings."""
    for kind in FOUND:
        for changed in [*settings(kind), *TOGETHER.get(kind.method, [])]:
            try:
                built(kind, changed)
            except ValueError:  # goes with others alone
                continue
            yield pytest.param(kind, changed, id=f"{kind.method}-{changed}")


def batch(several: bool) -> TrainingBatch:
    """Images of noise on the default device."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (IMAGES, 3, 8, 8), generator=generator, device="cpu", dtype=torch.uint8)
    rows = torch.arange(IMAGES)
    labels: Tensor = torch.eye(CLASSES, dtype=torch.bool)[rows % CLASSES] if several else rows % CLASSES
    return TrainingBatch(images.to(rows.device), labels, rows)


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["single", "several"])
@pytest.mark.parametrize(("kind", "changed"), list(variants()))
def test_no_training_step_mixes_devices_or_waits(
    kind: type[HashModule], changed: dict[str, Any], several: bool
) -> None:
    with fake_cuda() as device:
        with torch.device("cuda"):
            method, seen = built(kind, changed), batch(several)
        with device.step():
            terms = method.train().training_step(seen, 0)
    assert terms is not None
    assert all(value.is_cuda and value.shape == () for value in terms.values())


def life(kind: type[HashModule], changed: dict[str, Any], several: bool, device: StandInCuda | None) -> dict[str, Any]:
    """What a method logs: its quantizer fitted, one training step, the validation; without a gradient."""
    torch.manual_seed(0)
    with torch.device("cuda" if device else "cpu"):
        method, seen = built(kind, changed), batch(several)
    logged: dict[str, Any] = {}
    method.log = logged.__setitem__  # type: ignore[method-assign]
    if method.refit_every is not None:
        embedding = np.random.default_rng(0).normal(size=(IMAGES, method.encoder.head.dimension))
        method.fit_quantizer(embedding.astype(np.float32), seed=0)
    with device.step() if device else nullcontext():
        terms = method.train().training_step(seen, 0)
    assert terms is not None
    logged |= {name: value.held if isinstance(value, OnCuda) else value for name, value in terms.items()}
    method.eval().validation_step(seen, 0)
    method.on_validation_epoch_end()
    return logged


@pytest.fixture
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn of OPQ and three of k-means in place of 25, which are all alike."""
    monkeypatch.setitem(OptimizedProductQuantizer.__init__.__kwdefaults__, "rotations", 1)
    for kind in (OptimizedProductQuantizer, ProductQuantizer):
        monkeypatch.setitem(kind.__init__.__kwdefaults__, "iterations", 3)


@pytest.mark.slow
@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("several", [False, True], ids=["single", "several"])
@pytest.mark.parametrize(
    ("kind", "changed"), [(kind, changed) for kind in FOUND for changed in ({}, *TOGETHER.get(kind.method, []))]
)
def test_what_comes_between_the_steps_is_the_same_on_a_device(
    kind: type[HashModule], changed: dict[str, Any], several: bool
) -> None:
    with torch.no_grad():
        wanted = life(kind, changed, several, None)
        with stand_in_cuda() as device:
            found = life(kind, changed, several, device)
    assert {"val/mAP", "val/loss"} <= found.keys()
    assert found == wanted
    assert "dqh.training.module.HashModule.validation_step" in device.waited
