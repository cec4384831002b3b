"""What a run says about machine and versions: facts where there are some, nothing personal, never an error."""

import getpass
import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

import dqh
from dqh.environment import _checkout, _cpu, environment
from tests.conftest import ROOT


def strings(value: Any) -> list[str]:
    """All texts in nested values."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    return [text for each in value for text in strings(each)] if isinstance(value, list) else [str(value)]


def test_the_facts_are_plain_and_true() -> None:
    found = environment(command="python train.py bits=32", seed=7)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["command"], found["seed"]) == ("python train.py bits=32", 7)
    assert abs(datetime.fromisoformat(found["date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["machine"]["python"] == platform.python_version()
    assert len(found["machine"]["gpus"]) == torch.cuda.device_count()
    assert found["versions"]["dqh"] == dqh.__version__
    assert found["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert ("cuda" in found["versions"]) == (torch.version.cuda is not None)


def test_nothing_personal_is_told() -> None:
    """No host name, no user name as a word of its own, no path."""
    for text in strings(environment(command="", seed=0)):
        assert platform.node() not in text
        assert getpass.getuser() not in re.split(r"\W+", text)
        assert str(ROOT) not in text
        assert str(Path.home()) not in text


def test_a_machine_that_tells_nothing_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **more: Any) -> Any:
        raise OSError("not here")

    def broken(number: int) -> str:
        raise RuntimeError("driver")

    monkeypatch.setattr(subprocess, "run", fails)
    monkeypatch.setattr(os, "sysconf", fails)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", broken)
    monkeypatch.setattr("dqh.environment.PACKAGES", ("torch", "no-such-package"))
    found = environment(command="", seed=0)
    assert found["machine"]["gpus"] == []
    assert "memory_gb" not in found["machine"]
    assert not {"no-such-package", "commit", "dirty"} & found["versions"].keys()


def test_the_first_processor_names_the_model(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Swift 3 @ 2 GHz\nmodel name\t: other\n")
    assert _cpu(tmp_path / "cpuinfo") == "Swift 3 @ 2 GHz"
    assert _cpu(tmp_path / "missing") in (platform.processor(), platform.machine())


def test_a_checkout_tells_its_commit_and_whether_tracked_files_differ(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert _checkout(tmp_path) == {}
    git("init", "-q")
    assert _checkout(tmp_path) == {}  # no commit yet
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("")
    assert _checkout(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "file").write_text("two")
    assert _checkout(tmp_path) == {"commit": commit, "dirty": True}
    (tmp_path / "inside").mkdir()
    assert _checkout(tmp_path / "inside") == {}  # an installed package inside another project's checkout
