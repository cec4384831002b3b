"""Methods in closed form in a whole run: facts, rows, a second start, and settings that mean nothing to them."""

import json
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh.data import prepare
from dqh.errors import ArtifactError, ConfigError
from dqh.training import Experiment, Interrupted, assemble, closed_form, run
from dqh.training.closed_form import fit_closed_form
from dqh.training.plan import plan_line
from tests.training.conftest import tiny_config
from tests.training.test_pipeline import At, with_callback

ITQ: dict[str, Any] = {"_target_": "dqh.methods.shallow.Shallow", "name": "itq", "bits": 8}
SOFTMAX = {"_target_": "dqh.methods.softmax.Softmax"}


def of_vectors(tiny: Any, folder: Path, *, far: Sequence[int] = (), **changes: Any) -> Experiment:
    """ITQ of 600 vectors of ten classes; `far` from all others some of them."""
    draws = np.random.default_rng(0)
    labels = np.arange(600) % 10
    vectors = draws.standard_normal((10, 12))[labels] + draws.standard_normal((600, 12))
    vectors[list(far)] *= 1e4
    np.save(folder / "features.npy", vectors)
    np.save(folder / "labels.npy", labels)
    data = {
        "_target_": "dqh.data.Features",
        "features": str(folder / "features.npy"),
        "labels": str(folder / "labels.npy"),
    }
    backbone = {"_target_": "dqh.models.Identity"}
    return tiny(**({"method": ITQ, "data": data, "backbone": backbone} | changes))


@pytest.mark.slow
def test_a_run_says_what_was_done_and_gives_the_row_of_its_name(tiny: Any, folder: Path) -> None:
    experiment = replace(of_vectors(tiny, folder, search={"baselines": ["itq"]}), seed=0)  # that of the rows
    evaluation = run(experiment, folder, command="python train.py method=itq")
    training = json.loads((folder / "metrics.json").read_text())["training"]
    wanted = {"epochs": 0, "best_epoch": 0, "chosen_by": "closed form", "best_score": None, "overfit": None}
    assert {name: training[name] for name in wanted} == wanted
    assert 0 <= training["seconds"] <= training["wall_seconds"]
    rows = {row["search"]: row for row in evaluation.metrics["rows"]}
    assert not (folder / "checkpoints").exists()
    assert rows["binary"]["mAP@all"] == rows["itq"]["mAP@all"]
    assert evaluation.history == []


@pytest.mark.slow
def test_a_cell_that_was_stopped_in_its_evaluation_goes_on_without_a_checkpoint(tiny: Any, folder: Path) -> None:
    run(of_vectors(tiny, folder), folder, command="before")
    (folder / "metrics.json").unlink()
    before = (folder / "artifact" / "encoder.safetensors").stat().st_mtime_ns
    with pytest.raises(ArtifactError, match="already holds an artifact"):
        run(of_vectors(tiny, folder), folder, command="another run")
    run(of_vectors(tiny, folder), folder, command="after", again=True)
    assert (folder / "metrics.json").is_file()
    assert (folder / "artifact" / "encoder.safetensors").stat().st_mtime_ns == before


def test_a_length_that_cannot_be_fitted_is_named(tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten vectors have nine principal components: enough for the main length of 8 bits."""
    monkeypatch.setattr(closed_form, "MOST_IMAGES", 10)
    experiment = of_vectors(tiny, folder, method=ITQ | {"lengths": [8, 12]})
    with pytest.raises(ConfigError, match=r"method: itq of 12 bits: .* got 12 for N = 10"):
        run(experiment, folder, command="python train.py method=itq")


def test_fewer_usable_images_than_bits_are_refused_before_they_are_encoded(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many principal components may be had as there are images but one."""
    experiment = of_vectors(tiny, folder)
    spec = experiment.method.encoder.spec
    data = prepare(
        experiment.source, experiment.split, spec, allow_duplicates=True, skipped_file=folder / "skipped.csv"
    )
    monkeypatch.delattr(closed_form, "encode")
    for usable, told in ((8, "at most 7 bits, such as bits=4,"), (2, "at most 1 bit, such as bits=1,"), (1, "method=")):
        few = replace(data, roles=data.roles._replace(train=data.roles.train[:usable]))
        with pytest.raises(ConfigError, match=rf"itq needs at least 9 .*, {usable} can be used; choose {told}"):
            fit_closed_form(experiment.method, few, experiment.settings, seed=0)


@pytest.mark.slow
def test_a_network_without_h_that_was_stopped_goes_on(tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its own checkpoint: there is no other."""
    with monkeypatch.context() as patched:
        with_callback(patched, At(8, lambda module: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(Interrupted) as caught:
            run(of_vectors(tiny, folder, without_h=SOFTMAX), folder, command="")
    assert caught.value.checkpoint == folder / "without_h" / "checkpoints" / "last.ckpt"
    assert torch.load(caught.value.checkpoint, weights_only=True)["global_step"] == 9
    evaluation = run(of_vectors(tiny, folder, without_h=SOFTMAX), folder, command="", resume=caught.value.checkpoint)
    assert "without_h" in {row["search"] for row in evaluation.metrics["rows"]}


@pytest.mark.slow
def test_the_profile_has_a_row_for_the_fit(tiny: Any, folder: Path) -> None:
    run(of_vectors(tiny, folder, trainer={"profile": True}), folder, command="")
    phases = {phase["phase"]: phase["seconds"] for phase in json.loads((folder / "profile.json").read_text())["phases"]}
    assert phases["closed form"] > 0


def test_settings_of_a_training(tiny: Any) -> None:
    """What means nothing is refused where it would be a check that nothing makes, and else left unread."""
    with pytest.raises(ConfigError, match=r"trainer\.overfit: itq is computed in closed form and learns nothing"):
        tiny(method=ITQ, trainer={"overfit": 8})
    assert tiny(method=ITQ, optimizer={"lr_multipliers": {"classifier": 10}}).method.method == "itq"
    assert tiny(method=ITQ, trainer={"monitor": "val/accuracy"}).settings.monitor == "val/accuracy"
    assert tiny(method=ITQ, without_h=SOFTMAX, trainer={"monitor": "val/accuracy"}).without_h is not None
    pairs = {"_target_": "dqh.methods.hashnet.HashNet", "bits": 8}  # trained beside it, and measured by no accuracy
    with pytest.raises(ConfigError, match="hashnet has no classifier to measure val/accuracy of"):
        tiny(method=ITQ, without_h=pairs, trainer={"monitor": "val/accuracy"})


def test_a_training_without_h_only_where_it_is_asked_for(tiny: Any) -> None:
    asked, automatic = (
        assemble(tiny_config() | {"method": ITQ, "without_h": SOFTMAX, "without_h_minutes": limit})
        for limit in (None, 3)
    )
    assert asked.without_h is not None
    assert all(parameter.requires_grad for parameter in asked.without_h.parameters())
    assert automatic.without_h is None


def test_the_plan_tells_of_no_epochs(tiny: Any, folder: Path) -> None:
    experiment = of_vectors(tiny, folder)
    spec = experiment.method.encoder.spec
    data = prepare(
        experiment.source, experiment.split, spec, allow_duplicates=True, skipped_file=folder / "skipped.csv"
    )
    line = plan_line(experiment, data)
    assert line.startswith(f"plan: compute itq from {len(data.roles.train)} vectors; encode ")
    assert line.endswith("measure and write the report")
    beside = replace(experiment, without_h=experiment.method)
    assert "; train a network without H (without_h=none leaves it out); " in plan_line(beside, data)


def test_labels_that_tell_nothing_apart(tiny: Any, folder: Path) -> None:
    experiment = of_vectors(tiny, folder, method=ITQ | {"name": "itq_cca"})
    experiment.source.labels[:] = 0
    with pytest.raises(ConfigError, match="method: itq_cca of 8 bits: labels must differ between vectors"):
        run(experiment, folder, command="python train.py method=itq_cca")


def test_vectors_far_from_all_others_have_no_part(
    tiny: Any, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = of_vectors(tiny, folder, far=range(0, 600, 60))
    method, fitted = experiment.method, {}

    def fit_head(features: np.ndarray, labels: np.ndarray, *, seed: int) -> None:
        fitted.update(features=features, labels=labels)

    monkeypatch.setattr(method, "fit_head", fit_head)
    spec = method.encoder.spec
    data = prepare(
        experiment.source, experiment.split, spec, allow_duplicates=True, skipped_file=folder / "skipped.csv"
    )
    odd = int((data.roles.train % 60 == 0).sum())
    assert odd > 0
    with caplog.at_level(logging.WARNING):
        fit_closed_form(method, data, experiment.settings, seed=0)
    usual = data.roles.train[data.roles.train % 60 != 0]
    assert fitted["labels"].tolist() == data.source.labels[usual].tolist()
    assert np.abs(fitted["features"]).max() < 100
    assert f"itq: fitted without {odd} of {len(data.roles.train)} rows whose features lie far" in caplog.text
