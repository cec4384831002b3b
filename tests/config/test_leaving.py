"""Exit statuses and open keys."""

import logging
import os
import sys
from pathlib import Path

import pytest

from dqh.config import exit_status, open_keys, start
from dqh.errors import ConfigError, DataError, TooManyBadImagesError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError(["one", "two"]), 2),
        (DataError("gone"), 2),
        (TooManyBadImagesError("too many"), 3),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "runs"), 1),
    ],
)
def test_an_error_becomes_its_exit_status(error: BaseException, status: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as end, exit_status():
        raise error
    assert end.value.code == status
    wanted = {130: "interrupted", 1: "runs: Permission denied"}.get(status, str(error))
    assert [record.getMessage() for record in caplog.records] == [wanted]


def test_errors_of_our_own_making_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exit_status():
        raise ZeroDivisionError
    with pytest.raises(OSError, match="no number"), exit_status():
        raise OSError("no number")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("trainer.epochs=3", "++trainer.epochs=3"),
        ("a.b.c=d.e=f", "++a.b.c=d.e=f"),
        ("bits=3", "bits=3"),
        ("+trainer.epochs=3", "+trainer.epochs=3"),
        ("~trainer.epochs", "~trainer.epochs"),
        ("hydra.verbose=true", "hydra.verbose=true"),
        ("hydra/launcher=basic", "hydra/launcher=basic"),
        ("data.root", "data.root"),
    ],
)
def test_dotted_keys_are_open(given: str, wanted: str) -> None:
    assert open_keys([given]) == [wanted]


@pytest.mark.parametrize(("given", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_do_not_spin_unless_told_to(
    given: str | None, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is there before what imports torch runs."""
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    seen: list[str] = []
    start(lambda: seen.append(os.environ["OMP_WAIT_POLICY"]), tmp_path, keys=())
    assert seen == [wanted]
