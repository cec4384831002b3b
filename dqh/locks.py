"""The one lock of this package: a block that no other one enters while it lasts, here or in another process.

The operating system holds the lock (`flock`) and lets go of it when the process ends, however it ends. Where there are
no such locks (Windows), nothing is locked, and the exclusive appearance of what is published is the guard.

Why not `filelock`: it locks a pipe or a device as if it were a file, and opens it, which alone sets some to work; it
cannot lock a folder, in which no file of a lock may lie; it refuses the lock file of another user in a shared folder;
and it takes the word of a file system that lets two in. Its files of process numbers in the place of missing locks,
which a killed process leaves behind, could be switched off.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dqh.errors import DqhError

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_LONGEST = 4096
"""Bytes of a note that are read."""


def this_process() -> str:
    """This process as the holder of a lock that other machines may meet."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def locked_file(file: Path, *, error: type[DqhError], holder: str = "", otherwise: str = "") -> Iterator[None]:
    """A block that is alone with a file, which stands for the folder that it lies in, and stays there afterwards.

    The file is made where it is missing; a `holder` is written into it, for who meets the lock, and left there;
    `otherwise` is what may be done instead of waiting.

    Raises:
        DqhError: `error`: somebody else is in such a block, the file system keeps no locks, or something that is no
            regular file is in its place.
        OSError: the file cannot be made or written, or is a link.
    """
    opened = partial(_open_file, file, error)
    with _held(file, opened, folder=file.parent, error=error, otherwise=otherwise) as descriptor:
        if holder and descriptor is not None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{holder}\n".encode(), 0)
        yield


@contextmanager
def locked_folder(folder: Path, *, error: type[DqhError]) -> Iterator[None]:
    """A block that is alone with a folder, in which nothing is written for it.

    Raises:
        DqhError: `error`: somebody else is in such a block, or the file system keeps no locks.
        OSError: it is no folder, or cannot be opened.
    """

    def opened() -> int:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    with _held(folder, opened, folder=folder, error=error):
        yield


@contextmanager
def _held(
    place: Path, opened: Callable[[], int], *, folder: Path, error: type[DqhError], otherwise: str = ""
) -> Iterator[int | None]:
    """The descriptor of a place while it is locked; None where there are no locks."""
    if os.name != "posix":
        yield None
        return
    with _closing(opened()) as descriptor:
        if not _taken(descriptor, folder, error):
            by = os.pread(descriptor, _LONGEST, 0).decode("utf-8", "replace").strip() if place != folder else ""
            instead = f", or {otherwise}" if otherwise else ""
            raise error(f"{folder} is being written by {by or 'another process'}; wait until it ends{instead}")
        with _closing(opened()) as other:
            if _taken(other, folder, error):
                raise _without_locks(folder, "it lets two in", error)
        yield descriptor


def _taken(descriptor: int, folder: Path, error: type[DqhError]) -> bool:
    """Whether the lock could be taken, at once."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        if failure.errno in _TAKEN:
            return False
        raise _without_locks(folder, str(failure), error) from failure
    return True


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_file(file: Path, error: type[DqhError]) -> int:
    """The regular file of a lock, made where it is missing."""
    with contextlib.suppress(FileNotFoundError):
        _require_file(file, file.lstat().st_mode, error)  # before opening: that alone sets some devices to work
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        _require_file(file, os.fstat(descriptor).st_mode, error)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_file(file: Path, mode: int, error: type[DqhError]) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a symbolic link in the place of the lock; move it away", str(file))
    if not stat.S_ISREG(mode):
        raise error(f"{file} is no regular file, as which the lock is kept; move it away, and run the command again")


def _without_locks(folder: Path, why: str, error: type[DqhError]) -> DqhError:
    return error(
        f"{folder} lies on a file system without file locks (flock), which keep a second writer out: {why}; name a "
        "folder on a local disk (or another one that has them, as NFS), and copy what is written when it is done"
    )
