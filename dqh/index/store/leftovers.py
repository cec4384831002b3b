"""What lies in the folder of an index and belongs to no version: of an unfinished commit, or of an older version."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from dqh.errors import NoStoreError
from dqh.index.store.faults import Step, reached
from dqh.index.store.manifest import (
    CACHE,
    DELETED,
    QUANTIZER,
    SEGMENT_FILES,
    SEGMENT_NAME,
    SEGMENTS,
    TEMPORARY_NAME,
    Manifest,
    foreign,
    has_lost_manifest,
    newest_version,
    no_index,
)

_MANIFEST = re.compile(r"v[0-9]+\.json")
_CACHED = re.compile(r"-v([0-9]+)-")
_BITMAP = re.compile(r"[0-9]+\.bitmap")


def leftovers(path: Path, manifest: Manifest | None) -> Iterator[Path]:
    """Files and folders to remove, in an order that never leaves an older manifest without its files.

    Args:
        path: folder of the index.
        manifest: of the newest version; None where there is none.
    """
    kept = set() if manifest is None else {path / manifest.name, *(path / name for name in manifest.files())}
    patterns = (("", _MANIFEST), ("", TEMPORARY_NAME), (DELETED, _BITMAP))
    for folder, pattern in patterns:
        yield from (each for each in _entries(path / folder) if pattern.fullmatch(each.name) and each not in kept)
    if manifest is None and (path / QUANTIZER).exists():
        yield path / QUANTIZER
    yield from (each for each in _entries(path / CACHE) if manifest is None or not is_cache_of(manifest.version, each))
    segments = set() if manifest is None else {segment.name for segment in manifest.segments}
    for segment in _entries(path / SEGMENTS):
        if SEGMENT_NAME.fullmatch(segment.name) and segment.name not in segments:
            yield from (segment / name for name in SEGMENT_FILES if (segment / name).exists())
            yield segment


def remove_leftovers(path: Path, manifest: Manifest | None) -> None:
    """Remove them.

    Raises:
        OSError: one cannot be removed.
    """
    for each in list(leftovers(path, manifest)):
        if each.is_dir():
            with contextlib.suppress(OSError):  # somebody else keeps files in it
                each.rmdir()
        else:
            each.unlink(missing_ok=True)
        reached(Step.REMOVED, each)


def is_cache_of(version: int, file: Path) -> bool:
    """Whether a file of the cache, or one that becomes such, belongs to a version."""
    found = _CACHED.search(file.name)
    return found is not None and int(found[1]) == version


def require_place(path: Path, *, new: bool) -> None:
    """Refuse a folder that is no index and may not become one.

    Args:
        path: the folder, or where one may be made.
        new: whether an index may be made.

    Raises:
        NoStoreError: there is no index, and none may be made, or somebody else has the place.
        StoreError: there was an index, which has lost its manifest.
    """
    if newest_version(path) is not None:
        return
    if not new or has_lost_manifest(path):
        raise no_index(path)
    if path.exists() and not path.is_dir():
        raise NoStoreError(f"{path} is a file; name a folder for the index")
    if other := foreign(path):
        raise NoStoreError(f"{path} is no index and holds {', '.join(map(repr, other[:3]))}; name an empty folder")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
