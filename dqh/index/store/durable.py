"""Files and folders that survive a power cut, and versions that appear in one step.

Every call tells `dqh.index.store.faults` where it is.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dqh.errors import StoreError
from dqh.files import sync_folder
from dqh.index.store.faults import Step, reached

_PIECE = 2**24
"""Bytes handed to the operating system at a time, at most."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL)
"""What systems say where a file system has no hard links."""


class FileEntry(NamedTuple):
    """What a manifest says of a file: the SHA-256 of its content, hexadecimal, and its size in bytes."""

    sha256: str
    size: int


def make_folder(folder: Path, *, new: bool = False) -> None:
    """Make a folder, which must not exist where it is to be `new`, and its parents, each flushed into the one above.

    Raises:
        FileExistsError: it does, or something that is no folder.
        OSError: it cannot be made.
    """
    if new and os.path.lexists(folder):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        reached(Step.FOLDER_MADE, place)
        synced(place.parent)


def write_new(path: Path, parts: Iterable[bytes | memoryview]) -> FileEntry:
    """Write a file that must not exist yet, of C-contiguous parts, and flush it; its folder is flushed by `synced`.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written; what was written stays.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("xb", buffering=0) as file:
        reached(Step.FILE_OPENED, path)
        for piece in _pieces(parts):
            written = 0
            while written < len(piece):
                written += file.write(piece[written:])
            digest.update(piece)
            size += len(piece)
            reached(Step.FILE_HALF, path)
        reached(Step.FILE_WRITTEN, path)
        os.fsync(file.fileno())
    reached(Step.FILE_SYNCED, path)
    return FileEntry(digest.hexdigest(), size)


def synced(folder: Path) -> None:
    """Flush the entries of a folder."""
    sync_folder(folder)
    reached(Step.FOLDER_SYNCED, folder)


def temporary_of(path: Path) -> Path:
    """The name of a file while it is written."""
    return path.with_name(f".{path.name}.new")


def publish(path: Path, content: bytes, *, check: Callable[[Path], None]) -> None:
    """Make `path` appear with its whole content, in one step, where nothing of that name exists.

    That step is a hard link, which fails by itself where the name is taken. A file system without links gets a rename,
    which is one step too, after a look that nothing is there: between the two no other writer can come, as it has no
    lock (and on Windows a rename fails by itself).

    `check` is called with a file of this content before it counts; what it raises ends the attempt.

    Raises:
        StoreError: there is such a file: another writer was faster, in spite of the lock.
        OSError: it cannot be written or linked. Where `path` exists afterwards, it is published all the same.
    """
    temporary = temporary_of(path)
    write_new(temporary, [content])
    check(temporary)
    try:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
            os.rename(temporary, path)  # noqa: PTH104 (not `replace`, which never fails)
    except FileExistsError as error:
        raise StoreError(f"{path} exists already: another writer was at work; run the command again") from error
    reached(Step.LINKED, path)
    synced(path.parent)
    reached(Step.PUBLISHED, path)
    temporary.unlink(missing_ok=True)
    reached(Step.REMOVED, temporary)


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of one, whatever is there, in one step; a link is replaced and not followed.

    Raises:
        OSError: it cannot be written, or a folder is there; what was there stays.
    """
    temporary = temporary_of(path)
    write_new(temporary, [content])
    temporary.replace(path)
    synced(path.parent)


def _pieces(parts: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """Each part in at least two pieces, so that a file can be caught half-written."""
    for part in parts:
        whole = memoryview(part).cast("B")
        step = max(1, min(_PIECE, -(-len(whole) // 2)))
        for start in range(0, len(whole), step):
            yield whole[start : start + step]
