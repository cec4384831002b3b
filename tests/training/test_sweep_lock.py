"""One command at a time in the folder of a sweep."""

import os
from pathlib import Path

import pytest

from dqh.errors import ConfigError
from dqh.training.sweep_lock import claimed


def test_a_folder_is_claimed_once_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "dlbhc"
    with claimed(folder):
        with pytest.raises(ConfigError, match=rf"dlbhc is being written by process {os.getpid()} on \S+; wait"):
            claimed(folder).__enter__()
        with claimed(tmp_path / "sweeps" / "other"):
            pass
    with claimed(folder):
        pass
    assert [path.name for path in folder.iterdir()] == [".lock"]
