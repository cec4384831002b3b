"""Runs the scripts as a user does, in a folder of their own."""

import logging
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from dqh import cli
from dqh.signals import SIGNALS

ROOT = Path(__file__).parent.parent


class Result(NamedTuple):
    """How a script ended.

    Attributes:
        status: exit status.
        out: what it wrote to stdout.
        err: what it wrote to stderr, its log included.
    """

    status: int
    out: str
    err: str


Script = Callable[..., Result]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Script:
    """`script("train.py", "bits=8")` runs it in an empty folder, in this process: starting another takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the scripts set it; hydra wants the real os.environ

    def run(name: str, *arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        handler = logging.StreamHandler(sys.stderr)
        logging.getLogger().addHandler(handler)
        status, threads = 0, torch.get_num_threads()
        torch.set_num_threads(1)  # small networks; several threads wait for each other on a busy machine
        try:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            torch.set_num_threads(threads)
            logging.getLogger().removeHandler(handler)
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def dqh(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """`dqh("verify", path)` → exit status, stdout, and messages: the log has its handler from pytest here."""

    def run(*arguments: object) -> tuple[int, str, str]:
        caplog.clear()
        before = {number: signal.getsignal(number) for number in SIGNALS}
        hook = sys.unraisablehook
        try:
            status = cli.main([str(each) for each in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            sys.unraisablehook = hook
        out, err = capsys.readouterr()
        return status, out, "\n".join([*err.splitlines(), *caplog.messages])

    return run


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here"),
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> str:
    """Each device in turn."""
    return str(request.param)
