"""The folder of a job's parts: whose it is, what may lie in it, and what stays."""

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dqh.errors import ConfigError
from dqh.executors import SerialExecutor
from dqh.scale.part_files import mapped_part, write_bytes_part
from dqh.scale.spread_job import LOCK, NOTE, SpreadJob

HELD = (
    r"^{folder} is being written by {holder}; wait until it ends, or name another folder for the parts "
    r"\(--parts, or parts= of evaluate\.py\)$"
)


def job(folder: Path, *, of: str = "result", **options: Any) -> SpreadJob:
    return SpreadJob(SerialExecutor(), folder=folder, of=folder.parent / of, **options)


def held_by(folder: Path, process: int) -> str:
    return HELD.format(folder=folder, holder=f"process {process} on {socket.gethostname()}")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_further_parts_leave_those_that_are_noted_until_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    own = job(folder)
    for name in ("part-a", "part-b"):
        own.begin([name], further=True)
        write_bytes_part(folder, name, memoryview(name.encode()))
    assert mapped_part(folder, "part-a") is not None
    own.begin(["part-b"])
    assert (mapped_part(folder, "part-a"), (folder / "part-a.bin").exists()) == (None, False)
    own.end()
    assert not folder.exists()


@pytest.mark.parametrize("of", ["result", "another result"])
def test_a_second_job_is_refused_and_touches_nothing(of: str, tmp_path: Path) -> None:
    """Of the same result, whose parts it would remove, or of another, which would be told to remove the folder."""
    folder = tmp_path / "parts"
    with job(folder) as first:
        first.begin(["part-a"])
        write_bytes_part(folder, "part-a", memoryview(b"12345"))
        before = content(folder)
        second = job(folder, of=of)
        for begun in (second.__enter__, lambda: second.begin(["part-b"])):
            with pytest.raises(ConfigError, match=held_by(folder, os.getpid())):
                begun()
        second.close()
        assert content(folder) == before
    assert mapped_part(folder, "part-a") is not None
    with job(folder) as later:
        later.begin(["part-a"])
        assert mapped_part(folder, "part-a") is not None


def test_a_job_that_was_killed_lets_go_and_leaves_its_parts(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    code = (
        "import sys; from pathlib import Path; from tests.scale.test_spread_job import job\n"
        "from dqh.scale.part_files import write_bytes_part\n"
        "folder = Path(sys.argv[1])\n"
        "with job(folder) as own:\n"
        "    own.begin(['part-a']); write_bytes_part(folder, 'part-a', memoryview(b'12345'))\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        before = content(folder)
        with pytest.raises(ConfigError, match=held_by(folder, other.pid)):
            job(folder).begin(["part-a"])
        assert content(folder) == before
        other.send_signal(signal.SIGKILL)
    with job(folder) as later:
        later.begin(["part-a"])
        assert mapped_part(folder, "part-a") is not None
        later.end()
    assert not folder.exists()


def test_the_end_of_a_job_lets_the_next_one_in(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    one, other = job(folder), job(folder, of="another result")
    one.begin(["part-a"])
    one.end()
    other.begin(["part-b"])
    other.end()
    assert not folder.exists()


def test_the_end_removes_what_a_run_before_has_left(tmp_path: Path) -> None:
    """As where it was killed between the commit and the end; a later run has nothing to do, and begins nothing."""
    folder = tmp_path / "parts"
    with job(folder) as own:
        own.begin(["part-a"])
        write_bytes_part(folder, "part-a", memoryview(b"12345"))
    assert sorted(content(folder)) == [NOTE, LOCK, "part-a.bin", "part-a.json"]
    job(folder).end()
    assert not folder.exists()
    job(folder).end()
    assert not folder.exists()


def test_a_job_that_made_nothing_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    with pytest.raises(ZeroDivisionError), job(folder):
        raise ZeroDivisionError
    assert not folder.exists()


@pytest.mark.parametrize("name", ["letter.txt", "part-of-me.json", NOTE])
def test_a_folder_of_something_else_is_left_alone(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / name).write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"holds files that are not of a job for .*result; name another folder"):
        job(folder).begin(["part-a"])
    assert content(folder) == {name: b"mine"}


def test_parts_of_another_result_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    with job(folder) as own:
        own.begin(["part-a"])
    before = content(folder)
    with pytest.raises(ConfigError, match=r"not of a job for .*another result; name another folder"):
        job(folder, of="another result").begin(["part-b"])
    assert content(folder) == before
    job(folder).end()
    assert not folder.exists()


def test_files_of_others_stay_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    own = job(folder)
    own.begin(["part-a"])
    (folder / "of mine").touch()
    own.end()
    assert sorted(content(folder)) == ["of mine"]


def test_a_folder_behind_a_link_is_emptied_and_stays(tmp_path: Path) -> None:
    """As a mount does; removing a link as if it were a folder is an error."""
    (tmp_path / "large disk").mkdir()
    (tmp_path / "parts").symlink_to(tmp_path / "large disk")
    for end in (SpreadJob.end, SpreadJob.close):
        own = job(tmp_path / "parts")
        own.begin(["part-a"] if end is SpreadJob.end else [])
        end(own)
        assert content(tmp_path / "parts") == {}


@pytest.mark.parametrize("reason", [errno.EBUSY, errno.EACCES, errno.EPERM])
def test_a_folder_that_cannot_be_removed_stays_empty(
    reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mount, or one that somebody else has made for us in a folder of theirs."""

    def refused(folder: Path) -> None:
        raise OSError(reason, os.strerror(reason), str(folder))

    own = job(tmp_path / "parts")
    own.begin(["part-a"])
    monkeypatch.setattr(Path, "rmdir", refused)
    own.end()
    assert content(tmp_path / "parts") == {}


@pytest.mark.parametrize(("options", "message"), [({"partitions": 0}, "partitions"), ({"retries": -1}, "retries")])
def test_numbers_out_of_range(options: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{message} must be at least"):
        job(tmp_path, **options)
