"""Files and folders that survive a power cut, versions that appear in one step, and the lock of the one writer.

Every call tells `dqh.index.store.faults` where it is.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dqh.errors import StoreError
from dqh.files import sync_folder
from dqh.index.store.faults import Step, reached

_PIECE = 2**24
"""Bytes handed to the operating system at a time, at most."""


class FileEntry(NamedTuple):
    """What a manifest says of a file.

    Attributes:
        sha256: of its content, hexadecimal.
        size: bytes.
    """

    sha256: str
    size: int


def make_folder(folder: Path) -> None:
    """Make a folder and its parents where they are missing, each flushed into the one above."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        reached(Step.FOLDER_MADE, each)
        synced(each.parent)


def write_new(path: Path, parts: Iterable[bytes | memoryview]) -> FileEntry:
    """Write a file that must not exist yet, and flush it; its folder is flushed by `synced`.

    Args:
        path: the file.
        parts: its content, C-contiguous.

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


def publish(path: Path, content: bytes) -> None:
    """Make `path` appear with its whole content, in one step, where nothing of that name exists.

    Raises:
        StoreError: there is such a file: another writer was faster, in spite of the lock.
        OSError: it cannot be written or linked. Where `path` exists afterwards, it is published all the same.
    """
    temporary = path.with_name(f".{path.name}.new")
    write_new(temporary, [content])
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise StoreError(f"{path} exists already: another writer was at work; run the command again") from error
    reached(Step.LINKED, path)
    synced(path.parent)
    reached(Step.PUBLISHED, path)
    temporary.unlink()
    reached(Step.REMOVED, temporary)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A block that no other one enters while it lasts, here or in another process.

    The operating system holds the lock and lets go of it when the process ends, however it ends. The file stays, empty.
    Where there are no such locks (Windows), the exclusive link of a version is the guard.

    Raises:
        StoreError: somebody else is in such a block.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    with file.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{file.parent} is being written by another process; wait until it ends") from error
        yield


def _pieces(parts: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """Each part in at least two pieces, so that a file can be caught half-written."""
    for part in parts:
        whole = memoryview(part).cast("B")
        step = max(1, min(_PIECE, -(-len(whole) // 2)))
        for start in range(0, len(whole), step):
            yield whole[start : start + step]
