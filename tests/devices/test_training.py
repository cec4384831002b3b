"""What surrounds a training step on a CUDA device that is not there: batches, views, and the look at losses."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dqh.data import Augment, Digits, Protocol, prepare
from dqh.inputs import InputSpec
from dqh.training.callbacks import FiniteLoss
from dqh.training.datamodule import HashDataModule, filled
from dqh.training.module import TrainingBatch
from tests.devices.guard import CUDA, OnCuda, fake_cuda, stand_in_cuda


def datamodule(tmp_path: Path) -> HashDataModule:
    split = Protocol("counts", query=40, train=240, validation=40).draw(Digits())
    spec = InputSpec(size=8, resize=8)
    data = prepare(Digits(), split, spec, allow_duplicates=True, skipped_file=tmp_path / "skipped.csv")
    options = {"augment": Augment(padding=1, flip=True), "batch_size": 8, "eval_batch_size": 8, "seed": 0}
    made = HashDataModule(data, **options, device_memory=2**30)
    made.trainer = SimpleNamespace(training=True, current_epoch=2)  # type: ignore[assignment]
    return made


def test_batches_from_the_device_are_those_of_the_host(tmp_path: Path) -> None:
    """Labelled and augmented; the first batch takes the places of all with it."""
    data = datamodule(tmp_path)
    groups = data.order(0)[:3]
    wanted = [data.on_after_batch_transfer(batch, 0) for batch in data.batches(groups, torch.device("cpu"))]
    with stand_in_cuda() as device:
        data._move(CUDA)
        batches = data.batches(groups, CUDA)
        found = [data.on_after_batch_transfer(next(batches), 0)]
        with device.step():
            found += [data.on_after_batch_transfer(batch, 0) for batch in batches]
    assert all(isinstance(value, OnCuda) for batch in found for value in batch)
    for batch, right in zip(found, wanted, strict=True):
        assert all(torch.equal(value.held, other) for value, other in zip(batch, right, strict=True))


def test_a_batch_is_filled_on_its_device() -> None:
    with fake_cuda() as device:
        batch = TrainingBatch(*(torch.zeros(shape, device="cuda").long() for shape in ((3, 2), (3,), (3,))))
        with device.step():
            assert [tuple(value.shape) for value in filled(batch, 5)] == [(5, 2), (5,), (5,)]


def test_losses_stay_on_the_device_until_it_is_time() -> None:
    seen = FiniteLoss(Digits(), every=3)
    trainer, module = SimpleNamespace(global_step=1, current_epoch=0), SimpleNamespace(device=CUDA)
    with stand_in_cuda() as device:
        loss = torch.ones((), device="cuda")
        batch = TrainingBatch(torch.zeros(2, device="cuda"), loss, torch.from_numpy(np.arange(2)).to("cuda"))
        for step in range(2):
            with device.step():
                seen.on_train_batch_end(trainer, module, {"loss": loss}, batch, step)  # type: ignore[arg-type]
        assert device.waited == set()
        seen.on_train_batch_end(trainer, module, {"loss": loss}, batch, 2)  # type: ignore[arg-type]
        assert device.waited == {"dqh.training.callbacks.FiniteLoss.check"}
        loss = loss * torch.inf
        seen.on_train_batch_end(trainer, module, {"loss": loss}, batch, 3)  # type: ignore[arg-type]
        with pytest.raises(Exception, match="the loss became inf"):
            seen.check()
