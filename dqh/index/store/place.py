"""Whether a folder can hold an index: whose it is, and whether its file system can do what an index needs."""

import errno
import os
from pathlib import Path

import pyarrow as pa

from dqh.errors import NoStoreError, StoreError
from dqh.files import no_folder
from dqh.index.store.manifest import CACHE, DELETED, SEGMENTS, Manifest
from dqh.index.store.newest import newest_version, read_manifest
from dqh.index.store.strangers import no_index, strangers


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


def require_no_links(path: Path, manifest: Manifest | None = None) -> None:
    """Refuse an index whose folders are symbolic links, those of the segments of a manifest among them.

    Raises:
        OSError: with `errno.ELOOP`, one of them is.
    """
    segments = () if manifest is None else manifest.segments
    for name in (SEGMENTS, DELETED, CACHE, *(f"{SEGMENTS}/{segment.name}" for segment in segments)):
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
