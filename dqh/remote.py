"""Files in object stores, by URL: read, listed, and put there, by the file systems of fsspec, which is loaded at use.

Who may do so is told to the file system by its own environment (`AWS_PROFILE`, `GOOGLE_APPLICATION_CREDENTIALS`,
`FSSPEC_S3_…` …); nothing of ours takes it, and a URL that holds a password or a signature is refused. Nothing is kept
of listings, so that what is asked is what is there now. Whatever a library raises becomes an `OSError` with the URL.
"""

import base64
import errno
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dqh.errors import RemoteError, first_line
from dqh.urls import has_secret, is_url, redacted, scheme_of, spelt, store_of

_OF_EXTRA = "uv sync --inexact --extra remote"

INSTALL: Mapping[str, str] = {
    **dict.fromkeys(("s3", "s3a"), f"the package s3fs; install it: {_OF_EXTRA}"),
    **dict.fromkeys(("gs", "gcs"), f"the package gcsfs; install it: {_OF_EXTRA}"),
    **dict.fromkeys(("abfs", "abfss", "az"), "the package adlfs; install it: uv pip install adlfs"),
    "hdfs": "pyarrow with Hadoop's client: install that and Java, and set JAVA_HOME, HADOOP_HOME and CLASSPATH",
    "memory": "fsspec; install it: uv pip install fsspec",
    "file": "fsspec; install it: uv pip install fsspec",
}
"""Schemes of the stores that are known, and what each needs."""

PIECE = 2**23
"""Bytes read or written at a time."""

_WITH_FOLDERS = ("hdfs", "file", "memory")

_opened: dict[tuple[int, str], Any] = {}
"""File systems by process and store: a process that was forked makes its own, since their threads stay behind."""


class Entry(NamedTuple):
    """What a store says of a file or a folder: its size in bytes, and its MD5, hexadecimal, where it may be one."""

    kind: Literal["file", "folder"]
    size: int
    md5: str | None = None


def is_of_store(text: str) -> bool:
    """Whether a text is a URL of a store that is known."""
    return is_url(text) and scheme_of(text) in INSTALL


def is_no_setting(text: str) -> bool:
    """Whether a setting cannot be this text: a URL of a store that is known, or one that holds a secret."""
    return is_of_store(text) or (is_url(text) and has_secret(text))


def refusal(url: str) -> str | None:
    """Why a URL is not taken, and the next step; None where it is. Nothing is loaded or asked."""
    if has_secret(url):
        return (
            f"{redacted(url)} holds a password, key or signature, which would be written into indexes and logs; leave "
            "it out, and give it to the file system by its own environment, as AWS_PROFILE or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    if scheme_of(url) not in INSTALL:
        known = ", ".join(f"{scheme}://" for scheme in INSTALL)
        return f"{url} is of no store that is read, which are {known}; copy what is there to one of them, or here"
    scheme, place = scheme_of(url), url.partition("://")[2]
    if scheme == "file" and not place.startswith("/"):
        return f"{url} names no folder of this machine; write file:///PATH, with three slashes"
    if scheme not in _WITH_FOLDERS and not place.strip("/"):
        return f"{url} names no bucket; write {scheme}://BUCKET/PATH"
    return None


def require_taken(url: str) -> None:
    """Raise `RemoteError` where a URL is not taken."""
    if problem := refusal(url):
        raise RemoteError(problem)


def entry(url: str) -> Entry | None:
    """What is at a URL; None where nothing is.

    Raises:
        RemoteError: the URL is refused, or its file system is not installed.
        OSError: the store cannot be reached, or does not tell.
    """
    system, path = _system(url)
    try:
        with _asking(url):
            return _entry(system.info(path))
    except FileNotFoundError:
        return None


def read(url: str, *, most: int) -> bytes:
    """The first bytes of a file, at most so many; errors as of `entry`, and `FileNotFoundError`."""
    system, path = _readable(url)
    try:
        with _asking(url):
            content: bytes = system.cat_file(path, start=0, end=most)
            return content
    except (FileNotFoundError, PermissionError, RemoteError):
        raise
    except OSError:
        told = entry(url)
        if told is not None and told.kind == "folder":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), url) from None
        if told is not None and told.size == 0:  # of which some stores give no range
            return b""
        raise


def below(url: str) -> list[str]:
    """The URLs of all files below a folder, at any depth, sorted; errors as of `entry`."""
    return sorted(entries(url))


def entries(url: str) -> dict[str, Entry]:
    """All files below a folder, at any depth, by their URLs, none where there is no folder; errors as of `entry`."""
    system, path = _system(url)
    start = path.rstrip("/") + "/"
    try:
        with _asking(url):
            files = system.find(path, detail=True)
    except FileNotFoundError:
        return {}
    told = ((name, _entry(fields)) for name, fields in files.items() if name.startswith(start) and name != start)
    return {f"{url}/{name.removeprefix(start)}": own for name, own in told if own is not None and own.kind == "file"}


def names(url: str) -> list[str]:
    """The names of files that lie in a folder itself, sorted; none where there is no folder. Errors as of `entry`."""
    system, path = _system(url)
    try:
        with _asking(url):
            listed = system.ls(path, detail=True, refresh=True)
    except FileNotFoundError:
        return []
    files = [fields["name"] for fields in listed if fields["type"] == "file"]
    return sorted(name.rpartition("/")[2] for name in files if name.rstrip("/") != path.rstrip("/"))


def opened(url: str) -> "RemoteFile":
    """A file, opened for reading; errors as of `entry`, and `FileNotFoundError`. Its own are `OSError`."""
    system, path = _readable(url)
    with _asking(url):
        return RemoteFile(url, system.open(path, "rb"))


def pieces(url: str) -> Iterator[bytes]:
    """The content of a file, some MiB at a time; errors as of `opened`."""
    with opened(url) as file:
        while piece := file.read(PIECE):
            yield piece


def put(file: Path, url: str) -> None:
    """Copy a file of this machine into a store, in the place of what is there; errors as of `entry`."""
    system, path = _writable(url)
    with _asking(url):
        system.put_file(os.fspath(file), path)


def put_bytes(content: bytes, url: str) -> None:
    """Put a small file into a store, in the place of what is there; errors as of `entry`."""
    system, path = _writable(url)
    with _asking(url):
        system.pipe_file(path, content)


def remove(url: str) -> None:
    """Remove a file from a store, if it is there; errors as of `entry`."""
    system, path = _system(url)
    try:
        with _asking(url):
            system.rm_file(path)
    except FileNotFoundError:
        pass


class RemoteFile(io.RawIOBase):
    """A file in a store, for reading; what its library raises becomes an `OSError` with the URL."""

    def __init__(self, url: str, file: Any) -> None:
        super().__init__()
        self._url, self._file = url, file

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        with _asking(self._url):
            content: bytes = self._file.read(-1 if size is None else size)
            return content

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes, into a buffer; how many."""
        view = memoryview(buffer).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte."""
        with _asking(self._url):
            self._file.seek(offset, whence)
            return int(self._file.tell())

    def tell(self) -> int:
        """The byte that comes next."""
        return int(self._file.tell())

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Let go of it."""
        if not self.closed:
            self._file.close()
        super().close()


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and its path there."""
    require_taken(url)
    url = spelt(url)
    key = os.getpid(), store_of(url)
    if key not in _opened:
        _opened[key] = _made(url)
    system = _opened[key]
    return system, system._strip_protocol(url)


def _readable(url: str) -> tuple[Any, str]:
    """As `_system`; where that is a disk of this machine, a pipe or a device is refused before it is opened."""
    system, path = _system(url)
    if scheme_of(url) == "file":
        with _asking(url):
            kind = system.info(path)["type"]
        if kind == "other":
            raise OSError(errno.EINVAL, "no regular file", url)
    return system, path


def _writable(url: str) -> tuple[Any, str]:
    """As `_system`, with the folder made where there are real ones; where there are none, that would make a bucket."""
    system, path = _system(url)
    if scheme_of(url) in _WITH_FOLDERS:
        with _asking(url):
            system.makedirs(system._parent(path), exist_ok=True)
    return system, path


def _made(url: str) -> Any:
    """A file system that remembers no listings."""
    scheme = scheme_of(url)
    needs = f"{url}: {scheme}:// needs {INSTALL[scheme]}"
    try:
        from fsspec import get_filesystem_class

        kind = get_filesystem_class(scheme)
    except ImportError as error:
        raise RemoteError(needs) from error
    try:
        with _asking(url):
            return kind(**kind._get_kwargs_from_urls(store_of(url)), use_listings_cache=False)
    except OSError as error:
        if scheme == "hdfs":  # whose libraries are loaded now
            raise RemoteError(f"{needs} ({error.strerror})") from error
        raise


def _entry(fields: Mapping[str, Any]) -> Entry | None:
    """What a file system says, in our words; None for what is neither a file nor a folder."""
    if fields["type"] == "directory":
        return Entry("folder", 0)
    if fields["type"] != "file":
        return None
    return Entry("file", int(fields["size"] or 0), _md5(fields))


def _md5(fields: Mapping[str, Any]) -> str | None:
    """The MD5 that a store may give: as the tag of an object that was put in one piece, or as a field of its own."""
    if isinstance(field := fields.get("md5Hash"), str):
        return base64.b64decode(field).hex()
    tag = str(fields.get("ETag", "")).strip('"').lower()
    return tag if len(tag) == 32 and set(tag) <= set("0123456789abcdef") else None


@contextmanager
def _asking(url: str) -> Iterator[None]:
    """A block in which a library asks a store; each raises errors of its own kinds, of which some are no `OSError`."""
    try:
        yield
    except (RemoteError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except IsADirectoryError as error:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), url) from error
    except PermissionError as error:
        raise PermissionError(errno.EACCES, redacted(error.strerror or first_line(error)), url) from error
    except Exception as error:
        text = error.strerror if isinstance(error, OSError) else None
        number = error.errno if isinstance(error, OSError) else None
        raise OSError(number or errno.EIO, redacted(text or first_line(error)), url) from error
