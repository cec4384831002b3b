"""Loggers get what metrics.csv gets: read back from TensorBoard's files, and from W&B's offline runs."""

import csv
import errno
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities import rank_zero

from dqh.errors import ConfigError
from dqh.training import Fit, run
from dqh.training import loggers as logging_to
from dqh.training.history import History
from dqh.training.loggers import LogRows, hyperparameters, log_results, opened

ROWS = [{"search": "binary", "mAP@all": 0.5, "accuracy": None}, {"search": "exhaustive", "mAP@all": 0.25}]
HISTORY = [{"step": 6.0}, {"step": 12.0}]


def written(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag → (step, value) in a folder of TensorBoard's, whichever of its files they are in."""
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra tensorboard"
    )
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*")):
        events = accumulators.EventAccumulator(str(file))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return found


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """W&B without a login, its caches and settings in a folder of the test."""
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    yield wandb
    wandb.teardown()


@pytest.mark.slow
def test_tensorboard_has_the_rows_of_metrics_csv_and_the_results(tiny: Any, folder: Path) -> None:
    evaluation = run(tiny(trainer={"loggers": ["tensorboard"]}), folder, command="")
    scalars = written(folder / "tensorboard")
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for column in rows[0]:
        expected = [(int(row["step"]), pytest.approx(float(row[column]), rel=1e-6)) for row in rows]  # float32
        assert scalars.pop(column) == expected
    ((step, best),) = scalars.pop("best")
    assert (step, best) == (18, pytest.approx(max(float(row["val/mAP"]) for row in rows), rel=1e-6))
    binary = evaluation.metrics["rows"][0]
    assert scalars["final/binary/mAP@all"] == [(18, pytest.approx(binary["mAP@all"], rel=1e-6))]
    assert {tag.partition("/")[0] for tag in scalars} == {"final"}
    settings = (folder / "tensorboard" / "hparams.yaml").read_text()
    for line in ("bits: 12", "seed: 3", "trainer.epochs: 3", "optimizer.lr: 0.05", "backbone: small_resnet"):
        assert line in settings


@pytest.mark.slow
def test_a_run_is_the_same_run_with_and_without_loggers(tiny: Any, tmp_path: Path) -> None:
    columns = []
    for name, loggers in (("with", ["tensorboard"]), ("without", [])):
        (tmp_path / name).mkdir()
        evaluation = run(tiny(trainer={"loggers": loggers, "epochs": 2}), tmp_path / name, command="")
        columns.append([(row["train/loss"], row["val/mAP"]) for row in evaluation.history])
    assert columns[0] == columns[1]


@pytest.mark.slow
def test_wandb_is_offline_without_a_login_and_continues_its_run(offline: Any, folder: Path) -> None:
    history = History(folder / "metrics.csv")
    history.rows = [{"epoch": 1, "step": 6, "train/loss": 0.5, "val/mAP": 0.25}]
    trainer: Any = None
    with opened(["wandb"], folder) as loggers:
        (logger,) = loggers
        rows = LogRows(loggers, history, hyperparameters={"bits": 12}, best=lambda: 0.25)
        rows.on_train_start(trainer, trainer)
        rows.on_train_epoch_end(trainer, trainer)
        rows.on_train_end(trainer, trainer)
        experiment: Any = logger.experiment  # type: ignore[attr-defined]
        assert experiment.offline
        assert dict(experiment.config) == {"bits": 12}
        summary = dict(experiment.summary)
        assert {name: summary[name] for name in history.rows[0]} == history.rows[0]
        name = experiment.id
    assert offline.run is None
    log_results(["wandb"], folder, rows=ROWS, history=HISTORY)
    runs = [path.name for path in (folder / "wandb").glob("offline-run-*")]
    assert {run.rpartition("-")[2] for run in runs} == {name}


def test_what_wandb_refuses_is_told_with_a_way_out(offline: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with (
        pytest.raises(ConfigError, match=r"trainer.loggers: wandb says: .*WANDB_MODE=offline"),
        opened(["wandb"], folder),
    ):
        pass


def test_results_are_numbers_at_the_last_step(folder: Path) -> None:
    log_results(["tensorboard", "tensorboard"], folder, rows=ROWS, history=HISTORY)
    scalars = written(folder / "tensorboard")
    assert scalars == {"final/binary/mAP@all": [(12, 0.5)], "final/exhaustive/mAP@all": [(12, 0.25)]}


def test_results_without_a_training_are_numbers_at_step_0(folder: Path) -> None:
    log_results(["tensorboard"], folder, rows=ROWS[:1], history=[])
    assert written(folder / "tensorboard") == {"final/binary/mAP@all": [(0, 0.5)]}


def test_loggers_learn_how_a_run_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    class Ends(DummyLogger):
        def finalize(self, status: str) -> None:
            ended.append(status)

    monkeypatch.setattr(logging_to, "_OPENERS", {"tensorboard": lambda folder: Ends()})
    with opened(["tensorboard"], folder):
        pass
    with pytest.raises(KeyboardInterrupt), opened(["tensorboard"], folder):
        raise KeyboardInterrupt
    assert ended == ["success", "failed"]


def test_a_missing_package_is_told_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging_to, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as error:
        Fit(loggers=("tensorboard", "wandb"))
    assert [problem.partition(";")[2] for problem in error.value.problems] == [
        f" install it: pip install {name} (in a clone: uv sync --inexact --extra {name})"
        for name in ("tensorboard", "wandb")
    ]


def test_a_hidden_layer_tells_runs_from_one_another(tiny: Any) -> None:
    experiment = tiny(method={"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 12, "hidden": 8, "noise": 0.5})
    values = hyperparameters(experiment.method, "digits", settings=experiment.settings, seed=3)
    assert (values["hidden"], values["noise"]) == (8, 0.5)


def test_hyperparameters_are_plain_values(tiny: Any) -> None:
    experiment = tiny()
    values = hyperparameters(experiment.method, "digits", settings=experiment.settings, seed=3)
    assert all(isinstance(value, bool | int | float | str) for value in values.values())
    assert not any(isinstance(value, float) and math.isnan(value) for value in values.values())
    assert (values["method"], values["bits"], values["data"], values["seed"]) == ("dlbhc", 12, "digits", 3)
    assert values["trainer.gradient_clip"] == "null"
    assert values["hidden"] == "null"
    assert json.loads(str(values["optimizer.milestones"])) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [("SLURM_PROCID", "2"), ("LOCAL_RANK", "3")])
def test_a_rank_that_a_scheduler_left_silences_nothing(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: str
) -> None:
    """Of one process; Lightning takes it from the environment when it is imported."""
    monkeypatch.setenv(name, number)
    of_lightning: Any = rank_zero
    monkeypatch.setattr(of_lightning.rank_zero_only, "rank", int(number))
    run(tiny(trainer={"loggers": ["tensorboard"], "epochs": 2}), folder, command="")
    scalars = written(folder / "tensorboard")
    assert [step for step, _ in scalars["train/loss"]] == [6, 12]
    assert "final/binary/mAP@all" in scalars
    assert of_lightning.rank_zero_only.rank == int(number)


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["log_metrics", "finalize"])
def test_a_logger_that_fails_is_told_and_ends_nothing(
    tiny: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events")

    monkeypatch.setattr(TensorBoardLogger, failing, fail)
    run(tiny(trainer={"loggers": ["tensorboard"], "epochs": 2}), folder, command="")
    assert (folder / "metrics.json").is_file()
    told = [message for message in caplog.messages if "No space left on device" in message]
    assert 1 <= len(told) <= 3  # in the training, when it is closed, and with the results
    assert all("loggers" in message and message.endswith("the work goes on without") for message in told)
