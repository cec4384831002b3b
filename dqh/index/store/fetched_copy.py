"""A version of an index fetched from an object store into a folder, as if a writer had made it there.

The rules of a folder hold: one writer at a time, a note before anything is created, each file flushed, and the manifest
last, behind a look at all of it by the code that readers use. Each file is compared with its hash as it comes.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from dqh import remote
from dqh.commands import command
from dqh.errors import StoreError
from dqh.files import is_regular, link_below, sha256
from dqh.index.store.announcing import announced
from dqh.index.store.durable import FileEntry, make_folder, publish, replace, synced, temporary_of, write_new
from dqh.index.store.leftovers import remove_leftovers
from dqh.index.store.manifest import LOCK, SHARD
from dqh.index.store.part import part_in, part_of
from dqh.index.store.place import newest_version, read_manifest, require_maps, require_no_links, require_place
from dqh.index.store.published_copy import Copied, Published, asking, require_published
from dqh.index.store.successors import require_successor
from dqh.index.store.system_errors import unwritable
from dqh.index.store.version import Version
from dqh.intent import announce
from dqh.locks import locked_file
from dqh.progress import Progress
from dqh.urls import spelt


def fetch_copy(url: str, path: str | Path) -> Copied:
    """Fetch the newest version of an index at a URL into a folder: a new one, or one with an older version of it.

    Files that are there as they should be stay, those of a call that was broken off among them; files of the older
    version go once the new one is there.

    Raises:
        RemoteError: the URL is not taken, or its file system is not installed.
        NoStoreError: there is no index at the URL, or a file, or the folder holds something else.
        StoreError: the store cannot be reached, a file there is missing or damaged, the folder holds another index or a
            newer version, somebody writes to it, or it cannot be written.
    """
    place, folder = spelt(url), Path(path)
    remote.require_taken(url)
    newest = require_published(place)
    try:
        require_place(folder, new=True)
        make_folder(folder)
        with locked_file(folder / LOCK, error=StoreError):
            return _fetch(place, newest, folder)
    except OSError as error:
        raise unwritable(folder, error, begun=True, version=newest_version(folder)) from error


def _fetch(url: str, newest: Published, folder: Path) -> Copied:
    manifest = newest.manifest
    version = newest_version(folder)
    before = None if version is None else read_manifest(folder, version)
    require_no_links(folder, before)
    if before is not None:
        require_successor(str(folder), before, manifest, of=url)
    is_same_part = _require_part(url, newest, folder, is_new=before is None)
    files = manifest.files()
    noted = frozenset[str]().union(*announced(folder).values())
    kept = _kept(folder, files, noted)
    missing = {name: entry for name, entry in files.items() if name not in kept}
    if before != manifest or not is_same_part:
        temporaries = {str(temporary_of(Path(name))) for name in (manifest.name, SHARD)}
        for name in temporaries & noted:
            (folder / name).unlink(missing_ok=True)
        require_maps(announce(folder, {*missing, *temporaries}))
    progress = Progress("fetched", len(missing), noun="files")
    for name, entry in missing.items():
        _get(url, name, entry, folder / name)
        progress.advance(1)
    for parent in sorted({(folder / name).parent for name in files}, reverse=True):
        synced(parent)
    if before != manifest:
        synced(folder.absolute().parent)
        publish(folder / manifest.name, newest.content, check=lambda _: _look(folder, newest))
    if not is_same_part:
        replace(folder / SHARD, newest.shard)
    remove_leftovers(folder, manifest)
    size = sum(entry.size for entry in missing.values())
    is_new = before != manifest
    return Copied(manifest.version, manifest.live, len(missing) + is_new, size, len(kept) + (not is_new))


def _require_part(url: str, newest: Published, folder: Path, *, is_new: bool) -> bool:
    """Whether a folder says already which shard of which cut it is, or is none as that in the store.

    Raises:
        StoreError: what the store says of that is damaged, or the folder is another shard, or none.
    """
    try:
        part = part_in(newest.shard) if newest.shard else None
    except (ValueError, TypeError) as error:
        raise StoreError(f"{url}/{SHARD}: {error}; remove it, and publish the shard again") from error
    own = part_of(folder)
    if own == part:
        return True
    if own is not None or not (is_new or newest.manifest.version == newest_version(folder)):
        raise StoreError(f"{folder} is {own or 'no shard'}, {url} is {part or 'none'}; name another place")
    return False


def _look(folder: Path, newest: Published) -> None:
    """Open a version before it counts; errors as of `Version`."""
    Version(folder, newest.manifest)


def _kept(folder: Path, files: Mapping[str, FileEntry], noted: Collection[str]) -> set[str]:
    """Which files are there as they should be; a part that a call which was broken off has left is removed.

    Raises:
        StoreError: one of another content is there, which no note says is ours.
    """
    kept, strange = set[str](), []
    for name, entry in files.items():
        file = folder / name
        if not os.path.lexists(file):
            continue
        whole = is_regular(file) and link_below(folder, name) is None and file.stat().st_size == entry.size
        if whole and sha256(file) == entry.sha256:
            kept.add(name)
        elif name in noted and is_regular(file) and link_below(folder, name) is None:
            file.unlink()
        else:
            strange.append(name)
    if strange:
        raise StoreError(
            f"{folder} holds {', '.join(map(repr, strange[:3]))} with another content, and no note says that dqh has "
            "put that there; name an empty folder, or remove what is there"
        )
    return kept


def _get(place: str, name: str, entry: FileEntry, file: Path) -> None:
    """Fetch a file of an index in a store, whose content is known."""
    make_folder(file.parent)
    url, again = f"{place}/{name}", ("dqh", "publish", "INDEX", place)
    with asking(url):
        told = remote.entry(url)
    if told is None:
        raise StoreError(f"{url} is missing; publish the index again: {command(*again)}")
    if write_new(file, _pieces(url, most=entry.size)) != entry:
        raise StoreError(f"{url} does not match its hash; publish the index again: {command(*again, '--check')}")


def _pieces(url: str, *, most: int) -> Iterator[bytes]:
    """The content of a file, a few bytes beyond `most` at most."""
    with asking(url):
        for piece in remote.pieces(url):
            yield piece[: most + 1]
            most -= len(piece)
            if most < 0:
                return
