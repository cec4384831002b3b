"""The folder of an index: its newest version, where readers and writers begin, whose it is, and if it can hold one."""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from dqh.commands import command
from dqh.errors import NoStoreError, StoreError
from dqh.files import is_regular, link_to_nothing, no_folder, read_regular
from dqh.index.store.announcing import announced
from dqh.index.store.manifest import CACHE, DELETED, LOCK, SEGMENTS, Manifest, manifest_name
from dqh.index.store.schema import MANIFEST_BYTES
from dqh.index.store.system_errors import unreadable
from dqh.index.store.tags import TAGS
from dqh.intent import NOTE_NAME
from dqh.locks import locked_file
from dqh.urls import not_local

_FOLDERS = re.compile(rf"{SEGMENTS}(/[0-9]{{9}}-[0-9]{{6}})?|{DELETED}|{CACHE}|{TAGS}")
_OF_SEGMENT = re.compile(rf"{SEGMENTS}/[0-9]{{9}}-[0-9]{{6}}/.+")
_MANIFEST_NAME = re.compile(r"v([1-9][0-9]{0,8})\.json")
_LOOKS = 5

T = TypeVar("T")


def entries(path: Path) -> Iterator[str]:
    """Names of all that lies below a folder, relative to it: files, links, what else is no folder, and empty folders.

    Empty folders and an empty `LOCK` as an index has them, and empty notes, which a writer that was killed may have
    left, hold nothing, and are left out. Links are not followed.

    Raises:
        OSError: a folder cannot be listed.
    """
    for folder, folders, files in os.walk(path, onerror=_unless_gone):
        below = "" if folder == os.fspath(path) else os.path.relpath(folder, path) + "/"
        linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 (thousands)
        for name in (*files, *linked):
            if not _holds_nothing(path, below + name):
                yield below + name
        if below and not files and not folders and not _FOLDERS.fullmatch(below[:-1]):
            yield below[:-1]


def strangers(path: Path) -> list[str]:
    """Names below a folder without a version that no writer has announced.

    Raises:
        OSError: a folder cannot be listed.
    """
    seen = sorted(entries(path))  # before the notes: whatever is created later was announced before
    noted = announced(path)
    own = set(noted).union(*noted.values())
    return [name for name in seen if name not in own or not is_regular(path / name)]


def no_index(path: Path) -> StoreError:
    """The error that says why a folder without a manifest is none: there never was one, or it has lost its manifest."""
    if problem := not_local(path) or link_to_nothing(path):
        return NoStoreError(f"no index at {path}: {problem}")
    try:
        others = strangers(path) if path.is_dir() else [path.name] if path.exists() else []
    except OSError:
        others = [path.name]
    if any(_OF_SEGMENT.fullmatch(name) for name in others):
        return StoreError(
            f"{path} has lost its v<N>.json, its segments are there; copy the whole folder again, or put the images "
            "into a new one: dqh index ARTIFACT IMAGES --out NEW"
        )
    make = command("dqh", "index", "ARTIFACT", "IMAGES", "--out", "NEW" if others else path)
    return NoStoreError(f"no index at {path}: it has no v<N>.json; make one with {make}")


def _holds_nothing(path: Path, name: str) -> bool:
    file = path / name
    return bool(name == LOCK or NOTE_NAME.fullmatch(name)) and is_regular(file) and not file.stat().st_size


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # removed by a writer meanwhile
        raise error


def newest_version(path: Path) -> int | None:
    """The greatest version that a folder has a manifest of."""
    # A listing may miss what appears while it is read, and then what disappears: whoever sees nothing looks again.
    for _ in range(_LOOKS):
        versions = versions_in(path)
        if versions:
            return max(versions)
    return None


def versions_in(path: Path) -> list[int]:
    """The versions that a folder has manifests of, in no order."""
    if not path.is_dir():
        return []
    return [int(match[1]) for file in path.iterdir() if (match := _MANIFEST_NAME.fullmatch(file.name))]


def read_manifest(path: Path, version: int) -> Manifest:
    """The manifest of a version.

    Raises:
        FileNotFoundError: it is not there any more.
        OSError: it cannot be read, or is no regular file.
        StoreError: it is damaged, or of another format version.
    """
    file = path / manifest_name(version)
    try:
        manifest = Manifest.from_bytes(read_regular(file, most=MANIFEST_BYTES))
        if manifest.version != version:
            raise ValueError(f"it says that it is version {manifest.version}")
    except ValueError as error:
        raise StoreError(f"{file}: {error}; copy the index again, or make it anew with dqh index") from error
    return manifest


def at_newest(path: Path, use: Callable[[Manifest], T]) -> T:
    """What `use` makes of the newest manifest; asked again where a writer removes its files meanwhile.

    Raises:
        NoStoreError: there is no index.
        StoreError: the manifest or a file of it is damaged or missing, or cannot be read.
        StoreLimitError: the system gives this process no more open files or memory.
    """
    while True:
        try:
            version = newest_version(path)
            if version is None:
                raise no_index(path)
            return use(read_manifest(path, version))
        except FileNotFoundError as error:
            if newest_version(path) == version:
                raise unreadable(path, error) from error
        except OSError as error:
            raise unreadable(path, error) from error


def require_place(path: Path, *, new: bool) -> None:
    """Refuse a folder that is no index and may not become one, as it may where a `new` one may be made.

    Raises:
        NoStoreError: there is no index, and none may be made, or somebody else has the place.
        StoreError: there was an index, which has lost its manifest, or the newest one is damaged.
        OSError: something in it cannot be read.
    """
    while (version := newest_version(path)) is not None:
        try:
            read_manifest(path, version)
        except FileNotFoundError:  # a writer has made a newer one
            if newest_version(path) == version:
                raise
        else:
            return
    if not new:
        raise no_index(path)
    if problem := no_folder(path):
        raise NoStoreError(problem)
    others = strangers(path)
    if others and newest_version(path) is None:  # another writer may have come to its first version
        lost = no_index(path)
        if not isinstance(lost, NoStoreError):
            raise lost
        raise NoStoreError(f"{path} is no index and holds {', '.join(map(repr, others[:3]))}; name an empty folder")


def require_unlocked(path: Path) -> None:
    """Refuse a place that a writer holds, before what takes long; nothing is made, and `Writer` tells all else.

    Raises:
        StoreError: another writer is at work, or no regular file is in the place of the lock.
    """
    lock = path / LOCK
    with contextlib.suppress(OSError):
        lock.lstat()
        with locked_file(lock, error=StoreError):
            pass


def require_no_links(path: Path, manifest: Manifest | None = None) -> None:
    """Refuse an index whose folders are symbolic links, those of the segments of a manifest among them.

    Raises:
        OSError: with `errno.ELOOP`, one of them is.
    """
    segments = () if manifest is None else manifest.segments
    for name in (SEGMENTS, DELETED, CACHE, TAGS, *(f"{SEGMENTS}/{segment.name}" for segment in segments)):
        if os.path.islink(link := path / name):  # noqa: PTH114 (thousands)
            raise OSError(errno.ELOOP, "a symbolic link inside an index", str(link))


def require_maps(file: Path) -> None:
    """Try on a file of an index that is not empty whether such can be mapped into memory, as features are read.

    Raises:
        StoreError: they cannot.
    """
    try:
        with pa.memory_map(os.fsencode(file)) as mapped:
            mapped.read_buffer(1)
    except OSError as error:
        raise StoreError(
            f"{file.parent} lies on a file system without memory maps, by which an index reads features: {error}; "
            "name a folder on a local disk"
        ) from error
