"""A version of an index copied into an object store, and what lies there by its URL.

    v<N>.json, quantizer.safetensors, segments/…, deleted/…, tags/…   as in a folder, see `dqh.index.store.manifest`
    shard.json              of a shard, since a copy of it must not be taken for a whole index
    .publishing-v<N>.json   sealed JSON: names, sizes and hashes of what is about to be put there; goes at the end

Files go first, each checked, and the manifest last: who looks for the newest version finds a whole one or the one
before. Nothing is removed but such notes, and nothing is replaced but what a note names, since a copy that was broken
off may have left a part of it.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dqh import remote
from dqh.commands import command
from dqh.errors import NoStoreError, StoreError
from dqh.files import open_regular, read_regular, reopening, sha256
from dqh.index.store.durable import FileEntry
from dqh.index.store.manifest import SHARD, Manifest, manifest_name
from dqh.index.store.part import part_of
from dqh.index.store.place import at_newest
from dqh.index.store.schema import MANIFEST_BYTES
from dqh.index.store.successors import require_successor
from dqh.progress import Progress
from dqh.sealed import seal, unseal
from dqh.urls import folder_of, name_of, redacted, spelt

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1

_SMALL = 2**12
"""Bytes of a file that is read to be compared."""

_MANIFEST_NAME = re.compile(r"v([1-9][0-9]{0,8})\.json")
_NOTE_NAME = re.compile(r"\.publishing-v[1-9][0-9]{0,8}\.json")


class Copied(NamedTuple):
    """What a copy did: of which version, how many rows it has, files and bytes that were copied, and files kept.

    Its manifest is one of the files.
    """

    version: int
    rows: int
    files: int
    bytes: int
    kept: int


class Published(NamedTuple):
    """A version in a store: its manifest, the bytes of it, and those that say which shard it is, or none."""

    manifest: Manifest
    content: bytes
    shard: bytes = b""


def publish_copy(path: str | Path, url: str, *, check: bool = False) -> Copied:
    """Copy the newest version of an index to a URL.

    What is there already stays: files that the newest manifest there lists, that the store has the MD5 of, or that are
    read and have the hash. Where a copy was broken off, the same call goes on with it. One copies to a URL at a time.

    Args:
        path: of the index.
        url: of a folder in a store.
        check: whether files that the newest manifest there lists are looked at too, by their MD5 or by reading them;
            those with another content are put there again.

    Raises:
        RemoteError: the URL is not taken, or its file system is not installed.
        NoStoreError: there is no index, or a file is at the URL.
        StoreError: the index is damaged, the store cannot be reached or written, or holds another index, a newer
            version, or a file of one of the names that no note there vouches for.
    """
    folder, place = Path(path), spelt(url)
    remote.require_taken(url)
    return at_newest(folder, lambda manifest: _publish(folder, manifest, place, check=check))


def newest_published(url: str) -> Published | None:
    """The newest version at a URL; None where there is none.

    Raises:
        RemoteError: the URL is not taken, or its file system is not installed.
        StoreError: the store cannot be reached, or the manifest is damaged.
    """
    with asking(url):
        names = remote.names(url)
        versions = [int(match[1]) for name in names if (match := _MANIFEST_NAME.fullmatch(name))]
        if not versions:
            return None
        file = f"{url}/{manifest_name(max(versions))}"
        content = remote.read(file, most=MANIFEST_BYTES + 1)
        shard = remote.read(f"{url}/{SHARD}", most=_SMALL) if SHARD in names else b""
    try:
        if len(content) > MANIFEST_BYTES:
            raise ValueError(f"it has more than {MANIFEST_BYTES} bytes")
        manifest = Manifest.from_bytes(content)
        if manifest.version != max(versions):
            raise ValueError(f"it says that it is version {manifest.version}")
    except ValueError as error:
        raise StoreError(f"{file}: {error}; remove it, and publish the index again") from error
    return Published(manifest, content, shard)


def require_published(url: str) -> Published:
    """The newest version at a URL, which must be there; other errors as of `newest_published`."""
    newest = newest_published(url)
    if newest is None:
        where = f": {folder_of(url)}" if _MANIFEST_NAME.fullmatch(name_of(url)) else ""
        _require_no_file(url, f"the folder in which dqh publish has put an index; name that{where}")
        raise NoStoreError(
            f"no index at {url}: it has no v<N>.json; put one there: {command('dqh', 'publish', 'INDEX', url)}"
        )
    return newest


def _require_no_file(url: str, wanted: str) -> None:
    """Raise `NoStoreError` where a file is at a URL."""
    with asking(url):
        told = remote.entry(url)
    if told is not None and told.kind == "file":
        raise NoStoreError(f"{url} is a file, wanted {wanted}")


@contextmanager
def asking(url: str) -> Iterator[None]:
    """A block in which a store is asked, whose errors become a `StoreError` that names it."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{redacted(str(error.filename or url))}: {error.strerror or error}; look at the name, the network, and "
            "what the environment says of who you are, and run the command again"
        ) from error


def _publish(folder: Path, manifest: Manifest, url: str, *, check: bool) -> Copied:
    content = read_regular(folder / manifest.name, most=MANIFEST_BYTES)
    before = newest_published(url)
    if before is None:
        _require_no_file(url, "a place for the files of an index; name another URL")
    else:
        require_successor(url, before.manifest, manifest, of=str(folder))
    files = manifest.files() | _of_shard(folder)
    kept = _kept(folder, files, url, {} if before is None else before.manifest.files(), check=check)
    missing = {name: entry for name, entry in files.items() if name not in kept}
    note = f"{url}/.publishing-{manifest.name}"
    is_new = before is None or before.manifest.version < manifest.version
    if missing:
        with asking(url):
            remote.put_bytes(_note(files), note)
    progress = Progress("published", len(missing), noun="files")
    for name, entry in missing.items():
        _put(folder, name, entry, url)
        progress.advance(1)
    with asking(url):
        if is_new:
            remote.put_bytes(content, f"{url}/{manifest.name}")
        for name in remote.names(url):
            if _NOTE_NAME.fullmatch(name) and _noted(f"{url}/{name}") is not None:
                remote.remove(f"{url}/{name}")
    return Copied(manifest.version, manifest.live, len(missing) + is_new, _size(missing), len(kept) + (not is_new))


def _kept(
    folder: Path, files: Mapping[str, FileEntry], url: str, listed: Mapping[str, FileEntry], *, check: bool
) -> set[str]:
    """Which files are there as they should be; with `check` those that are listed are looked at, too.

    Raises:
        StoreError: one of another content is there, which nothing says is ours.
    """
    with asking(url):
        present = remote.entries(url)
        noted = [_noted(f"{url}/{name}") for name in remote.names(url) if _NOTE_NAME.fullmatch(name)]
    kept, strange = set[str](), []
    for name, entry in files.items():
        own = present.get(f"{url}/{name}")
        if own is None:
            continue
        is_same = own.size == entry.size
        is_ours = name in listed or any(note and note.get(name) == entry for note in noted)
        if is_same and (check or listed.get(name) != entry):
            is_same = _is_same(folder / name, entry, f"{url}/{name}", own.md5)
            if not is_same and (check or not is_ours):
                is_same = _has_content(entry, f"{url}/{name}")
        if is_same:
            kept.add(name)
        elif not is_ours:
            strange.append(name)
        elif check:
            logger.warning("%s/%s is not what was put there, and is put there again", url, name)
    if strange:
        raise StoreError(
            f"{url} holds {', '.join(map(repr, strange[:3]))}, and no version or note there says that dqh has put that "
            "there for this index; name another URL, or remove what is there"
        )
    return kept


def _is_same(file: Path, entry: FileEntry, url: str, md5: str | None) -> bool:
    """Whether a file in a store, of the right size, has the content of one here, where that can be told cheaply."""
    if entry.size > _SMALL:
        return md5 is not None and md5 == _md5(file)
    return _has_content(entry, url)


def _has_content(entry: FileEntry, url: str) -> bool:
    """Whether a file in a store has the content of one here; all of it is read."""
    digest = hashlib.sha256()
    with asking(url):
        for piece in remote.pieces(url):
            digest.update(piece)
    return digest.hexdigest() == entry.sha256


def _of_shard(folder: Path) -> dict[str, FileEntry]:
    """What says which part of which cut an index is, where it is one."""
    if part_of(folder) is None:
        return {}
    return {SHARD: FileEntry(sha256(folder / SHARD), (folder / SHARD).stat().st_size)}


def _put(folder: Path, name: str, entry: FileEntry, url: str) -> None:
    """Copy a file of an index, which is as it was written, and ask for its size there.

    It is opened once, and stays what it is where a writer removes it meanwhile.
    """
    file, place = folder / name, f"{url}/{name}"
    with open_regular(file) as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if FileEntry(digest, opened.seek(0, os.SEEK_END)) != entry:
            raise StoreError(f"{file} is damaged: it does not match its hash; see {command('dqh', 'check', folder)}")
        opened.seek(0)
        with asking(place):
            remote.put(Path(reopening(opened, file)), place)
    with asking(place):
        told = remote.entry(place)
    if told is None or told.size != entry.size:
        got = "is not there" if told is None else f"has {told.size} bytes"
        raise StoreError(f"{place} {got}, {entry.size} bytes were put there; run the command again")


def _note(files: Mapping[str, FileEntry]) -> bytes:
    return seal({"format_version": FORMAT_VERSION, "creates": {name: list(entry) for name, entry in files.items()}})


def _noted(url: str) -> dict[str, FileEntry] | None:
    """What a note says; None where it is none of ours."""
    try:
        fields = unseal(remote.read(url, most=MANIFEST_BYTES))
        if fields.get("format_version") != FORMAT_VERSION:
            return None
        return {name: FileEntry(*entry) for name, entry in fields["creates"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
        return None


def _md5(file: Path) -> str:
    """Hexadecimal MD5 of a file, by which some stores name what they hold; no proof against an adversary."""
    with open_regular(file) as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(files: Mapping[str, FileEntry]) -> int:
    return sum(entry.size for entry in files.values())
