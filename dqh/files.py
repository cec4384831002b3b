"""Files that are either old or new, never half-written: temporary file in the same folder, fsync, rename.

What others may have put in a place is opened by `open_regular`: nothing but regular files, and never by waiting.
"""

import errno
import hashlib
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from dqh.errors import ConfigError, DqhError
from dqh.urls import not_local


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends, and vanishes when the block raises.

    Raises:
        OSError: it cannot be written, named by `path`; also where a library that writes into the file hides the
            system's error behind one of its own, as torch does.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        cause = None if isinstance(error, DqhError) else _system_error(error)
        if cause is None:
            raise
        if cause.filename in (None, name):  # a full disk names no file
            cause.filename = str(path)
        if cause is error:
            raise
        raise cause from None
    sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_writer(path) as file:
        file.write(content)


def create(path: Path, content: bytes | memoryview) -> None:
    """Create a file, and never in the place of one: whole from the start where the system has files without a name.

    Elsewhere a process that is killed may leave a part of it. Its folder is not flushed.

    Raises:
        FileExistsError: something of this name is there.
        OSError: it cannot be written.
    """
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except (AttributeError, OSError):
        _create_named(path, content)
        return
    with os.fdopen(descriptor, "wb") as nameless:
        nameless.write(content)
        nameless.flush()
        os.fsync(descriptor)
        try:
            # with a folder named, as the call without one does not follow the link that stands for the descriptor
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        except FileExistsError:
            raise
        except OSError:  # no hard links there, or no /proc
            _create_named(path, content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` atomically, as UTF-8; bytes of file names that are no UTF-8 show as escapes."""
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` atomically, as indented ASCII JSON without NaN or infinity."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def open_regular(path: str | os.PathLike[str], *, links: bool = False) -> BufferedReader:
    """A regular file, or with `links` a link to one, opened for reading; a pipe, a socket or a device is not touched.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: something else is there, or it cannot be read; the text says what.
    """
    wanted = Path(path).stat(follow_symlinks=links)  # before opening: that alone sets some devices to work
    _require_regular(path, wanted.st_mode)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if links else flags | getattr(os, "O_NOFOLLOW", 0))
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def reopening(file: BufferedReader, path: Path) -> str:
    """A path by which a library opens again what an open file is, whatever lies at its own path by now.

    Its own path is taken where the system has no names for what is open.
    """
    name = f"/dev/fd/{file.fileno()}"
    return name if Path(name).exists() else os.fspath(path)


def read_regular(path: str | os.PathLike[str], *, most: int, links: bool = False) -> bytes:
    """The content of a regular file of `most` bytes at most; errors as of `open_regular`, or the file is larger."""
    with open_regular(path, links=links) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes", os.fspath(path))
    return content


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file is there, and not a link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False


def link_to_nothing(path: Path) -> str | None:
    """What to do about the symbolic link to nothing that a path is, or leads through; None where it is none."""
    for place in (path, *path.parents):
        if place.is_symlink() and not os.path.exists(place):  # noqa: PTH110 (Path raises where it may not look)
            return (
                f"{place} is a symbolic link to {os.fspath(place.readlink())!r}, where nothing is; make that folder, "
                "or remove the link"
            )
    return None


def no_folder(path: Path) -> str | None:
    """Why no folder can be made at a path, and the next step; None where one is, or where nothing is in the way.

    Where it is a URL, `Path` would make a folder `s3:` of it.
    """
    if problem := not_local(path) or link_to_nothing(path):
        return problem
    for place in (path, *path.parents):
        if os.path.lexists(place):
            return None if place.is_dir() else f"{place} is a file; name a folder"
    return None


def make_folders(path: Path) -> None:
    """Make a folder and its parents, where they are missing.

    Raises:
        ConfigError: a file, or a symbolic link to nothing, is in the way.
        OSError: it cannot be made.
    """
    if problem := no_folder(path):
        raise ConfigError(problem)
    path.mkdir(parents=True, exist_ok=True)


def link_below(folder: Path, name: str) -> Path | None:
    """The first part of a path below a folder that is a symbolic link; None where there is none."""
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            return path
    return None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a regular file's bytes; errors as of `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def point_to(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, replacing an older link in one step.

    Raises:
        ValueError: the two are the same.
        FileExistsError: something is there that is no link; it stays.
        OSError: the folder cannot be written, or its file system has no links.
    """
    if link.absolute() == target.absolute():
        raise ValueError(f"a link cannot point to itself: {link}")
    if link.exists() and not link.is_symlink():
        raise FileExistsError(errno.EEXIST, "what is there is no link", str(link))
    link.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=link.parent, prefix=f".{link.name}.") as folder:
        temporary = Path(folder) / link.name
        temporary.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
        temporary.replace(link)


def claim_folder(root: Path, name: str) -> Path:
    """Make the folder `root/<date>/<time>_<name>`, with a number behind it where two start in one second.

    Errors are those of `make_folders`.
    """
    now = datetime.now()
    parent = root / f"{now:%Y-%m-%d}"
    make_folders(parent)
    for number in itertools.count(1):
        folder = parent / f"{now:%H-%M-%S}_{name}{f'-{number}' if number > 1 else ''}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        break
    return folder


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the platform can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_named(path: Path, content: bytes | memoryview) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _system_error(error: BaseException) -> OSError | None:
    """The error of the system that an error is, or that it was raised for, if any."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while isinstance(cause, Exception) and id(cause) not in seen:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _require_regular(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a symbolic link where a regular file is wanted", os.fspath(path))
    kind = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}.get(stat.S_IFMT(mode), "a device")
    raise OSError(errno.EINVAL, f"{kind} where a regular file is wanted", os.fspath(path))


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
