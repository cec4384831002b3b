"""Settings of a training, and the facts that it reports."""

import dataclasses
import os
import shutil
import signal
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh.errors import ConfigError
from dqh.training import Fit, Interrupted, launch, run
from dqh.training import fit as fitting
from dqh.training.batch_norm import SharedBatchNorm


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs at least 1, got 0"),
        ({"devices": 0, "device_memory_gb": -1.0}, "devices at least 1, got 0; device_memory_gb at least 0 or null"),
        ({"gradient_clip": 0.0}, "gradient_clip above 0 or null, got 0.0"),
        ({"overfit": 3}, "overfit at least 4 or null, got 3"),
        ({"overfit": 3, "workers": -1}, "workers at least 0, got 4.0 and -1; overfit at least 4"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fit(**values)


@pytest.mark.slow
def test_a_few_images_are_learnt_by_heart_and_the_run_says_so(tiny: Any, folder: Path, caplog: Any) -> None:
    """A fresh network finds 20 training images among themselves; nothing about them is called validation."""
    experiment = tiny(trainer={"overfit": 20, "epochs": 20, "batch_size": 10})
    evaluation = run(experiment, folder, command="")
    facts = evaluation.metrics["training"]
    assert (facts["overfit"], facts["chosen_by"]) == (20, "train/mAP")
    assert facts["best_score"] >= 0.99
    assert facts["epochs"] == facts["best_epoch"] == len(evaluation.history) < 20
    assert evaluation.history[-1]["train/mAP"] == facts["best_score"]
    assert not any(name.startswith("val/") for name in evaluation.history[-1])
    assert "overfit: trains on 20 images and measures on the same" in caplog.text


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on_after_a_signal(tiny: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Batch normalisation and validation see all images, views are equal: only float32 sums are in another order.

    The two get SIGTERM when the first epoch is written, stop together after an epoch, and are resumed, as two processes
    and as one.
    """
    alone, two = tmp_path / "alone", tmp_path / "two"
    for folder in (alone, two):
        folder.mkdir()
    settings = {"method": {"dropout": 0.0}}
    one = run(tiny(**settings), alone, command="")
    with monkeypatch.context() as patch:

        def wait_and_signal(sentinels: Any) -> Any:
            while not (two / "metrics.csv").exists() and not wait(sentinels, timeout=0.05):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            patch.setattr(launch, "wait", wait)
            return wait(sentinels)

        patch.setattr(launch, "wait", wait_and_signal)
        with pytest.raises(Interrupted, match=r"stopped by SIGTERM.*last\.ckpt") as stopped:
            run(tiny(**settings, trainer={"devices": 2}), two, command="")
    then_alone = tmp_path / "then_alone"
    shutil.copytree(two, then_alone)
    other = run(tiny(**settings), then_alone, command="", resume=then_alone / "checkpoints" / "last.ckpt")
    both = run(tiny(**settings, trainer={"devices": 2}), two, command="", resume=stopped.value.checkpoint)
    assert [row["epoch"] for row in both.history] == [row["epoch"] for row in other.history] == [1, 2, 3]
    for row, wanted in zip([*both.history, *other.history], [*one.history] * 2, strict=True):
        assert row.keys() == wanted.keys()
        for name in row.keys() - {"seconds", "images_per_s"}:
            assert row[name] == pytest.approx(wanted[name], rel=1e-4, abs=0.01 if "mAP" in name else 1e-4), name
    assert (both.metrics["training"]["devices"], one.metrics["training"]["devices"]) == (2, 1)
    found, wanted = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (two, alone)
    )
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("written", [False, True])
def test_processes_that_a_signal_ended(tiny: Any, folder: Path, monkeypatch: Any, written: bool) -> None:
    """Whether there is something to go on from decides what is told."""
    last = folder / "checkpoints" / "last.ckpt"

    def ended(*arguments: Any, count: int) -> None:
        if written:
            last.parent.mkdir(parents=True)
            last.touch()
        raise SystemExit(143)

    monkeypatch.setattr(fitting, "in_processes", ended)
    monkeypatch.setattr(fitting, "_tell_of_validation", lambda data, settings: None)  # there are no images here
    experiment = tiny(trainer={"devices": 2})
    with pytest.raises(Interrupted if written else SystemExit) as caught:
        fitting.fit(experiment.method, None, settings=experiment.settings, folder=folder, seed=0)  # type: ignore[arg-type]
    if written:
        assert (caught.value.exit_status, caught.value.checkpoint) == (143, last)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_process_shares_its_norms_whatever_the_device(
    tiny: Any, folder: Path, monkeypatch: Any, device: str
) -> None:
    """By classes of ours alone: those that Lightning would put there lose activations."""
    experiment, made = tiny(trainer={"devices": 2}), []
    settings = experiment.settings
    monkeypatch.setattr(fitting, "torch_device", lambda name: torch.device(device))
    monkeypatch.setattr(fitting, "_fit", lambda job: job)
    monkeypatch.setattr(fitting.pl, "Trainer", lambda **arguments: made.append(arguments))
    job = fitting.Job(experiment.method, None, settings, folder, 0, None)  # type: ignore[arg-type]
    fitting._fit_part(job)
    assert any(isinstance(child, SharedBatchNorm) for child in job.module.modules())
    fitting._trainer(settings, [], folder=folder, profiler=None, unused=False)
    assert not made[0].get("sync_batchnorm")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"devices": 3, "batch_size": 32}, "batch_size: 32 images do not divide by 3 devices"),
        ({"devices": 2, "profile": True}, "profile: looks at one process, got 2 devices"),
        ({"precision": "16-mixed"}, "precision: 16-mixed needs a CUDA device"),
    ],
)
def test_what_the_devices_cannot_do_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Fit(device="cpu", **values)


def test_devices_that_are_not_there(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="devices: got 2, this machine has 1"):
        Fit(devices=2)


@pytest.mark.slow
def test_a_run_tells_how_long_it_waited_for_data(tiny: Any, folder: Path, caplog: Any) -> None:
    caplog.set_level("INFO")
    facts = run(tiny(trainer={"epochs": 1}), folder, command="").metrics["training"]
    assert 0 <= facts["waiting_seconds"] < facts["wall_seconds"]
    assert facts["warm_up_seconds"] == 0
    assert " % of it waiting for data; " in caplog.text


@pytest.mark.slow
def test_a_profiled_training_is_the_same_training(tiny: Any, tmp_path: Path) -> None:
    states = []
    for profiled in (False, True):
        folder = tmp_path / str(profiled)
        folder.mkdir()
        run(tiny(trainer={"epochs": 2, "profile": profiled}), folder, command="")
        states.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "value", "reason"),
    [("own", 0.0, "no two of the 30 share a label"), ("one", 1.0, "all 30 share a label")],
)
def test_where_validation_cannot_tell_the_last_epoch_is_kept_and_it_is_said(
    tiny: Any, folder: Path, tmp_path: Path, caplog: Any, classes: str, value: float, reason: str
) -> None:
    """Validation images that are each of a class of their own, or all of one, have the same mAP in every epoch."""
    labels = np.arange(240) % 60 if classes == "own" else np.arange(240) % 2 * (np.arange(240) >= 30)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "features.npy", rng.normal(size=(240, 8)).astype(np.float32))
    np.save(tmp_path / "labels.npy", labels)
    files = {"features": str(tmp_path / "features.npy"), "labels": str(tmp_path / "labels.npy")}
    experiment = tiny(
        data={"_target_": "dqh.data.Features", **files},
        backbone={"_target_": "dqh.models.Identity"},
        split={"query": 20, "train": 100, "database": 100, "validation": 20},
    )
    ids = experiment.source.ids.tolist()
    parts = {"query": ids[30:50], "validation": ids[:30], "train": ids[50:], "database": ids[50:]}
    split = dataclasses.replace(experiment.split, **{name: tuple(map(str, part)) for name, part in parts.items()})
    experiment = dataclasses.replace(experiment, split=split)
    facts = run(experiment, folder, command="").metrics["training"]
    wanted = f"last epoch (val/mAP was {value:.4f} in every epoch)"
    assert (facts["best_epoch"], facts["best_score"], facts["chosen_by"]) == (3, pytest.approx(value), wanted)
    assert f"val/mAP cannot choose the epoch: of the validation images {reason}" in caplog.text
    assert f"kept the weights of the {wanted}" in caplog.text
    kept, last = (
        torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
        for name in ("best", "last")
    )
    assert all(torch.equal(each, last[name]) for name, each in kept.items())


def test_few_images_are_passed_more_often() -> None:
    """100 images are 3 whole steps of 32, in 10 epochs 30: 1,000 steps take 34 passes an epoch; 16,000 are 500."""
    settings = Fit(epochs=10, batch_size=32, least_steps=1000)
    assert [settings.passes(images) for images in (100, 20, 1, 16_000)] == [34, 100, 100, 1]
    assert Fit(epochs=10).passes(1) == 1
    with pytest.raises(ValueError, match="least_steps at least 0, got -1; head_steps at least 0, got -2"):
        Fit(least_steps=-1, head_steps=-2)


def test_steps_are_smaller_where_images_are_few() -> None:
    """8 batches of 1,024 need 8,192 images; 8,191 give 15 of 512, and 255 do not give 8 of 32, the smallest."""
    settings = Fit(batch_size=1024, least_batches=8)
    sizes = [settings.for_images(images).batch_size for images in (8192, 8191, 255, 1)]
    assert sizes == [1024, 512, 32, 32]
    assert Fit(batch_size=1024).for_images(10).batch_size == 1024
    assert Fit(batch_size=48, least_batches=8).for_images(10).batch_size == 48  # half of it would be below 32
    with pytest.raises(ValueError, match="least_batches at least 1, got 0"):
        Fit(least_batches=0)


def test_smaller_steps_must_divide_by_the_devices() -> None:
    with pytest.raises(ConfigError, match="batch_size: 45 images do not divide by 2 devices"):
        Fit(batch_size=90, least_batches=8, devices=2, device="cpu").for_images(100)
