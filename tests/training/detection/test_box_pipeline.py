"""Whole trainings of a detector: files, resuming, what is refused, and what it learns."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh.detection.trained_detector import load_trained, open_trained, verify_trained
from dqh.detection.trained_manifest import read_trained_manifest
from dqh.errors import ConfigError, NonFiniteLossError
from dqh.training.checkpoints import Interrupted
from dqh.training.detection import box_fit, box_pipeline
from dqh.training.detection.box_experiment import assemble
from dqh.training.detection.box_pipeline import run
from dqh.training.preflight import preflight
from tests.training.detection.conftest import FROZEN
from tests.training.detection.shapes import shapes, shapes_config
from tests.training.test_loggers import written
from tests.training.test_pipeline import At

KINDS = {"whole": {}, "heads": {"optimizer": FROZEN}}
"""The whole network is trained over photos, or the heads over kept maps."""


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def untimed(path: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what a clock decides."""
    with path.open() as file:
        return [{k: v for k, v in row.items() if k not in {"seconds", "images_per_s"}} for row in csv.DictReader(file)]


@pytest.fixture(scope="module", params=list(KINDS))
def straight(request: pytest.FixtureRequest, small, one_thread, tmp_path_factory) -> tuple[str, Path, Any]:
    """A run from its beginning to its end, nobody writes into it: its kind, folder and evaluation."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, run(small(**KINDS[request.param]), folder, command="python train.py method=ssd")


@pytest.mark.slow
def test_a_run_leaves_all_its_files_and_the_artifact_gives_its_numbers_again(straight) -> None:
    _, folder, evaluation = straight
    assert {path.name for path in folder.iterdir()} == {
        *("artifact", "checkpoints", "environment.json", "metrics.csv", "metrics.json", "report.html", "split.json")
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["detection"] == evaluation.metrics["detection"]
    assert metrics["protocol"]["query"] == 6
    assert {row["name"] for row in metrics["detection"]["classes"]} == {"square", "disc"}
    rows = untimed(folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"train/loss", "train/classes", "train/boxes", "val/loss", "val/mAP", "val/AP", "val/AR"} <= set(rows[0])
    manifest = read_trained_manifest(folder / "artifact")
    assert manifest.around["metrics"]["detection"] == metrics["detection"]
    assert manifest.spec.classes == ("square", "disc")
    assert verify_trained(folder / "artifact").holds
    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert "python train.py method=ssd" in page
    assert "recall of 100 boxes at IoU 0.5" in evaluation.text()


def test_the_kept_weights_are_those_of_the_best_epoch_and_a_frozen_trunk_has_not_moved(straight, small) -> None:
    kind, folder, _ = straight
    own = load_trained(folder / "artifact").network.state_dict()
    best = weights(folder / "checkpoints" / "best.ckpt")
    assert all(torch.equal(value, best[f"network.{name}"]) for name, value in own.items())
    before = small(**KINDS[kind]).method.network.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, own[name])}
    assert any(name.startswith("trunk.") for name in moved) is (kind == "whole")
    assert any(name.startswith("head.") for name in moved)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "number"), [(0, signal.SIGINT), (2, signal.SIGTERM)])
def test_an_interrupted_and_resumed_run_equals_the_straight_one(
    straight, small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals
) -> None:
    kind, whole, _ = straight
    real = box_fit._trainer
    with monkeypatch.context() as patch:
        stop = At(step, lambda module: os.kill(os.getpid(), number))
        patch.setattr(box_fit, "_trainer", lambda settings, told, **more: real(settings, [stop, *told], **more))
        with pytest.raises(Interrupted, match=f"stopped by {number.name}.*last.ckpt") as stopped:
            run(small(**KINDS[kind]), tmp_path, command="")
    assert not (tmp_path / "artifact").exists()
    assert torch.load(stopped.value.checkpoint, weights_only=True)["global_step"] == step + 1
    run(small(**KINDS[kind]), tmp_path, command="", resume=stopped.value.checkpoint)
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (weights(folder / "checkpoints" / name) for folder in (whole, tmp_path))
        assert all(torch.equal(value, other[key]) for key, value in one.items())
    assert untimed(whole / "metrics.csv") == untimed(tmp_path / "metrics.csv")
    one, other = (read_trained_manifest(folder / "artifact").detector_id for folder in (whole, tmp_path))
    assert one == other


@pytest.mark.slow
def test_without_room_the_maps_are_computed_in_every_step(small, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    run(small(optimizer=FROZEN, trainer={"memory_gb": 0.00001, "epochs": 1}), tmp_path, command="")
    assert "beyond trainer.memory_gb=1e-05: they are computed anew in every step" in caplog.text


@pytest.mark.slow
def test_other_boxes_are_other_data_to_a_run_that_goes_on(tmp_path: Path) -> None:
    root = shapes(tmp_path / "data")
    config = shapes_config(root)
    (tmp_path / "run").mkdir()
    run(assemble(config, drawn=preflight(config)), tmp_path / "run", command="")
    (tmp_path / "run" / "metrics.json").unlink()
    (root / "images" / "000.png").write_bytes((root / "images" / "001.png").read_bytes())
    with pytest.raises(ConfigError, match="resume: the data have changed since the run began: content"):
        run(
            assemble(config, drawn=preflight(config)),
            tmp_path / "run",
            command="",
            resume=tmp_path / "run" / "checkpoints" / "last.ckpt",
        )


@pytest.mark.slow
def test_boxes_that_have_moved_are_other_data_to_a_run_that_goes_on(tmp_path: Path) -> None:
    """Labels and photos stay, so that the split knows nothing of it; with the artifact, and before it is written."""
    root = shapes(tmp_path / "data")
    config, folder = shapes_config(root), tmp_path / "run"
    folder.mkdir()
    last = folder / "checkpoints" / "last.ckpt"
    run(assemble(config, drawn=preflight(config)), folder, command="")
    (folder / "metrics.json").unlink()
    content = json.loads((root / "annotations.json").read_text())
    content["images"][0]["boxes"][0][1] += 1
    (root / "annotations.json").write_text(json.dumps(content))
    for _ in range(2):
        with pytest.raises(ConfigError, match="resume: boxes of data have changed since the run began; restore them"):
            run(assemble(config, drawn=preflight(config)), folder, command="", resume=last)
        shutil.rmtree(folder / "artifact", ignore_errors=True)


@pytest.mark.slow
def test_maps_are_kept_of_the_weights_of_the_run_that_goes_on(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of weights has others by now."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    part.mkdir()
    run(small(optimizer=FROZEN), whole, command="")
    real = box_fit._trainer
    with monkeypatch.context() as patch:
        stop = At(1, lambda module: os.kill(os.getpid(), signal.SIGTERM))
        patch.setattr(box_fit, "_trainer", lambda settings, told, **more: real(settings, [stop, *told], **more))
        with pytest.raises(Interrupted) as stopped:
            run(small(optimizer=FROZEN), part, command="")
    other = small(optimizer=FROZEN)
    with torch.no_grad():
        for weight in other.method.trunk.parameters():
            weight.add_(0.5)
    run(other, part, command="", resume=stopped.value.checkpoint)
    one, two = (weights(folder / "checkpoints" / "last.ckpt") for folder in (whole, part))
    assert all(torch.equal(value, two[key]) for key, value in one.items())


@pytest.mark.slow
def test_loggers_have_the_rows_and_the_results(small, tmp_path: Path) -> None:
    evaluation = run(small(trainer={"loggers": ["tensorboard"]}), tmp_path, command="")
    scalars = written(tmp_path / "tensorboard")
    rows = untimed(tmp_path / "metrics.csv")
    expected = [(int(row["step"]), pytest.approx(float(row["train/boxes"]), rel=1e-6)) for row in rows]  # float32
    assert scalars["train/boxes"] == expected
    ((step, value),) = scalars["final/boxes/AP@.5"]
    assert (step, value) == (int(rows[-1]["step"]), pytest.approx(evaluation.result.ap50, rel=1e-6))
    settings = (tmp_path / "tensorboard" / "hparams.yaml").read_text()
    for line in ("method: ssd", "backbone: small_resnet", "size: 48", "width: 16", "trainer.epochs: 2"):
        assert line in settings


def test_a_loss_that_is_not_finite_names_step_and_samples(small, tmp_path: Path, monkeypatch) -> None:
    def spoil(module: Any) -> None:
        with torch.no_grad():
            next(module.network.head.parameters())[0, 0] = float("nan")

    real = box_fit._trainer
    spoiling = At(1, spoil)
    monkeypatch.setattr(box_fit, "_trainer", lambda settings, told, **more: real(settings, [spoiling, *told], **more))
    with pytest.raises(NonFiniteLossError, match=r"the loss became nan at step 2 \(epoch 1\).*images/0"):
        run(small(), tmp_path, command="")


LEARNING = {
    "ssd": {"_target_": "dqh.methods.ssd.SSD", "maps": 1, "width": 32, "extras": 1, "freeze_norms": False},
    "faster_rcnn": {
        "_target_": "dqh.methods.faster_rcnn.FasterRCNN",
        "maps": 1,
        "width": 32,
        "hidden": 64,
        "freeze_norms": False,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(LEARNING))
def test_it_learns_to_find_drawn_shapes(name: str, tmp_path: Path) -> None:
    """64 photos to learn from, and others to be asked about: nine of ten shapes are found, and named rightly."""
    root = shapes(tmp_path / "data", train=64, query=24)
    config = shapes_config(root)
    config["method"] = LEARNING[name]
    config["backbone"] |= {"width": 12}
    config["trainer"] |= {"epochs": 20, "batch_size": 8}
    config["split"] |= {"validation": 8}
    (tmp_path / "run").mkdir()
    evaluation = run(assemble(config, drawn=preflight(config)), tmp_path / "run", command="")
    assert evaluation.metrics["proposals"]["recall"] >= 0.9
    if name == "faster_rcnn":
        assert evaluation.metrics["first_stage"]["recall"] >= 0.9
    assert evaluation.result.ap50 >= 0.8
    source = assemble(config, drawn=preflight(config)).source
    detector = open_trained(tmp_path / "run" / "artifact")
    row = int(source.roles["query"][0])
    detections = detector.detect([np.asarray(source.read(row))])
    assert detections.valid.sum() >= 1
    assert set(detections.classes[detections.valid].tolist()) <= {0, 1}


@pytest.mark.slow
def test_photos_that_are_gone_behind_the_maps_of_a_training_cost_it_nothing(tmp_path: Path) -> None:
    """Maps are kept, and so are the golden inputs."""
    root = shapes(tmp_path / "data")
    config, folder = shapes_config(root), tmp_path / "run"
    config["optimizer"] |= FROZEN
    config["data"] |= {"max_bad_fraction": 0.5}
    folder.mkdir()
    experiment = assemble(config, drawn=preflight(config))

    def vanish() -> None:
        for row in experiment.split.rows(experiment.source).train:
            (root / str(experiment.source.ids[row])).unlink()

    with pytest.MonkeyPatch.context() as patch:
        plain = box_pipeline._batches
        patch.setattr(box_pipeline, "_batches", lambda *given: (plain(*given), vanish())[0])
        run(experiment, folder, command="")
    assert verify_trained(folder / "artifact").holds
