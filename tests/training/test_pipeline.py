"""A whole run: what it leaves, that it resumes exactly, that signals and bad losses end it in order."""

import csv
import errno
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from dqh.artifact import load_artifact, read_manifest, verify_golden
from dqh.data import Digits
from dqh.errors import (
    ArtifactError,
    BadImageError,
    ConfigError,
    DataError,
    DqhError,
    NonFiniteLossError,
    TooManyBadImagesError,
)
from dqh.evaluation import evaluate_artifact, read_references, torch_device, torch_threads
from dqh.methods.dlbhc import DLBHC
from dqh.models import Identity, SmallResNet
from dqh.training import Experiment, Fit, Interrupted, Optimizer, pipeline, run
from dqh.training import checkpoints as checkpointing
from dqh.training import fit as fitting
from dqh.training import pipeline as running


class At(pl.Callback):
    """Does something at a step, before the callbacks of the run."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            self.action(pl_module)


class AfterStep(At):
    """Does something after a number of steps, behind the check of their losses."""

    def on_train_batch_start(self, *arguments: Any) -> None:
        pass

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.global_step == self.step:
            self.action(pl_module)


def with_callback(monkeypatch: pytest.MonkeyPatch, callback: pl.Callback) -> None:
    """Put a callback before those of every following training."""
    real = fitting._trainer

    def trainer(settings: Any, callbacks: list[Any], **more: Any) -> pl.Trainer:
        return real(settings, [callback, *callbacks], **more)

    monkeypatch.setattr(fitting, "_trainer", trainer)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def untimed(path: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what a clock decides."""
    with path.open() as file:
        return [{k: v for k, v in row.items() if k not in {"seconds", "images_per_s"}} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def straight(tiny, one_thread, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run from its beginning to its end, to compare with; nobody writes into it."""
    folder = tmp_path_factory.mktemp("straight")
    run(tiny(), folder, command="")
    return folder


@pytest.fixture(scope="module")
def straight_without_h(tiny, one_thread, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a network without H; nobody writes into it."""
    folder = tmp_path_factory.mktemp("straight")
    run(tiny(without_h=WITHOUT_H), folder, command="")
    return folder


@pytest.mark.slow
def test_a_run_leaves_all_its_files_and_the_artifact_gives_its_numbers_again(tiny, folder: Path) -> None:
    experiment: Experiment = tiny()
    evaluation = run(experiment, folder, command="python train.py")
    assert {path.name for path in folder.iterdir()} == {
        "artifact",
        "checkpoints",
        "environment.json",
        "metrics.csv",
        "metrics.json",
        "queries.npz",
        "report.html",
        "split.json",
        "untrained",
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [row["search"] for row in metrics["rows"]] == [
        *("binary", "exhaustive", "coarse_to_fine", "class_index", "untrained", "untrained_h")
    ]
    assert list(metrics["missing"]) == ["without_h"]
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
        references=read_references(folder),
    )
    timed = {"query_ms", "qps"}
    for before, after in zip(metrics["rows"], again.metrics["rows"], strict=True):
        assert {k: v for k, v in before.items() if k not in timed} == {k: v for k, v in after.items() if k not in timed}
    for key in ("protocol", "accuracy", "curves", "training", "intervals", "conventions", "health"):
        assert again.metrics[key] == metrics[key]


WITHOUT_H = {"_target_": "dqh.methods.softmax.Softmax", "dropout": 0.2}


@pytest.mark.slow
def test_the_same_network_without_h_starts_as_the_method_did(tiny, folder: Path) -> None:
    """Its row has its own accuracy; `untrained/` holds the backbone that both started from."""
    experiment = tiny(without_h=WITHOUT_H)
    before = {name: value.clone() for name, value in experiment.method.encoder.backbone.state_dict().items()}
    assert same(before, experiment.without_h.encoder.backbone.state_dict())
    evaluation = run(experiment, folder, command="")
    assert same(before, load_artifact(folder / "untrained").encoder.backbone.state_dict())
    assert evaluation.metrics["missing"] == {}
    (row,) = (row for row in evaluation.metrics["rows"] if row["search"] == "without_h")
    without = load_artifact(folder / "without_h" / "artifact")
    assert without.method == "softmax"
    with (folder / "without_h" / "metrics.csv").open() as file:
        epochs = list(csv.DictReader(file))
    assert len(epochs) == 3
    assert 0 < row["accuracy"] <= 1
    assert not same(before, without.encoder.backbone.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 8, 17])
def test_a_signal_while_training_without_h_continues_there(
    tiny, straight_without_h: Path, folder: Path, monkeypatch, step: int
) -> None:
    """The checkpoint to resume from is that of the run; what is trained already is not trained again."""

    def signal_in_second_training(module: Any) -> None:
        if module.method == "softmax":
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        with_callback(patched, At(step, signal_in_second_training))
        with pytest.raises(Interrupted) as caught:
            run(tiny(without_h=WITHOUT_H), folder, command="")
    last = folder / "checkpoints" / "last.ckpt"
    assert (caught.value.checkpoint, caught.value.exit_status) == (last, 143)
    written = (folder / "artifact" / "artifact.json").stat().st_mtime_ns
    run(tiny(without_h=WITHOUT_H), folder, command="", resume=last)
    found = [
        load_artifact(each / "without_h" / "artifact").encoder.state_dict() for each in (straight_without_h, folder)
    ]
    assert same(*found)
    assert (folder / "artifact" / "encoder.safetensors").stat().st_mtime_ns < written


@pytest.mark.slow
def test_a_run_goes_on_without_the_network_whose_training_fails(tiny, folder: Path, monkeypatch) -> None:
    """Resumed with `without_h=none` it evaluates what it has, and names the command that it began with."""

    def ruin(module: Any) -> None:
        if module.method == "softmax":
            with torch.no_grad():
                module.encoder.head.linear.weight.fill_(torch.nan)

    with monkeypatch.context() as patched:
        with_callback(patched, At(3, ruin))
        with pytest.raises(NonFiniteLossError):
            run(tiny(without_h=WITHOUT_H), folder, command="python train.py one")
    evaluation = run(tiny(), folder, command="python train.py two", resume=folder / "checkpoints" / "last.ckpt")
    assert list(evaluation.metrics["missing"]) == ["without_h"]
    assert json.loads((folder / "metrics.json").read_text())["environment"]["command"] == "python train.py one"


@pytest.mark.slow
def test_the_network_without_h_is_left_out_of_a_long_run(
    tiny, folder: Path, tmp_path: Path, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the time that the artifact keeps, whatever is left to do; the reason stays with the artifact."""
    caplog.set_level("INFO")
    limited = [replace(tiny(without_h=WITHOUT_H), without_h_minutes=minutes) for minutes in (0, 0, 60)]
    with monkeypatch.context() as patch:
        patch.setattr(running, "left_out", lambda training: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(limited[0], folder, command="")
    last = folder / "checkpoints" / "last.ckpt"
    evaluation = run(limited[1], folder, command="", resume=last)
    assert not (folder / "without_h").exists()
    reason = evaluation.metrics["missing"]["without_h"]
    assert re.fullmatch(
        r"the training of this one took \S+ minutes, over the 0 of without_h_minutes; train.py without_h=softmax "
        "trains that network however long it takes",
        reason,
    )
    assert f"no training without H: {reason}" in caplog.messages
    assert f"without_h was not made: {reason}" in evaluation.text()
    assert json.loads((folder / "metrics.json").read_text())["missing"]["without_h"] == reason
    assert reason in (folder / "report.html").read_text()
    again = evaluate_artifact(
        load_artifact(folder / "artifact"),
        Digits(),
        device=torch_device("cpu"),
        skipped_file=folder / "skipped.csv",
        references=read_references(folder),
    )
    assert again.metrics["missing"]["without_h"] == reason
    (tmp_path / "short").mkdir()
    assert run(limited[2], tmp_path / "short", command="").metrics["missing"] == {}


@pytest.mark.slow
def test_the_untrained_network_can_be_evaluated_itself(tiny, folder: Path) -> None:
    evaluation = run(tiny(trainer={"epochs": 1}), folder, command="")
    untrained = load_artifact(folder / "untrained")
    found = evaluate_artifact(untrained, Digits(), device=torch_device("cpu"), skipped_file=folder / "skipped.csv")
    (row,) = (row for row in evaluation.metrics["rows"] if row["search"] == "untrained")
    assert found.metrics["rows"][1]["mAP@all"] == row["mAP@all"]


@pytest.mark.slow
def test_networks_are_initialised_with_training_images(tiny, folder: Path) -> None:
    """Both take the same whitening from them, before the untrained network is kept."""
    backbone = {"_target_": "dqh.models.WhitenedConvNet", "widths": (24, 24, 24), "size": 16}
    experiment = tiny(backbone=backbone, without_h=WITHOUT_H, trainer={"epochs": 1})
    run(experiment, folder, command="")
    filters = [
        load_artifact(folder / name).encoder.backbone.whiten.weight
        for name in ("untrained", "artifact", "without_h/artifact")
    ]
    assert torch.equal(filters[0], filters[1])
    assert torch.equal(filters[0], filters[2])
    assert torch.equal(filters[0][12:], -filters[0][:12])


@pytest.mark.slow
def test_the_best_epoch_of_the_validation_images_is_kept(straight: Path) -> None:
    rows = untimed(straight / "metrics.csv")
    best = max(rows, key=lambda row: float(row["val/mAP"]))
    assert json.loads((straight / "metrics.json").read_text())["training"]["best_epoch"] == int(best["epoch"])
    kept = weights(straight / "checkpoints" / "best.ckpt")
    encoder = load_artifact(straight / "artifact").encoder.state_dict()
    assert all(torch.equal(kept[f"encoder.{name}"], value) for name, value in encoder.items())


@pytest.mark.slow
def test_without_validation_images_the_last_epoch_is_kept(tiny, folder: Path) -> None:
    evaluation = run(tiny(split={"validation": None}), folder, command="")
    assert evaluation.metrics["training"]["best_epoch"] == 3
    assert "no validation" in evaluation.metrics["training"]["chosen_by"]


@pytest.mark.slow
def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(tiny, straight: Path, tmp_path: Path) -> None:
    for name in ("again", "other"):
        (tmp_path / name).mkdir()
    run(tiny(), tmp_path / "again", command="")
    last = [weights(each / "checkpoints" / "last.ckpt") for each in (straight, tmp_path / "again")]
    assert same(*last)
    assert untimed(straight / "metrics.csv") == untimed(tmp_path / "again" / "metrics.csv")
    experiment = tiny()
    object.__setattr__(experiment, "seed", 4)
    run(experiment, tmp_path / "other", command="")
    assert not same(last[0], weights(tmp_path / "other" / "checkpoints" / "last.ckpt"))


# 200 training images make 6 steps an epoch: step 8 is inside the second epoch, 11 its last step, 17 the very last one
@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 8, 11, 17])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_and_resumed_run_equals_the_straight_one(
    tiny, straight: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals
) -> None:
    with monkeypatch.context() as patch:
        with_callback(patch, At(step, lambda module: os.kill(os.getpid(), number)))
        with pytest.raises(Interrupted, match=f"stopped by {number.name}.*last.ckpt") as stopped:
            run(tiny(), folder, command="")
    assert stopped.value.exit_status == 128 + number
    assert not (folder / "artifact").exists()
    steps = torch.load(stopped.value.checkpoint, weights_only=True)["global_step"]
    assert steps == step + 1
    run(tiny(), folder, command="", resume=stopped.value.checkpoint)
    for name in ("last.ckpt", "best.ckpt"):
        assert same(weights(straight / "checkpoints" / name), weights(folder / "checkpoints" / name))
    assert untimed(straight / "metrics.csv") == untimed(folder / "metrics.csv")
    assert load_artifact(straight / "artifact").encoder_id == load_artifact(folder / "artifact").encoder_id


DQN_NODE: dict[str, Any] = {"_target_": "dqh.methods.dqn.DQN", "bits": 8, "codewords": 4, "dimension": 8}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"trainer": {"head_steps": 5}}, id="steps of the head"),
        pytest.param({"method": DQN_NODE}, id="codebooks"),
        pytest.param({"method": DQN_NODE, "trainer": {"head_steps": 5}}, id="codebooks and steps of the head"),
    ],
)
def test_what_comes_before_the_training_changes_nothing_of_how_it_goes_on(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Stopped in the second epoch and resumed, and killed before the first step and begun again."""
    folders = [tmp_path / name for name in ("straight", "resumed", "again")]
    for folder in folders:
        folder.mkdir()
    run(tiny(**changes), folders[0], command="")
    with monkeypatch.context() as patch:
        with_callback(patch, At(8, lambda module: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(Interrupted) as stopped:
            run(tiny(**changes), folders[1], command="")
    run(tiny(**changes), folders[1], command="", resume=stopped.value.checkpoint)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_train", lambda *arguments, **more: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run(tiny(**changes), folders[2], command="")
    run(tiny(**changes), folders[2], command="")
    assert len({load_artifact(folder / "artifact").encoder_id for folder in folders}) == 1


class AtTeardown(pl.Callback):
    """A signal when the training is over and its callbacks have been told."""

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_signal_behind_the_last_step_stops_the_run_too(tiny, straight: Path, folder: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        with_callback(patch, AtTeardown())
        with pytest.raises(Interrupted, match=r"stopped by SIGTERM.*last.ckpt") as stopped:
            run(tiny(), folder, command="")
    assert not (folder / "artifact").exists()
    run(tiny(), folder, command="", resume=stopped.value.checkpoint)
    assert same(weights(straight / "checkpoints" / "last.ckpt"), weights(folder / "checkpoints" / "last.ckpt"))


@pytest.mark.slow
def test_resuming_after_a_kill_starts_at_the_last_whole_epoch(tiny, straight: Path, folder: Path, monkeypatch) -> None:
    def die(module: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        with_callback(patch, At(9, die))
        with pytest.raises(RuntimeError, match="power cut"):
            run(tiny(), folder, command="")
    last = folder / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 6
    run(tiny(), folder, command="", resume=last)
    assert same(weights(straight / "checkpoints" / "last.ckpt"), weights(last))


@pytest.mark.slow
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


@pytest.mark.slow
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


class Gradients(pl.Callback):
    """Norms of the gradient as the optimizer gets it."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.fused = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        def note(optimizer: torch.optim.Optimizer, arguments: Any, more: Any) -> None:
            gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
            self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))

        self.fused = trainer.optimizers[0].defaults["fused"]
        trainer.optimizers[0].register_step_post_hook(note)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "slow"), [("32-true", 0), ("bf16-mixed", 1)])
def test_gradients_are_clipped_and_the_optimizer_stays_fused(
    tiny, folder: Path, monkeypatch, caplog, precision: str, slow: int
) -> None:
    """Without the limit all norms of this training are above .1. A CPU without bf16 is told of."""
    seen = Gradients()
    with_callback(monkeypatch, seen)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    run(tiny(trainer={"epochs": 1, "precision": precision, "gradient_clip": 0.1}), folder, command="")
    assert seen.norms == pytest.approx([0.1] * 6, rel=1e-3)
    assert seen.fused
    assert caplog.text.count("this CPU has no instructions for bf16-mixed") == slow


@pytest.mark.slow
def test_a_run_folder_is_not_overwritten(tiny, folder: Path) -> None:
    run(tiny(trainer={"epochs": 1}), folder, command="")
    with pytest.raises(ArtifactError, match="already holds an artifact"):
        run(tiny(trainer={"epochs": 1}), folder, command="")


@pytest.mark.slow
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


def test_a_vector_that_would_decide_the_training_is_named(tiny, tmp_path: Path, folder: Path) -> None:
    """One of 65,504 among float16 embeddings, in the training rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    vectors = (rng.normal(size=(400, 8)) + 4 * np.eye(8)[labels]).astype(np.float16)
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "features.npy", vectors)
    files = {"features": str(tmp_path / "features.npy"), "labels": str(tmp_path / "labels.npy")}
    whole = {"backbone": {"_target_": "dqh.models.Identity"}, "data": {"_target_": "dqh.data.Features", **files}}
    row = tiny(**whole).split.train[7]
    vectors[int(row)] = 65504
    np.save(tmp_path / "features.npy", vectors)
    with pytest.raises(DataError, match=rf"1 of 200 training vectors are over 100 times .*: {row}; remove them, or"):
        run(tiny(**whole), folder, command="")


@pytest.mark.slow
def test_bad_images_met_on_the_way_are_left_out_and_resuming_stays_exact(tiny, tmp_path: Path, monkeypatch) -> None:
    """Decoded again and again (memory_gb=0): one batch in the first epoch is wholly bad, and the run is stopped."""
    first = tiny().split.train[:20]
    real = Digits.read_many

    def read_many(self: Digits, rows: Any) -> Any:
        raise NotImplementedError

    def read(self: Digits, row: int) -> Any:
        if str(self.ids[row]) in first:
            raise BadImageError("scratched")
        return Image.fromarray(real(self, np.array([row]))[0].transpose(1, 2, 0))

    monkeypatch.setattr(Digits, "bulk_size", None)
    monkeypatch.setattr(Digits, "read_many", read_many)
    monkeypatch.setattr(Digits, "read", read)
    monkeypatch.setattr(Digits, "max_bad_fraction", 0.2)
    settings = {"memory_gb": 0, "batch_size": 2, "epochs": 2}
    folders = [tmp_path / name for name in ("straight", "broken")]
    for folder in folders:
        folder.mkdir()
    run(tiny(trainer=settings), folders[0], command="")
    with monkeypatch.context() as patch:
        with_callback(patch, At(30, lambda module: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(Interrupted) as stopped:
            run(tiny(trainer=settings), folders[1], command="")
    evaluation = run(tiny(trainer=settings), folders[1], command="", resume=stopped.value.checkpoint)
    assert same(*(weights(folder / "checkpoints" / "last.ckpt") for folder in folders))
    assert evaluation.metrics["protocol"]["skipped"] == 20  # train images are in the database
    lines = (folders[1] / "skipped.csv").read_text().splitlines()
    assert lines[0] == "path,reason"
    assert {line.partition(",")[0] for line in lines[1:]} == set(first)
    assert "20 query or database images could not be used" in evaluation.text()


def test_too_many_bad_images_stop_the_run(tiny, folder: Path, monkeypatch) -> None:
    def read(self: Digits, row: int) -> Any:
        raise BadImageError("scratched")

    monkeypatch.setattr(Digits, "bulk_size", None)
    monkeypatch.setattr(Digits, "read", read)
    with pytest.raises(TooManyBadImagesError, match="340 of 340 images of digits cannot be used"):
        run(tiny(), folder, command="")
    assert len((folder / "skipped.csv").read_text().splitlines()) == 341


def test_a_network_that_breaks_in_the_last_step_of_an_epoch_is_named(tiny, folder: Path, monkeypatch) -> None:
    """The loss of that step was finite, its update was not: the validation meets it first."""
    with_callback(monkeypatch, AfterStep(6, lambda module: module.encoder.head.linear.weight.data.fill_(float("nan"))))
    with pytest.raises(NonFiniteLossError, match=r"not finite at step 6 \(epoch 1\).*40 images"):
        run(tiny(), folder, command="")


@pytest.mark.slow
def test_a_run_killed_before_its_evaluation_goes_on_with_it(tiny, folder: Path, monkeypatch) -> None:
    def die(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(running, "evaluate", die)
        with pytest.raises(RuntimeError, match="power cut"):
            run(tiny(), folder, command="")
    before = load_artifact(folder / "artifact").encoder_id
    run(tiny(), folder, command="", resume=folder / "checkpoints" / "last.ckpt")
    assert load_artifact(folder / "artifact").encoder_id == before
    assert (folder / "metrics.json").is_file()


def test_a_run_is_not_resumed_on_other_data(tiny, folder: Path, monkeypatch) -> None:
    with_callback(monkeypatch, At(8, lambda module: os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(Interrupted) as stopped:
        run(tiny(), folder, command="")
    with pytest.raises(ConfigError, match="data have changed since the run began: 200 train and 40 query"):
        run(tiny(split={"train": 239}), folder, command="", resume=stopped.value.checkpoint)


@pytest.mark.slow
def test_frozen_layers_keep_their_weights_and_statistics(tiny, folder: Path) -> None:
    experiment = tiny(optimizer={"lr_multipliers": {"encoder": {"backbone": 0}}}, trainer={"epochs": 1})
    before = {name: value.clone() for name, value in experiment.method.encoder.backbone.state_dict().items()}
    run(experiment, folder, command="")
    assert same(before, experiment.method.encoder.backbone.state_dict())


@pytest.mark.slow
def test_multi_labels_from_list_files_to_the_report(tiny, tmp_path: Path, folder: Path) -> None:
    """Colours as labels: an image may have red, green, both or none."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(160):
        red, green = number % 2, number // 2 % 2
        pixels = rng.integers(0, 60, (12, 12, 3)) + np.array([150 * red, 150 * green, 0])
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png {red} {green}\n")
    for name, part in (("query", lines[:40]), ("train", lines[40:])):
        (tmp_path / f"{name}.txt").write_text("".join(part))
    lists = {"root": str(tmp_path), "query": "query.txt", "train": "train.txt"}
    experiment = tiny(
        data={"_target_": "dqh.data.ImageList", **lists},
        split={"_target_": "dqh.data.Protocol", "protocol": "given", "validation": 30},
        backbone={"_target_": "dqh.models.SmallResNet", "width": 4, "size": 12},
        trainer={"epochs": 20},
    )
    evaluation = run(experiment, folder, command="")
    assert evaluation.metrics["accuracy"] is None
    assert evaluation.metrics["rows"][0]["mAP@all"] > 0.7  # a quarter of the queries has no label and counts 0
    assert {row.label for row in evaluation.grid.rows} <= {"", "0", "1", "0, 1"}
    assert evaluation.metrics["protocol"]["without_relevant"] == 10
    assert evaluation.metrics["limits"]["best"]["mAP@all"] == pytest.approx(0.75)
    assert "10 of 40 queries have no relevant item and count 0: a perfect ranking scores mAP@all 0.7500" in (
        " ".join(evaluation.text().split())
    )
    assert "at most 0.7500: 10 queries have no relevant item" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"validation": 1}}, "split.validation: got 1, wanted 0 or at least 2"),
        ({"trainer": {"precision": "16-mixed"}}, "precision: 16-mixed needs a CUDA device"),
        ({"trainer": {"workers": -1}}, "memory_gb and workers at least 0"),
        ({"trainer": {"memory_gb": float("nan")}}, "memory_gb and workers at least 0, got nan"),
        ({"trainer": {"gradient_clip": float("inf")}}, "gradient_clip above 0 or null, got inf"),
        ({"data": {"_target_": "os.getcwd"}}, "data: got a str, wanted a Source"),
        ({"split": {"query": 5000}}, "5000 images wanted, 1797 are left"),
    ],
)
def test_what_cannot_be_is_refused_before_images_are_read(tiny, changes: dict, message: str) -> None:
    with pytest.raises(DqhError, match=message):
        tiny(**changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_full_disk_at_a_checkpoint_is_the_error_of_the_system(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In the second epoch: torch makes a RuntimeError of it; the checkpoint before stays whole."""
    whole: dict[Path, bytes] = {}
    real = checkpointing.atomic_writer

    @contextmanager
    def writer(path: Path) -> Iterator[Any]:
        with real(path) as file:
            if path in whole and path.name == name:
                yield type("Full", (), {"write": full, "flush": lambda _: None})()
            else:
                yield file
        whole[path] = path.read_bytes()

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    monkeypatch.setattr(checkpointing, "atomic_writer", writer)
    with pytest.raises(OSError, match="No space left on device") as raised:
        run(tiny(), folder, command="")
    assert raised.value.errno == errno.ENOSPC
    assert {path: path.read_bytes() for path in (folder / "checkpoints").iterdir()} == whole
    assert len(whole) == 2


@pytest.mark.parametrize(("threads", "of_vectors", "of_images"), [(None, 1, None), (2, 2, 2)])
def test_vectors_train_on_one_thread_unless_it_is_said_on_how_many(
    threads: int | None, of_vectors: int, of_images: int | None
) -> None:
    backbones = (Identity(size=4), SmallResNet(width=4, size=8))
    modules = [DLBHC(backbone, 2, bits=4, optimizer=Optimizer()) for backbone in backbones]
    settings = Fit(threads=threads, device="cpu")
    assert [running._threads(settings, module) for module in modules] == [of_vectors, of_images]


@pytest.mark.slow
def test_the_artifact_keeps_the_threads_of_the_evaluation(tiny, folder: Path) -> None:
    """Those of the training of vectors are fewer."""
    np.save(folder / "labels.npy", np.arange(400) % 10)
    np.save(folder / "features.npy", np.random.default_rng(0).standard_normal((400, 8)))
    files = {name: str(folder / f"{name}.npy") for name in ("features", "labels")}
    data = {"_target_": "dqh.data.Features", **files}
    experiment = tiny(data=data, backbone={"_target_": "dqh.models.Identity"}, trainer={"epochs": 1})
    with torch_threads(2):
        training = run(experiment, folder, command="").metrics["training"]
    assert (training["threads"], training["device"]) == (2, "cpu, 1 thread")


def test_training_images_that_a_method_cannot_be_told_of_are_a_problem_of_the_method(tiny, folder: Path) -> None:
    experiment = tiny()

    def meet(rows: Any, labels: Any) -> None:
        raise ValueError("too many sets of labels")

    experiment.method.meet = meet
    with pytest.raises(ConfigError, match="method: dlbhc of 12 bits: too many sets of labels"):
        run(experiment, folder, command="")
