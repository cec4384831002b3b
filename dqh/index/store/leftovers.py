"""What lies in the folder of an index and belongs to no version: what a commit or an older one left, and what is alien.

Only what a manifest of this index or a note of a writer lists, and engines that carry their own hash, is ever removed.
A name proves nothing: what else lies there is told and left.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dqh.errors import StoreError
from dqh.files import is_regular, link_below
from dqh.index.store.announcing import announced
from dqh.index.store.engine_cache import kept_engines, version_of
from dqh.index.store.faults import Step, reached
from dqh.index.store.manifest import BESIDE, LOCK, SEGMENTS, Manifest
from dqh.index.store.place import entries, read_manifest, versions_in


def leftovers(path: Path, manifest: Manifest | None, *, older: Sequence[Manifest] | None = None) -> list[str]:
    """Names of files and folders to remove, relative to the index, in the order in which they go.

    Files go before the manifest or note that lists them, so that whoever is stopped between them can tell again whose
    they are.

    Where manifests of older versions are not given, they are all that can be read.
    """
    if older is None:
        older = _older(path, manifest)
    kept = set() if manifest is None else {manifest.name, *manifest.files()}
    noted = announced(path)
    listed = [name for one in older for name in one.files()] + sorted(set().union(*noted.values()))
    files = [name for name in dict.fromkeys(listed) if name not in kept and _is_file(path, name)]
    engines = [name for name, version in kept_engines(path) if manifest is None or version != manifest.version]
    return [
        *files,
        *_folders(path, listed, kept),
        *engines,
        *(one.name for one in older if one.name not in kept),
        *noted,
    ]


def remove_leftovers(path: Path, manifest: Manifest | None, *, older: Sequence[Manifest] | None = None) -> None:
    """Remove what `leftovers` names; `OSError` where one cannot be removed."""
    for name in leftovers(path, manifest, older=older):
        place = path / name
        if place.is_dir() and not place.is_symlink():
            with contextlib.suppress(OSError):  # somebody else keeps files in it
                place.rmdir()
        else:
            place.unlink(missing_ok=True)
        reached(Step.REMOVED, place)


def unlisted(path: Path, manifest: Manifest, *, known: Iterable[str] = ()) -> list[str]:
    """Names of what lies in the folder of an index, nobody vouches for and is not `known`, `BESIDE` aside."""
    own = {LOCK, manifest.name, *manifest.files(), *BESIDE, *known}
    return sorted(name for name in entries(path) if name not in own and version_of(name) != manifest.version)


def _older(path: Path, manifest: Manifest | None) -> list[Manifest]:
    """Manifests of older versions that can be read; what cannot is not known to be ours."""
    read = []
    for version in sorted(versions_in(path)):
        if manifest is not None and version < manifest.version:
            with contextlib.suppress(OSError, StoreError):
                read.append(read_manifest(path, version))
    return read


def _is_file(path: Path, name: str) -> bool:
    return is_regular(path / name) and link_below(path, name) is None


def _folders(path: Path, listed: Iterable[str], kept: set[str]) -> list[str]:
    """Folders of segments that belong to no version."""
    of_version = {os.path.dirname(name) for name in kept}  # noqa: PTH120 (names, many)
    folders = dict.fromkeys(os.path.dirname(name) for name in listed if name.startswith(f"{SEGMENTS}/"))  # noqa: PTH120
    return [
        name for name in folders if name not in of_version and (path / name).is_dir() and link_below(path, name) is None
    ]
