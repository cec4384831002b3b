"""train.py and evaluate.py for a detector, as commands: folder, numbers, resuming and messages as for codes."""

import json
from pathlib import Path

import pytest

from tests.conftest import Script
from tests.training.detection.shapes import shapes

QUICK = (
    *(
        "method=ssd",
        "data=json_boxes",
        "data.root=data",
        "data.train=null",
        "backbone=small_resnet",
        "backbone.size=48",
    ),
    *("method.maps=1", "method.width=8", "method.extras=1", "method.freeze_norms=false", "split.validation=4"),
    *("optimizer.lr_multipliers.network.trunk=1", "trainer.epochs=1", "trainer.batch_size=4"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return shapes(tmp_path / "data")


@pytest.mark.slow
def test_train_then_evaluate_gives_the_same_numbers(script: Script, root: Path, tmp_path: Path) -> None:
    trained = script("train.py", *QUICK)
    assert trained.status == 0, trained.err
    folder = (tmp_path / "runs" / "latest").resolve()
    assert folder.name.endswith("_ssd_data")
    assert "epoch 1/1" in trained.err
    assert "AP@[.5:.95]" in trained.out
    assert trained.out.splitlines()[-1].split() == [
        "artifact",
        str(Path("runs") / folder.relative_to(tmp_path / "runs") / "artifact"),
    ]
    evaluated = script("evaluate.py", "data=json_boxes", "data.root=data", "data.train=null")
    assert evaluated.status == 0, evaluated.err
    (other,) = (path for path in folder.parent.iterdir() if "_evaluate_ssd_data" in path.name)
    before, after = (json.loads((each / "metrics.json").read_text()) for each in (folder, other))
    for metrics in (before, after):
        metrics.pop("environment")
        assert metrics.pop("photo_ms") > 0
    assert before == after
    again = script("train.py", *QUICK, f"resume={folder / 'checkpoints' / 'last.ckpt'}")
    assert again.status == 2
    assert "resume: this run is complete, its numbers are in" in again.err


@pytest.mark.parametrize(
    ("script_name", "arguments", "message"),
    [
        ("train.py", [*QUICK, "bits=16"], "bits: got 16, wanted null"),
        (
            "train.py",
            [*QUICK, "method.iuo=0.7"],
            "method.iuo: no such key of dqh.methods.ssd.SSD; did you mean method.iou?",
        ),
        ("train.py", ["method=ssd"], "digits has no boxes, which a detector learns from"),
        ("evaluate.py", ["artifact=nowhere", "data=json_boxes", "data.root=data"], "no artifact at nowhere"),
    ],
)
def test_mistakes_are_told(script: Script, root: Path, script_name: str, arguments: list[str], message: str) -> None:
    result = script(script_name, *arguments)
    assert result.status != 0
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_what_an_evaluation_of_a_detector_has_no_use_for_is_refused(script: Script, root: Path, tmp_path: Path) -> None:
    assert script("train.py", *QUICK).status == 0
    asked = script("evaluate.py", "data=json_boxes", "data.root=data", "bits=8", "search.pool=3", "split.validation=2")
    assert asked.status == 2
    for text in (
        "bits=8: a detector has no bits to choose",
        "search.pool=3: a detector",
        "split.validation=2: a detector",
    ):
        assert text in asked.err
    shapes(tmp_path / "other", seed=5)
    other = script("evaluate.py", "data=json_boxes", "data.root=other", "data.train=null")
    assert other.status == 2
    assert "is not what the detector was trained on; these differ: " in other.err
    meant = script("evaluate.py", "data=json_boxes", "data.root=other", "data.train=null", "other_data=true")
    assert meant.status == 0, meant.err


@pytest.mark.slow
def test_a_sweep_sums_detectors_up_and_goes_on(script: Script, root: Path, tmp_path: Path) -> None:
    swept = script("train.py", "--multirun", "seed=0,1", "method.iou=0.5,0.6", *QUICK)
    assert swept.status == 0, swept.err
    (folder,) = (path for path in (tmp_path / "runs" / "sweeps").iterdir() if path.is_dir())
    assert folder.name.startswith("ssd_json_boxes_")
    cells = {f"seed={seed},method.iou={iou}" for seed in (0, 1) for iou in ("0.5", "0.6")}
    assert {path.name for path in folder.iterdir() if path.is_dir()} == cells
    assert {path.name for path in folder.iterdir() if path.is_file()} >= {"sweep.csv", "sweep.html", "sweep.svg"}
    head = next(line for line in swept.out.splitlines() if "AP@.5" in line)
    assert head.split() == ["method.iou", "seeds", "AP@.5", "AP@[.5:.95]", "AR@100", "recall", "minutes"]
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*/metrics.json")}
    assert len(before) == 4
    again = script("train.py", "--multirun", "seed=0,1", "method.iou=0.5,0.6", *QUICK)
    assert again.status == 0
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*/metrics.json")} == before
    assert again.out == swept.out
