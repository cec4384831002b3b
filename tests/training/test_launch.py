"""Processes that answer, fail and die. How new ones are spawned is tested where two train, in `test_fit.py`."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from dqh.errors import DqhError
from dqh.training import Interrupted
from dqh.training.launch import in_processes


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks, where there is such a thing: a new process loads torch and Lightning first, for six seconds."""
    if "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
        monkeypatch.setattr(multiprocessing, "get_context", lambda method: context)


def _fails_in_the_second(argument: int) -> None:
    """The first would wait for ever for the second."""
    if os.environ["LOCAL_RANK"] == "1":
        raise Interrupted(argument, Path("last.ckpt"))
    threading.Event().wait()


def _dies(argument: Path) -> Any:
    if os.environ["LOCAL_RANK"] == "1":
        os._exit(7)
    threading.Event().wait()


def _answers_without_a_care(parent: int) -> str:
    """As one whose last step is over when the signal comes."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.environ["LOCAL_RANK"] == "0":
        os.kill(parent, signal.SIGTERM)
    return "done"


def test_a_signal_that_no_process_heeds_is_not_lost() -> None:
    with pytest.raises(SystemExit) as caught:
        in_processes(_answers_without_a_care, lambda folder: os.getpid(), count=2)
    assert caught.value.code == 128 + signal.SIGTERM


def test_the_error_of_one_ends_all() -> None:
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM.*last.ckpt") as caught:
        in_processes(_fails_in_the_second, lambda folder: 15, count=2)
    assert (caught.value.exit_status, caught.value.checkpoint) == (143, Path("last.ckpt"))


def test_a_death_is_told() -> None:
    with pytest.raises(DqhError, match="process 1 of 2 of the training ended with status 7"):
        in_processes(_dies, lambda folder: folder, count=2)
