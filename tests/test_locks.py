"""One lock: of a file that stands for its folder, and of a folder itself."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dqh import locks
from dqh.errors import ArtifactError, ConfigError, DqhError, StoreError
from dqh.locks import locked_file, locked_folder

Locked = Callable[[Path], AbstractContextManager[None]]
KINDS: dict[str, Locked] = {
    "file": lambda folder: locked_file(folder / "LOCK", error=StoreError),
    "file that names its holder": lambda folder: locked_file(folder / "LOCK", error=StoreError, holder="process 7"),
    "folder": lambda folder: locked_folder(folder, error=StoreError),
}


@pytest.fixture(params=list(KINDS))
def locked(request: pytest.FixtureRequest) -> Locked:
    return KINDS[request.param]


def test_one_at_a_time(tmp_path: Path, locked: Locked) -> None:
    (tmp_path / "other").mkdir()
    with locked(tmp_path):
        with pytest.raises(StoreError, match=f"^{tmp_path} is being written by (another process|process 7); wait"):
            locked(tmp_path).__enter__()
        with locked(tmp_path / "other"):
            pass
    with locked(tmp_path):
        pass


def test_an_error_lets_go(tmp_path: Path, locked: Locked) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_no_descriptor_stays_open(tmp_path: Path, locked: Locked) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with locked(tmp_path), pytest.raises(StoreError):
        locked(tmp_path).__enter__()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_gains_no_file_and_the_file_stays_with_its_note(tmp_path: Path) -> None:
    with locked_folder(tmp_path, error=StoreError):
        assert not list(tmp_path.iterdir())
    with locked_file(tmp_path / "LOCK", error=StoreError):
        assert (tmp_path / "LOCK").read_bytes() == b""
    for holder in ("process 12345 on a", "process 7 on b"):
        with locked_file(tmp_path / "LOCK", error=StoreError, holder=holder):
            assert (tmp_path / "LOCK").read_text() == f"{holder}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["LOCK"]


@pytest.mark.parametrize("error", [StoreError, ArtifactError, ConfigError])
def test_the_error_is_the_one_asked_for(tmp_path: Path, error: type[DqhError]) -> None:
    with locked_folder(tmp_path, error=StoreError), pytest.raises(error, match="is being written by another process"):
        locked_folder(tmp_path, error=error).__enter__()


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "device"])
def test_the_file_is_a_regular_one(tmp_path: Path, kind: str) -> None:
    """As a pipe would be locked, a link be followed to a file of somebody else, and a device set to work."""
    place = tmp_path / "LOCK"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to("other")
    else:
        place = Path("/dev/null")
    link, other = "a symbolic link in the place of the lock", "is no regular file, .*; move it away, and run"
    with pytest.raises((OSError, StoreError), match=link if kind == "link" else other) as raised:
        locked_file(place, error=StoreError, holder="process 7").__enter__()
    assert str(place) in str(raised.value)
    assert kind == "link" or "Errno" not in str(raised.value)
    assert not (tmp_path / "other").exists()


def test_a_pipe_that_comes_between_the_look_and_the_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where somebody waits for it."""
    os.mkfifo(tmp_path / "LOCK")
    monkeypatch.setattr(Path, "lstat", lambda path: (_ for _ in ()).throw(FileNotFoundError()))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StoreError, match="no regular file"):
        locked_file(tmp_path / "LOCK", error=StoreError).__enter__()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("place", ["no folder", "none"])
def test_only_a_folder_is_locked_as_one(tmp_path: Path, place: str) -> None:
    (tmp_path / "no folder").write_text("")
    with pytest.raises(OSError, match=place) as raised:
        locked_folder(tmp_path / place, error=StoreError).__enter__()
    assert raised.value.errno in (errno.ENOTDIR, errno.ENOENT)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, None])
def test_a_file_system_without_locks_is_told(
    tmp_path: Path, locked: Locked, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that know none (network ones answer in these ways), and one that gives them to anybody."""

    def flock(descriptor: int, operation: int) -> None:
        if number is not None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    why = "it lets two in" if number is None else os.strerror(number)
    with pytest.raises(StoreError, match=rf"without file locks \(flock\).*{why}; name a folder on a local disk"):
        locked(tmp_path).__enter__()
    assert not [path for path in tmp_path.iterdir() if path.name != "LOCK"]  # nothing stands in for the lock


def test_a_disk_that_cannot_be_written_is_the_systems_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opening(path: Path, flags: int, mode: int = 0o777) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(locks.os, "open", opening)
    with pytest.raises(OSError, match="Read-only file system") as raised:
        locked_file(tmp_path / "LOCK", error=StoreError).__enter__()
    assert raised.value.filename == str(tmp_path / "LOCK")


def test_another_process_is_kept_out_until_it_is_killed(tmp_path: Path) -> None:
    """The file that it leaves hinders nobody."""
    code = (
        "import sys; from pathlib import Path; from dqh.errors import StoreError; from dqh.locks import locked_file\n"
        "with locked_file(Path(sys.argv[1]), error=StoreError, holder='process of a test'):\n"
        "    print('held', flush=True)\n    sys.stdin.read()"
    )
    file = tmp_path / "LOCK"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="is being written by process of a test; wait"):
            locked_file(file, error=StoreError).__enter__()
        other.send_signal(signal.SIGKILL)
    assert file.read_text() == "process of a test\n"
    with locked_file(file, error=StoreError):
        pass
