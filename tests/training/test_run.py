"""A whole run: what it leaves, that it resumes exactly, that signals and bad losses end it in order."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dqh.data import Digits
from dqh.errors import ArtifactError, ConfigError, NonFiniteLossError
from dqh.evaluation import evaluate_artifact, torch_device
from dqh.export import load_artifact, read_manifest, verify_golden
from dqh.training import Experiment, Interrupted, run
from dqh.training import fit as fitting


class At(pl.Callback):
    """Does something at a step, before the callbacks of the run."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            self.action(pl_module)


def with_callback(monkeypatch: pytest.MonkeyPatch, callback: pl.Callback) -> None:
    """Put a callback before those of every following training."""
    real = fitting._trainer

    def trainer(settings: Any, device: Any, callbacks: list[Any], folder: Path) -> pl.Trainer:
        return real(settings, device, [callback, *callbacks], folder)

    monkeypatch.setattr(fitting, "_trainer", trainer)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def untimed(path: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what a clock decides."""
    with path.open() as file:
        return [{k: v for k, v in row.items() if k not in {"seconds", "images_per_s"}} for row in csv.DictReader(file)]


def test_a_run_leaves_all_its_files_and_the_artifact_gives_its_numbers_again(tiny, folder: Path) -> None:
    experiment: Experiment = tiny()
    evaluation = run(experiment, folder, command="python train.py")
    assert {path.name for path in folder.iterdir()} == {
        "artifact",
        "checkpoints",
        "metrics.csv",
        "metrics.json",
        "report.html",
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [row["search"] for row in metrics["rows"]] == ["binary", "exhaustive", "coarse_to_fine"]
    assert metrics["rows"] == evaluation.metrics["rows"]
    assert [row["epoch"] for row in untimed(folder / "metrics.csv")] == ["1", "2", "3"]
    artifact = load_artifact(folder / "artifact")
    assert read_manifest(folder / "artifact")["metrics"]["rows"] == metrics["rows"]
    assert verify_golden(artifact, folder / "artifact")[1:3] == (0, 0)
    again = evaluate_artifact(
        artifact,
        Digits(),
        retrieval=experiment.retrieval,
        device=torch_device("cpu"),
        skipped_file=folder / "skipped.csv",
    )
    timed = {"query_ms", "qps"}
    for before, after in zip(metrics["rows"], again.metrics["rows"], strict=True):
        assert {k: v for k, v in before.items() if k not in timed} == {k: v for k, v in after.items() if k not in timed}
    for key in ("protocol", "accuracy", "curves", "training"):
        assert again.metrics[key] == metrics[key]


def test_the_best_epoch_of_the_validation_images_is_kept(tiny, folder: Path) -> None:
    evaluation = run(tiny(), folder, command="")
    rows = untimed(folder / "metrics.csv")
    best = max(rows, key=lambda row: float(row["val/mAP"]))
    assert evaluation.metrics["training"]["best_epoch"] == int(best["epoch"])
    kept = weights(folder / "checkpoints" / "best.ckpt")
    encoder = load_artifact(folder / "artifact").encoder.state_dict()
    assert all(torch.equal(kept[f"encoder.{name}"], value) for name, value in encoder.items())


def test_without_validation_images_the_last_epoch_is_kept(tiny, folder: Path) -> None:
    evaluation = run(tiny(split={"validation": None}), folder, command="")
    assert evaluation.metrics["training"]["best_epoch"] == 3
    assert "no validation" in evaluation.metrics["training"]["chosen_by"]


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(tiny, tmp_path: Path) -> None:
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    run(tiny(), tmp_path / "one", command="")
    run(tiny(), tmp_path / "two", command="")
    last = [weights(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("one", "two")]
    assert same(*last)
    assert untimed(tmp_path / "one" / "metrics.csv") == untimed(tmp_path / "two" / "metrics.csv")
    experiment = tiny()
    object.__setattr__(experiment, "seed", 4)
    run(experiment, tmp_path / "other", command="")
    assert not same(last[0], weights(tmp_path / "other" / "checkpoints" / "last.ckpt"))


# 200 training images make 6 steps an epoch: step 8 is inside the second epoch, 11 its last step, 17 the very last one
@pytest.mark.parametrize("step", [0, 8, 11, 17])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_and_resumed_run_equals_the_straight_one(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    run(tiny(), straight, command="")
    with monkeypatch.context() as patch:
        with_callback(patch, At(step, lambda module: os.kill(os.getpid(), number)))
        with pytest.raises(Interrupted, match=f"stopped by {number.name}.*last.ckpt") as stopped:
            run(tiny(), broken, command="")
    assert stopped.value.exit_status == 128 + number
    assert not (broken / "artifact").exists()
    steps = torch.load(stopped.value.checkpoint, weights_only=True)["global_step"]
    assert steps == step + 1
    run(tiny(), broken, command="", resume=stopped.value.checkpoint)
    for name in ("last.ckpt", "best.ckpt"):
        assert same(weights(straight / "checkpoints" / name), weights(broken / "checkpoints" / name))
    assert untimed(straight / "metrics.csv") == untimed(broken / "metrics.csv")
    assert load_artifact(straight / "artifact").encoder_id == load_artifact(broken / "artifact").encoder_id


def test_resuming_after_a_kill_starts_at_the_last_whole_epoch(tiny, tmp_path: Path, monkeypatch) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    run(tiny(), straight, command="")

    def die(module: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        with_callback(patch, At(9, die))
        with pytest.raises(RuntimeError, match="power cut"):
            run(tiny(), broken, command="")
    last = broken / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 6
    run(tiny(), broken, command="", resume=last)
    assert same(weights(straight / "checkpoints" / "last.ckpt"), weights(last))


def test_a_broken_or_incomplete_checkpoint_is_refused_before_training(tiny, folder: Path) -> None:
    run(tiny(trainer={"epochs": 1}), folder, command="")
    last, best = (folder / "checkpoints" / name for name in ("last.ckpt", "best.ckpt"))
    best.unlink()
    with pytest.raises(ConfigError, match=r"best.ckpt is missing; keep both"):
        run(tiny(), folder, command="", resume=last)
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"last.ckpt cannot be read as a checkpoint"):
        run(tiny(), folder, command="", resume=last)


def test_a_loss_that_is_not_finite_names_step_and_samples(tiny, folder: Path, monkeypatch) -> None:
    def spoil(module: Any) -> None:
        with torch.no_grad():
            module.classifier.weight[0, 0] = float("nan")

    with_callback(monkeypatch, At(7, spoil))
    experiment = tiny()
    with pytest.raises(
        NonFiniteLossError, match=r"became nan at step 8 \(epoch 2\); lower optimizer.lr.*32 samples: "
    ) as e:
        run(experiment, folder, command="")
    named = str(e.value).partition("samples: ")[2].split(", ")
    assert set(named) <= set(experiment.split.train)
    assert len(named) == 32
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 6


def test_global_generators_of_a_step_follow_from_seed_and_position(tiny, folder: Path, monkeypatch) -> None:
    drawn: list[float] = []
    with_callback(monkeypatch, At(2, lambda module: torch.manual_seed(99)))  # disturbed before StepSeeds

    experiment = tiny(trainer={"epochs": 1})
    forward = type(experiment.method.encoder.head.dropout).forward

    def record(self: Any, features: torch.Tensor) -> torch.Tensor:
        if self.training:
            drawn.append(float(torch.get_rng_state().sum()))
        return forward(self, features)

    monkeypatch.setattr(type(experiment.method.encoder.head.dropout), "forward", record)
    run(experiment, folder, command="")
    assert len(set(drawn)) == 6
    first = list(drawn)
    drawn.clear()
    other = folder.parent / "again"
    other.mkdir()
    run(tiny(trainer={"epochs": 1}), other, command="")
    assert drawn == first


def test_a_run_folder_is_not_overwritten(tiny, folder: Path) -> None:
    run(tiny(trainer={"epochs": 1}), folder, command="")
    with pytest.raises(ArtifactError, match="already holds an artifact"):
        run(tiny(trainer={"epochs": 1}), folder, command="")


def test_features_train_without_pictures(tiny, tmp_path: Path, folder: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    np.save(tmp_path / "features.npy", (rng.normal(size=(400, 8)) + 4 * np.eye(8)[labels]).astype(np.float32))
    np.save(tmp_path / "labels.npy", labels)
    files = {"features": str(tmp_path / "features.npy"), "labels": str(tmp_path / "labels.npy")}
    experiment = tiny(
        backbone={"_target_": "dqh.models.Identity"},
        data={"_target_": "dqh.data.Features", **files},
        trainer={"epochs": 25},
    )
    evaluation = run(experiment, folder, command="")
    assert evaluation.metrics["accuracy"] > 0.95
    assert evaluation.grid.rows == ()  # vectors have no pictures
