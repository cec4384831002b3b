"""Settings of a training, and the facts that it reports."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dqh.training import Fit, run
from dqh.training.fit import Trained


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs at least 1, got 0"),
        ({"gradient_clip": 0.0}, "gradient_clip above 0 or null, got 0.0"),
        ({"overfit": 3}, "overfit at least 4 or null, got 3"),
        ({"overfit": 3, "workers": -1}, "workers at least 0, got 4.0 and -1; overfit at least 4"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fit(**values)


def test_facts_are_json() -> None:
    facts = Trained(
        epochs=1,
        best_epoch=1,
        chosen_by="val/mAP",
        best_score=0.5,
        seconds=1.0,
        wall_seconds=2.0,
        images_per_s=100.0,
        device="cpu, 1 threads",
        threads=1,
        precision="32-true",
        eval_batch_size=512,
        parameters=10,
        overfit=None,
        history=[{"epoch": 1, "val/mAP": None}],
    )
    assert Trained(**json.loads(json.dumps(facts.to_json()))) == facts


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


def test_a_profiled_training_is_the_same_training(tiny: Any, tmp_path: Path) -> None:
    states = []
    for profiled in (False, True):
        folder = tmp_path / str(profiled)
        folder.mkdir()
        run(tiny(trainer={"epochs": 2, "profile": profiled}), folder, command="")
        states.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
