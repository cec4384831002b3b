"""One command at a time in the folder of a sweep."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dqh.errors import ConfigError
from dqh.training import sweep_lock
from dqh.training.sweep_lock import claimed


def test_a_folder_is_claimed_once_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "dlbhc"
    with claimed(folder):
        with pytest.raises(ConfigError, match=rf"dlbhc: process {os.getpid()} on \S+ is at work on this sweep"):
            claimed(folder).__enter__()
        with claimed(tmp_path / "sweeps" / "other"):
            pass
    with claimed(folder):
        pass
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path):
        raise ZeroDivisionError
    with claimed(tmp_path):
        pass


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    """Another process holds the folder until it is killed; the file that it leaves hinders nobody."""
    code = "import runpy, sys, pathlib\nwith runpy.run_path(sys.argv[1])['claimed'](pathlib.Path(sys.argv[2])):"
    hold = f"{code}\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, sweep_lock.__file__, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"process {other.pid} on"):
            claimed(tmp_path).__enter__()
        other.send_signal(signal.SIGKILL)
    assert (tmp_path / ".lock").read_text().startswith(f"process {other.pid} on")
    with claimed(tmp_path):
        pass
