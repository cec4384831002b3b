from dataclasses import replace
from pathlib import Path
from typing import Any

from dqh.data import prepare
from dqh.training.plan import plan_line, untrained_images


def test_the_steps_are_told_with_their_numbers(tiny: Any, folder: Path) -> None:
    experiment = tiny(without_h={"_target_": "dqh.methods.softmax.Softmax", "dropout": 0.2}, trainer={"epochs": 3})
    spec = experiment.method.encoder.spec
    data = prepare(
        experiment.source, experiment.split, spec, allow_duplicates=True, skipped_file=folder / "skipped.csv"
    )
    roles = data.roles
    items = len(roles.query) + len(roles.database)
    assert plan_line(experiment, data) == (
        f"plan: train on {len(roles.train)} images for 3 epochs; train as long without H (without_h=none leaves it "
        f"out); encode {items:,} query and database images by both networks, and as many by the one before "
        "training; measure and write the report. The ETA behind an epoch is that of its training alone; the first "
        "epoch tells about how long all of it takes"
    )
    some = replace(experiment, retrieval=replace(experiment.retrieval, untrained_images=100), without_h=None)
    assert untrained_images(some, data) == 40 + 100
    assert f"encode {items:,} query and database images by the network, and 140 of them by the one before training" in (
        plan_line(some, data)
    )
    once = replace(experiment, settings=replace(experiment.settings, epochs=1, overfit=4))
    assert plan_line(once, data).startswith("plan: train on 4 images for 1 epoch; ")
    often = replace(experiment, settings=replace(experiment.settings, least_steps=100))
    assert f"train on {len(roles.train)} images for 3 epochs of 6 passes each; " in plan_line(often, data)
    alone = replace(experiment, settings=replace(experiment.settings, head_steps=1000))
    assert (
        f"{len(roles.train)} images for 3 epochs, and what stands behind the backbone for 1,000 steps before and "
        in (plan_line(alone, data))
    )
    limited = replace(experiment, without_h_minutes=3)
    assert "without H if that took at most 3 min (without_h=none leaves it out, without_h=softmax does not);" in (
        plan_line(limited, data)
    )
    assert plan_line(experiment, data, done=["artifact", "without_h"]).startswith("plan: encode ")
