"""An index cut into shards: indexes of its parts, which a router searches as one, see `dqh.service.router`.

N rows.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.errors import ConfigError, StoreError
from dqh.files import read_regular
from dqh.index.store.header import Header
from dqh.index.store.manifest import ENCODER, SHARD
from dqh.index.store.part import Part, part_of, parts_of
from dqh.index.store.place import at_newest
from dqh.index.store.rows import Row
from dqh.index.store.tags import Tag
from dqh.index.store.version import Version
from dqh.index.store.writer import Writer
from dqh.plural import counted
from dqh.progress import Progress
from dqh.urls import not_local

_BLOCK = 2**14
"""Rows copied together."""

_NOTE_BYTES = 2**16


def split(path: str | Path, out: str | Path, *, shards: int) -> tuple[Path, ...]:
    """Copy the rows of an index into `shards` indexes, each with images that follow one another by id.

    Ids stay, and all rows of an image are in one shard, so that the shards together answer as the index does. They are
    copies of this version: what is added to the index later is in no shard. Each says which part of which cut it is, so
    that a router knows when it does not have all of them, see `dqh.index.store.part`.

    Args:
        path: folder of the index.
        out: folder for those of the shards, `0`, `1`, …; it must not be there.
        shards: how many, at least 1 and at most as many as there are images.

    Returns:
        Their folders.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged, or a shard itself, `out` is there already, or a shard cannot be written.
        ConfigError: the number of shards is out of range.
    """
    source = Path(path)
    version = at_newest(source, lambda manifest: Version(source, manifest))
    if (part := part_of(source)) is not None:
        raise StoreError(
            f"{source} is {part} already, and parts of it would pass for a whole index; cut the index that it was cut "
            "from: dqh split INDEX --shards N --out NEW"
        )
    of_rows = shards_of(version, shards)
    folder = _claimed(Path(out))
    progress = Progress("copied", len(version), noun="rows")
    folders = tuple(folder / str(number) for number in range(shards))
    try:
        for part, own in zip(parts_of(version.manifest, shards), folders, strict=True):
            _copy(version, np.flatnonzero(of_rows == part.number), own, part, progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was made here, a moment ago
        raise
    return folders


def shards_of(version: Version, shards: int) -> NDArray[np.int64]:
    """(N,) the shard of each row: images by their smallest ids, about as many each.

    Raises:
        ConfigError: there are fewer images than shards, or `shards` is below 1.
    """
    _, first, images = np.unique(version.images(np.arange(len(version))), return_index=True, return_inverse=True)
    if not 1 <= shards <= len(first):
        most = f"at most as many as the {counted(len(first), 'image')} of {version.path}"
        raise ConfigError(f"shards must be at least 1 and {most}, got {shards}")
    of_images = np.empty(len(first), np.int64)
    of_images[np.argsort(first)] = np.arange(len(first)) * shards // len(first)
    return of_images[images]


def _claimed(out: Path) -> Path:
    """A new folder."""
    if problem := not_local(out):
        raise StoreError(problem)
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        out.mkdir()
    except FileExistsError:
        raise StoreError(f"{out} is there already; name a folder that is not, or remove this one") from None
    except OSError as error:
        raise StoreError(f"{out} cannot be made: {error.strerror}; name another folder") from error
    return out


def _copy(version: Version, rows: NDArray[np.int64], folder: Path, part: Part, progress: Progress) -> None:
    """Some rows of a version into an index of their own, with the tags of their images, and what part it is."""
    with Writer(folder, Header.of(version.path, version.manifest)) as writer:
        tags = dict[str, tuple[Tag, ...]]()
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            stored = version.rows(block)
            own = [Row(*row[1:]) for row in stored]
            writer.add(own, version.codes(block), version.read_features(block), ids=version.ids[block])
            tags |= {row.path: version.tags[row.path] for row in own if row.path in version.tags}
            progress.advance(len(block))
        if tags:
            writer.tag(tags)
        beside = {SHARD: part.to_bytes()} | ({ENCODER: note} if (note := _note(version.path)) else {})
        writer.commit(beside=beside)


def _note(path: Path) -> bytes:
    """What an index says of where its artifact is, if anything."""
    try:
        return read_regular(path / ENCODER, most=_NOTE_BYTES)
    except (OSError, ValueError):
        return b""
