"""Exit statuses and open keys."""

import logging
import os
import signal
import sys
from pathlib import Path

import hydra
import pytest

from dqh import signals
from dqh.config import exit_status, open_keys, start
from dqh.errors import ConfigError, DataError, TooManyBadImagesError, WhereError


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
    denied = "runs: Permission denied; let this user read and write it, or name another place"
    wanted = {130: "interrupted", 1: denied}.get(status, str(error))
    assert [record.getMessage() for record in caplog.records] == [wanted]


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (DataError("photos/a\nb\x1b[2J.jpg is gone"), r"photos/a\nb\x1b[2J.jpg is gone"),
        (ConfigError(["one: x\ny", "two"]), "one: x\\ny\ntwo"),
        (WhereError("filter: expected =\n  label\n       ^"), "filter: expected =\n  label\n       ^"),
        (MemoryError(), "not enough memory: none is left; take smaller batches, or fewer workers"),
    ],
)
def test_a_name_breaks_no_line_of_a_message(
    error: BaseException, wanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit), exit_status():
        raise error
    assert caplog.text.partition("py:")[2].partition(" ")[2].startswith(wanted)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            OSError(28, "No space left on device"),
            1,
            "stdout: No space left on device; make room there, or name a place",
        ),
        (FileExistsError(17, "File exists", "link"), 2, "link is a symbolic link to 'nowhere', where nothing is; make"),
        (FileExistsError(17, "File exists", "file"), 2, "file is a file; name a folder"),
        (NotADirectoryError(20, "Not a directory", "file/sweeps"), 2, "file is a file; name a folder"),
        (PermissionError(13, "Permission denied", "."), 1, ".: Permission denied; let this user read and write it"),
    ],
)
def test_what_hydra_itself_cannot_write_is_named(
    error: OSError,
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It prints its help, and makes the folder of a sweep, before a script is called; stdout has no name of its own."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr("dqh.terminal._abandon_stdout", lambda: None)  # the one of the tests
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("nowhere")
    Path("file").touch()

    def composing() -> None:
        raise error

    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as end:
        start(composing, tmp_path, keys=())
    assert end.value.code == status
    assert caplog.messages[-1].startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("runs=s3://N:PASS@bucket/runs", "runs: s3://***@bucket/runs is a URL, wanted a path of this machine; copy"),
        ("++data.root='gs://bucket/photos'", "++data.root: gs://bucket/photos is a URL, wanted a path of this machine"),
        ("runs=file:///runs", "runs: file:///runs is a URL, wanted a path; write /runs"),
    ],
)
def test_a_url_of_a_store_is_refused_before_hydra_makes_a_folder_of_it(
    given: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py", "--multirun", "bits=3,4", given])
    composed: list[str] = []
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as end:
        start(lambda: composed.append("composed"), tmp_path, keys=("bits",))
    assert (end.value.code, composed) == (2, [])
    assert caplog.messages[-1].startswith(message)


class _TomorrowsError(OSError):
    """Without a number, as that of a missing choice is, of a release that is not out yet; `override` is no text."""

    override = 3


_TomorrowsError.__module__ = "hydra.tomorrow"


@pytest.mark.parametrize("raised_in", ["hydra._internal.tomorrow", "omegaconf", "yaml.reader"])
@pytest.mark.parametrize("text", ["the moon is full", ""])
def test_an_error_of_hydra_that_nobody_knows_is_shown_in_its_words(
    raised_in: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a kind of its own, or of Python's, in its code; never with a traceback."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py", "bits=3"])
    errors: list[Exception] = [_TomorrowsError(text), LookupError(text)]
    for error in errors:
        code = {"__name__": raised_in, "error": error}
        exec("def composing():\n    raise error", code)
        with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as end:
            start(code["composing"], tmp_path, keys=("bits",))  # type: ignore[arg-type]
        assert end.value.code == 2
        assert caplog.messages[-1] == (text or type(error).__name__)


def test_a_choice_that_is_missing_is_told_with_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By hydra itself."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py", "data=digit"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "digits.yaml").write_text("size: 8")
    (tmp_path / "train.yaml").write_text("defaults: [{data: digits}]")

    def composing() -> None:
        with hydra.initialize_config_dir(str(tmp_path), version_base=None):
            hydra.compose("train", sys.argv[1:])

    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as end:
        start(composing, tmp_path, keys=())
    assert end.value.code == 2
    assert caplog.messages[-1] == "data=digit: no such choice of data; did you mean data=digits? valid: digits"


def test_an_error_of_python_in_our_code_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def composing() -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        start(composing, tmp_path, keys=())


def test_what_follows_a_signal_is_its_consequence() -> None:
    """Such as the ImportError of a module in C, or the error of a worker that the same Ctrl-C ended."""

    def stopped() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise DataError("a worker died") from None

    before = signal.signal(signal.SIGTERM, signals.end)
    try:
        with pytest.raises(SystemExit) as end, exit_status():
            stopped()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143


def test_another_pipe_that_broke_is_no_matter_of_stdout() -> None:
    with pytest.raises(BrokenPipeError), exit_status():
        raise BrokenPipeError(32, "Broken pipe")


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


def test_the_rank_of_another_job_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as `SLURM_PROCID=2` of an interactive job; or an empty one, with which Lightning cannot be loaded."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("SLURM_PROCID", "2")
    monkeypatch.setenv("LOCAL_RANK", "")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    seen: list[bool] = []
    start(lambda: seen.extend(name in os.environ for name in ("SLURM_PROCID", "LOCAL_RANK")), tmp_path, keys=())
    assert seen == [False, False]
