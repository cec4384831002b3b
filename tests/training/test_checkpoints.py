"""The choice of the epoch, what is written when, and signals; whole runs that resume are in `test_pipeline`."""

import math
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dqh.errors import ConfigError
from dqh.training import checkpoints as module
from dqh.training.checkpoints import (
    SIGNALS,
    AtomicCheckpointIO,
    Checkpoints,
    Interrupted,
    StopOnSignal,
    require_resumable,
)
from dqh.training.validation import Choice

TERM = signal.SIGTERM


class Trainer:
    """Writes its epoch as a checkpoint."""

    def __init__(self, epoch: int = 0, *, batches: int = 4, **metrics: float) -> None:
        self.current_epoch = epoch
        self.num_training_batches = batches
        self.callback_metrics = {name.replace("_", "/", 1): torch.tensor(value) for name, value in metrics.items()}
        self.written: list[Path] = []

    def save_checkpoint(self, path: Path) -> None:
        self.written.append(path)
        if path.parent.is_dir():
            path.write_text(f"epoch {self.current_epoch}")


@pytest.fixture
def handlers() -> Iterator[dict[int, Any]]:
    """Of the signals, before and after."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


def stopping(*, received: int = 0, **options: int) -> tuple[StopOnSignal, list[str]]:
    """With the checks of losses that it asks for; `every` is its own where it is not given."""
    checks: list[str] = []
    losses = SimpleNamespace(check=lambda: checks.append("checked"))
    stop = StopOnSignal(Checkpoints(Path("run"), monitor="val/mAP"), losses, **options)  # type: ignore[arg-type]
    if received:
        stop._receive(received, None)
    return stop, checks


@pytest.mark.parametrize("choice", [Choice(), Choice(0.5, 2, 0.25), Choice(math.nan, 3, math.nan)])
def test_the_choice_survives_a_checkpoint(choice: Choice) -> None:
    before, after = (Checkpoints(Path("run"), monitor="val/mAP") for _ in range(2))
    before.choice = choice
    after.load_state_dict(before.state_dict())
    assert repr(after.choice) == repr(choice)


@pytest.mark.parametrize(
    ("best", "value", "epoch"),
    [
        ((0.5, 2), 0.5, 2),  # an earlier epoch was lower: the value tells epochs apart, and the first of equals stays
        ((0.5, 1), 0.5, 3),
        ((math.inf, 2), math.nan, 3),  # how no validation images were written
        ((-math.inf, 0), 0.1, 3),
    ],
)
def test_a_checkpoint_of_an_older_version_goes_on(best: Any, value: float, epoch: int) -> None:
    checkpoints = Checkpoints(Path("run"), monitor="val/mAP")
    checkpoints.load_state_dict({"best": best})
    assert checkpoints.choice.after(3, value).epoch == epoch


def test_each_epoch_writes_the_last_checkpoint_and_the_best_one_is_a_copy_of_its_epoch(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, monitor="val/mAP")
    assert (checkpoints.last_path, checkpoints.best_path) == (tmp_path / "last.ckpt", tmp_path / "best.ckpt")
    for epoch, (value, best) in enumerate([(0.2, 0), (0.5, 1), (0.4, 1), (0.7, 3)]):
        trainer = Trainer(epoch, val_mAP=value, val_loss=9.0, train_loss=1.0)
        checkpoints.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]
        assert trainer.written == [checkpoints.last_path]
        assert checkpoints.last_path.read_text() == f"epoch {epoch}"
        assert checkpoints.best_path.read_text() == f"epoch {best}"
        assert checkpoints.choice.epoch == best + 1


def test_one_process_alone_copies_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rank", lambda: 1)
    checkpoints = Checkpoints(tmp_path, monitor="val/mAP")
    checkpoints.on_train_epoch_end(Trainer(val_mAP=0.2), None)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_without_validation_the_last_epoch_is_the_best(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, monitor="val/mAP")
    for epoch in range(2):
        checkpoints.on_train_epoch_end(Trainer(epoch, train_loss=1.0), None)  # type: ignore[arg-type]
        assert checkpoints.best_path.read_text() == f"epoch {epoch}"
    assert math.isnan(checkpoints.choice.value)


def test_a_value_that_is_not_measured_is_refused_with_those_that_are(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, monitor="val/accuracy")
    message = r"val/accuracy is not measured .* choose one of val/loss, val/mAP$"
    with pytest.raises(ConfigError, match=message):
        checkpoints.on_train_epoch_end(Trainer(val_loss=1.0, val_mAP=0.1, train_loss=1.0), None)  # type: ignore[arg-type]


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    with pytest.raises(AttributeError):
        AtomicCheckpointIO().save_checkpoint({"epoch": lambda: 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def whole(folder: Path, *, epoch: int = 1, **parts: Any) -> Path:
    """A checkpoint with all that resuming reads, changed; a part that is None is left out."""
    content = {
        "callbacks": {"Checkpoints": {"best": (0.5, epoch)}},
        "state_dict": {},
        "optimizer_states": [],
        "loops": {},
        "pytorch-lightning_version": "2.6.6",
    } | parts
    path = folder / "last.ckpt"
    torch.save({name: value for name, value in content.items() if value is not None}, path)
    return path


def test_a_whole_checkpoint_beside_the_best_can_be_resumed(tmp_path: Path) -> None:
    path = whole(tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "best.ckpt")
    require_resumable(path)


def test_before_the_first_epoch_ends_there_is_no_best(tmp_path: Path) -> None:
    require_resumable(whole(tmp_path, epoch=0))
    with pytest.raises(ConfigError, match=r"best\.ckpt is missing; keep both checkpoints of a run together$"):
        require_resumable(whole(tmp_path, epoch=1))


@pytest.mark.parametrize("part", ["callbacks", "state_dict", "optimizer_states", "loops", "pytorch-lightning_version"])
def test_a_checkpoint_without_one_of_its_parts_is_refused(tmp_path: Path, part: str) -> None:
    with pytest.raises(ConfigError, match=rf"last\.ckpt cannot be read as a checkpoint of a run: '{part}'$"):
        require_resumable(whole(tmp_path, epoch=0, **{part: None}))


def test_of_an_error_the_first_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("\nfirst line\nsecond line")

    monkeypatch.setattr(torch, "load", broken)
    with pytest.raises(ConfigError, match=r": first line$"):
        require_resumable(tmp_path / "last.ckpt")


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    path = whole(tmp_path, loops=Harmful(tmp_path / "harm"))
    with pytest.raises(ConfigError, match="cannot be read as a checkpoint"):
        require_resumable(path)
    path = whole(tmp_path)
    torch.save({"state_dict": Harmful(tmp_path / "harm")}, tmp_path / "best.ckpt")
    with pytest.raises(ConfigError, match=r"best\.ckpt is damaged; take it from a backup"):
        require_resumable(path)
    assert not (tmp_path / "harm").exists()


def test_a_best_without_weights_is_damaged(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "best.ckpt")
    with pytest.raises(ConfigError, match=r"best\.ckpt is damaged"):
        require_resumable(whole(tmp_path))


def test_an_interruption_says_what_happened_also_after_it_was_sent_between_processes() -> None:
    for error in (made := Interrupted(TERM, Path("run/last.ckpt")), pickle.loads(pickle.dumps(made))):
        assert str(error) == "stopped by SIGTERM; the state is in run/last.ckpt"
        assert (error.exit_status, error.checkpoint) == (128 + 15, Path("run/last.ckpt"))


def test_signals_are_listened_to_and_given_back(handlers: dict[int, Any]) -> None:
    stop, _ = stopping()
    with stop.listening():
        assert all(signal.getsignal(number) == stop._receive for number in SIGNALS)
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers
    stop, _ = stopping()
    with pytest.raises(Interrupted, match=r"SIGTERM.*run/last\.ckpt"), stop.listening():
        os.kill(os.getpid(), TERM)
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


def test_handlers_come_back_after_an_error(handlers: dict[int, Any]) -> None:
    stop, _ = stopping()
    with pytest.raises(ValueError, match="inside"), stop.listening():
        raise ValueError("inside")
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


def test_signals_are_taken_from_others_at_the_start(handlers: dict[int, Any]) -> None:
    stop, _ = stopping()
    stop.on_train_start(None, None)  # type: ignore[arg-type]
    assert all(signal.getsignal(number) == stop._receive for number in SIGNALS)


def test_outside_of_the_main_thread_nothing_is_listened_to(handlers: dict[int, Any]) -> None:
    errors: list[BaseException] = []
    stop, _ = stopping()

    def train() -> None:
        try:
            with stop.listening():
                stop.on_train_start(None, None)  # type: ignore[arg-type]
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert errors == []
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_signal_is_noted_and_the_second_ends_at_once(
    rank: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(module, "rank", lambda: rank)
    stop, _ = stopping()
    stop._receive(TERM, None)
    assert (ends, stop._received) == ([], TERM)
    told = ["SIGTERM: finishing the step, then writing a checkpoint"]
    assert caplog.messages == (told if rank == 0 else [])
    stop._receive(signal.SIGINT, None)
    assert ends == [128 + 2]


@pytest.mark.parametrize(
    ("processes", "every", "batch", "stops"),
    [
        (1, 50, 0, True),  # one process asks itself after each step
        (1, 50, 2, True),
        (1, 50, 3, False),  # the last of four waits for the end of the epoch
        (2, 2, 0, False),
        (2, 2, 1, True),
        (2, 2, 2, False),
        (2, 2, 3, False),
        (2, 3, 1, False),
        (2, 3, 2, True),
        (2, 4, 3, False),
    ],
)
def test_a_signal_stops_after_the_step(
    processes: int, every: int, batch: int, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "count", lambda: processes)
    trainer = Trainer()
    stop, checks = stopping(every=every, received=TERM)
    if stops:
        with pytest.raises(Interrupted, match=r"SIGTERM.*run/last\.ckpt"):
            stop.on_train_batch_end(trainer, None, None, None, batch)  # type: ignore[arg-type]
    else:
        stop.on_train_batch_end(trainer, None, None, None, batch)  # type: ignore[arg-type]
    assert (trainer.written, checks) == (([Path("run/last.ckpt")], ["checked"]) if stops else ([], []))


def test_without_a_signal_nothing_stops() -> None:
    trainer = Trainer(epoch=1)
    stop, checks = stopping()
    for batch in range(4):
        stop.on_train_batch_end(trainer, None, None, None, batch)  # type: ignore[arg-type]
    stop.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    stop.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert (trainer.written, checks, stop.every) == ([], [], 50)


def test_a_signal_stops_between_epochs_and_at_the_end_without_another_checkpoint() -> None:
    stop, _ = stopping(received=TERM)
    first, second = Trainer(epoch=0), Trainer(epoch=1)
    stop.on_train_epoch_start(first, None)  # type: ignore[arg-type]
    for end in (stop.on_train_epoch_start, stop.on_train_end):
        with pytest.raises(Interrupted, match=r"SIGTERM.*run/last\.ckpt"):
            end(second, None)  # type: ignore[arg-type]
    assert second.written == []


def test_a_signal_of_any_process_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "everyone", lambda own: [own, int(TERM), 0])
    stop, _ = stopping()
    with pytest.raises(Interrupted, match="SIGTERM"):
        stop.on_train_end(Trainer(), None)  # type: ignore[arg-type]
