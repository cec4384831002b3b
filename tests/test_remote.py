"""Files in stores by URL, on the file system in memory of fsspec, and on a disk by its URL."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dqh import remote
from dqh.errors import RemoteError
from tests.stores import stored

__all__ = ["stored"]


def test_a_file_that_is_put_is_read_listed_and_removed(stored: str, tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"content")
    remote.put(tmp_path / "own", f"{stored}/a/own")
    remote.put_bytes(b"", f"{stored}/a b/#?empty")
    assert remote.below(stored) == [f"{stored}/a b/#?empty", f"{stored}/a/own"]
    assert remote.names(f"{stored}/a") == ["own"]
    assert remote.names(stored) == []
    assert remote.names(f"{stored}/none") == []
    assert remote.entry(f"{stored}/a/own") == remote.Entry("file", 7)
    assert remote.entry(stored) == remote.Entry("folder", 0)
    assert remote.entry(f"{stored}/none") is None
    assert remote.read(f"{stored}/a/own", most=3) == b"con"
    assert remote.read(f"{stored}/a/own", most=30) == b"content"
    assert remote.read(f"{stored}/a b/#?empty", most=3) == b""
    assert list(remote.pieces(f"{stored}/a/own")) == [b"content"]
    remote.remove(f"{stored}/a/own")
    remote.remove(f"{stored}/a/own")
    assert remote.entry(f"{stored}/a/own") is None


def test_what_is_asked_is_what_is_there_now(stored: str) -> None:
    remote.put_bytes(b"1", f"{stored}/one")
    assert remote.below(stored) == [f"{stored}/one"]
    remote.put_bytes(b"22", f"{stored}/two")
    remote.put_bytes(b"333", f"{stored}/one")
    assert remote.below(stored) == [f"{stored}/one", f"{stored}/two"]
    assert remote.entry(f"{stored}/one") == remote.Entry("file", 3)


def test_an_opened_file_is_read_from_any_byte(stored: str) -> None:
    remote.put_bytes(b"one\ntwo\n", f"{stored}/lines")
    with remote.opened(f"{stored}/lines") as file:
        assert (file.seek(-4, io.SEEK_END), file.read(), file.tell(), file.seekable()) == (4, b"two\n", 8, True)
    with io.BufferedReader(remote.opened(f"{stored}/lines")) as lines:
        assert lines.readlines() == [b"one\n", b"two\n"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://NAME:PASS@bucket/1.jpg", r"^s3://\*\*\*@bucket/1.jpg holds a password, key or signature.*AWS_PROFILE"),
        ("gs://bucket/1.jpg?X-Goog-Signature=abc", r"^gs://bucket/1.jpg\?X-Goog-Signature=\*\*\* holds"),
        (
            "https://host/1.jpg",
            r"https://host/1.jpg is of no store that is read, which are s3://, .*copy what is there",
        ),
        ("simplecache::s3://bucket/1.jpg", "of no store"),
        ("file://", "^file:// names no folder of this machine; write file:///PATH"),
        ("file://photos/1.jpg", "^file://photos/1.jpg names no folder of this machine"),
        ("s3://", "^s3:// names no bucket; write s3://BUCKET/PATH"),
    ],
)
def test_a_url_that_is_not_taken(url: str, message: str) -> None:
    for ask in (remote.entry, remote.below, remote.names, remote.opened, lambda url: remote.read(url, most=1)):
        with pytest.raises(RemoteError, match=message) as raised:
            ask(url)
        assert "PASS@" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "package", "step"),
    [
        ("s3://bucket/a", "s3fs", "uv sync --inexact --extra remote"),
        ("gs://bucket/a", "gcsfs", "uv sync --inexact --extra remote"),
        ("az://container/a", "adlfs", "uv pip install adlfs"),
    ],
)
def test_a_file_system_that_is_not_installed(
    url: str, package: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})
    with pytest.raises(RemoteError, match=f"needs the package {package}; install it: {step}"):
        remote.entry(url)


class Refusing(MemoryFileSystem):
    """A store whose library has errors of its own."""

    error: Exception = RuntimeError("Could not connect to the endpoint URL s3://a:b@c")

    def info(self, path: str, **_: Any) -> Any:
        raise self.error

    cat_file = find = ls = _open = info


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RuntimeError("no answer of s3://a:b@c\nmore"), OSError, "no answer of s3://***@c"),
        (PermissionError("Forbidden"), PermissionError, "Forbidden"),
        (OSError(22, "Bad Request"), OSError, "Bad Request"),
        (TimeoutError(), OSError, "TimeoutError"),
    ],
)
def test_every_error_of_a_library_becomes_one_of_the_system(
    error: Exception, kind: type[OSError], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "error", error)
    monkeypatch.setattr(remote, "_opened", {(os.getpid(), "memory://away"): Refusing(skip_instance_cache=True)})
    for ask in (remote.entry, remote.below, remote.names, remote.opened, lambda url: remote.read(url, most=1)):
        with pytest.raises(kind) as raised:
            ask("memory://away/a")
        assert (raised.value.strerror, raised.value.filename) == (text, "memory://away/a")


def test_a_pipe_is_not_opened_by_a_url(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for ask in (remote.opened, lambda url: remote.read(url, most=1)):
        with pytest.raises(OSError, match="no regular file"):
            ask(f"file://{tmp_path}/pipe")
    assert remote.entry(f"file://{tmp_path}/pipe") is None


def test_a_file_system_is_loaded_when_one_is_asked() -> None:
    told = "import sys, dqh.remote; print('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout == "False\n"
