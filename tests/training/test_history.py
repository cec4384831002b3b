"""Rows of an epoch and progress lines."""

import io
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dqh.training import history as histories
from dqh.training.history import History, ProgressLine
from dqh.training.module import TrainingBatch


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def trainer(**values: Any) -> Any:
    """As much of a trainer as the callbacks read: epoch 1 of 2, two steps an epoch."""
    return SimpleNamespace(
        **{
            "current_epoch": 0,
            "max_epochs": 2,
            "global_step": 2,
            "num_training_batches": 2,
            "estimated_stepping_batches": 4,
            "callback_metrics": {"val/mAP": torch.tensor(0.5), "other": torch.tensor(1.0)},
            "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.1}, {"lr": 0.2}])],
        }
        | values
    )


def batch(count: int) -> TrainingBatch:
    return TrainingBatch(torch.zeros(count, 1), torch.zeros(count), torch.arange(count))


@pytest.fixture
def history(tmp_path: Path) -> History:
    """After one epoch of 1 image with loss 4 and 3 images with loss 2."""
    history = History(tmp_path / "metrics.csv")
    history.on_train_epoch_start(trainer(), None)
    for step, (loss, count) in enumerate(((4.0, 1), (2.0, 3))):
        history.on_train_batch_start(trainer(), None, batch(count), step)
        history.on_train_batch_end(trainer(), None, {"loss": torch.tensor(loss)}, batch(count), step)
    return history


def test_losses_are_means_over_images(history: History) -> None:
    """(1 · 4 + 3 · 2) / 4 = 2.5."""
    history.on_train_epoch_end(trainer(), None)
    row = history.rows[0]
    assert (row["epoch"], row["step"], row["lr"], row["train/loss"], row["val/mAP"]) == (1, 2, 0.2, 2.5, 0.5)
    assert "other" not in row
    assert history.path.read_text().splitlines()[0] == "epoch,step,lr,train/loss,val/mAP,images_per_s,seconds"


def test_the_rate_is_the_one_of_the_last_step_not_of_the_next(history: History) -> None:
    """The schedule has moved on to .05 when the epoch ends; of two groups the higher rate counts."""
    history.on_train_epoch_end(trainer(optimizers=[SimpleNamespace(param_groups=[{"lr": 0.05}])]), None)
    assert history.rows[0]["lr"] == 0.2


def test_what_is_measured_on_train_images_is_called_so(history: History) -> None:
    """Of both losses the one of the steps is kept."""
    history.validated_on = "train"
    measured = {"val/mAP": torch.tensor(0.5), "val/loss": torch.tensor(9.0)}
    history.on_train_epoch_end(trainer(callback_metrics=measured), None)
    assert (history.rows[0]["train/mAP"], history.rows[0]["train/loss"]) == (0.5, 2.5)
    stream = io.StringIO()
    ProgressLine(history, stream=stream).on_train_epoch_end(trainer(), None)
    assert " train/loss 2.5000 train/mAP 0.5000 " in stream.getvalue()


def test_a_later_column_keeps_the_earlier_rows(history: History) -> None:
    history.on_train_epoch_end(trainer(), None)
    history.on_train_epoch_end(trainer(callback_metrics={"val/loss": torch.tensor(1.0)}), None)
    lines = history.path.read_text().splitlines()
    assert lines[0].endswith(",images_per_s,seconds,val/loss")
    assert lines[1].endswith(",")


def test_the_state_carries_rows_and_open_sums(history: History, tmp_path: Path) -> None:
    other = History(tmp_path / "other.csv")
    other.load_state_dict(history.state_dict())
    other.on_train_epoch_end(trainer(), None)
    assert other.rows[0]["train/loss"] == 2.5


@pytest.mark.parametrize(("then", "expected"), [(1, 3.75), (2, 3.75)])
def test_an_epoch_begun_by_two_processes_counts_by_its_images(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: int, expected: float
) -> None:
    """Both had losses 10 of 4 images; 8 images of loss 5 follow, in one process or two: (20 + 40) / 16."""

    def processes(count: int) -> None:
        monkeypatch.setattr(histories, "count", lambda: count)
        monkeypatch.setattr(histories, "everyone", lambda value: [deepcopy(value) for _ in range(count)])

    processes(2)
    state = history.state_dict()
    processes(then)
    other = History(tmp_path / "other.csv")
    other.load_state_dict(state)
    other.on_train_batch_start(trainer(), None, batch(8 // then), 2)
    other.on_train_batch_end(trainer(), None, {"loss": torch.tensor(5.0)}, batch(8 // then), 2)
    other.on_train_epoch_end(trainer(), None)
    assert other.rows[0]["train/loss"] == expected


def test_whole_lines_where_there_is_no_terminal(history: History) -> None:
    stream = io.StringIO()
    progress = ProgressLine(history, stream=stream, every=0)
    progress.on_train_start(trainer(global_step=0), None)
    progress.on_train_batch_end(trainer(global_step=1), None, None, batch(1), 0)
    history.on_train_epoch_end(trainer(), None)
    progress.on_train_epoch_end(trainer(), None)
    first, last = stream.getvalue().splitlines()
    assert first.startswith("epoch 1/2 50 % ")
    assert first.endswith("images/s ETA 0:00:00")
    assert last.startswith("epoch 1/2 train/loss 2.5000 val/mAP 0.5000 ")
    assert "\r" not in stream.getvalue()


def test_a_line_that_renews_itself_on_a_terminal(history: History) -> None:
    stream = Terminal()
    progress = ProgressLine(history, stream=stream)
    progress.on_train_start(trainer(global_step=0), None)
    progress.on_train_batch_end(trainer(global_step=1), None, None, batch(1), 0)
    assert stream.getvalue() == ""  # half a second is not over
    progress._told = -1e9
    progress.on_train_batch_end(trainer(global_step=1), None, None, batch(1), 0)
    assert stream.getvalue().startswith("\r\x1b[Kepoch 1/2 50 %")
    assert "\n" not in stream.getvalue()
