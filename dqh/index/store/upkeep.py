"""What an index consists of, and taking images out of it."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.errors import StoreError
from dqh.index.store.filtering import matching
from dqh.index.store.live_rows import Known
from dqh.index.store.manifest import Manifest
from dqh.index.store.place import at_newest
from dqh.index.store.rows import Row
from dqh.index.store.tags import stored_tags
from dqh.index.store.version import Version
from dqh.index.store.where import In, parse
from dqh.index.store.writer import Writer
from dqh.urls import below, is_url, spelt

_BLOCK = 4096
"""Rows whose features are read together."""


@dataclass(frozen=True)
class Info:
    """An index in figures.

    `deleted` are rows that a compaction would let go, `bytes` those of all files; `tagged` images have tags, `tags`
    different ones.
    """

    version: int
    rows: int
    deleted: int
    segments: int
    bytes: int
    next_id: int
    encoder_id: str
    precision: str
    code_kind: str
    bits: int
    feature_size: int
    root: str
    detector_id: str | None
    tagged: int
    tags: int


def info(path: str | Path) -> Info:
    """What the manifest of the newest version says.

    Raises:
        NoStoreError: there is no index.
        StoreError: its manifest is damaged.
    """
    return at_newest(Path(path), lambda manifest: _info(Path(path), manifest))


def _info(path: Path, manifest: Manifest) -> Info:
    return Info(
        version=manifest.version,
        rows=manifest.live,
        deleted=manifest.deleted_rows,
        segments=len(manifest.segments),
        bytes=sum(entry.size for entry in manifest.files().values()) + (path / manifest.name).stat().st_size,
        next_id=manifest.next_id,
        encoder_id=manifest.encoder_id,
        precision=manifest.precision,
        code_kind=manifest.code_kind,
        bits=manifest.bits,
        feature_size=manifest.feature_size,
        root=manifest.root,
        detector_id=manifest.detector_id,
        tagged=0 if manifest.tags is None else manifest.tags.images,
        tags=0 if manifest.tags is None else manifest.tags.words,
    )


def frequent_tags(path: str | Path, *, most: int) -> dict[str, int]:
    """The tags that most images of the newest version have, and how many have each; of equal ones by word.

    Raises:
        NoStoreError: there is no index.
        StoreError: its manifest or its tags are damaged.
    """

    def counted(manifest: Manifest) -> dict[str, int]:
        if manifest.tags is None:
            return {}
        tags = stored_tags(Path(path), manifest.tags)
        counts = Counter(tag.word for own in tags.values() for tag in own)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most])

    return at_newest(Path(path), counted)


def remove(path: str | Path, *, paths: Sequence[str] = (), where: str | None = None) -> tuple[int, ...]:
    """Take images out of an index, in one version.

    Args:
        path: folder of the index.
        paths: of images, relative to its root as the index has them, else absolute or relative to the folder that the
            process is in; every box of them goes, and every object.
        where: what else goes, see `dqh.index.store.where`; the objects that a detector saw in an image go with it.

    Returns:
        The ids that went, ascending.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged, in use by another writer, or cannot be written.
        WhereError: the filter does not parse.
        ValueError: neither is given, or a path is not in the index.
    """
    if not paths and where is None:
        raise ValueError("name what to remove: give paths or where")
    tree = None if where is None else parse(where)
    with Writer(path) as writer:
        version = writer.opened()
        named = _named(version, paths)
        chosen = named if tree is None else np.union1d(named, _with_objects(version, matching(tree, version)))
        writer.delete(version.ids[chosen])
        writer.commit()
        return tuple(version.ids[chosen].tolist())


def _with_objects(version: Version, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some rows, and the objects of the whole images among them, ascending."""
    if not version.objects.any():
        return rows
    paths = tuple(row.path for row in version.rows(rows[~version.objects[rows]]) if row.box is None)
    of_them = matching(In("path", paths), version)
    return np.union1d(rows, of_them[version.objects[of_them]])


def _named(version: Version, paths: Sequence[str]) -> NDArray[np.int64]:
    """Rows of images by their paths, ascending."""
    root = version.manifest.root
    spelt = {path: _spellings(path, root) for path in paths}
    rows = matching(In("path", tuple({spelling for spellings in spelt.values() for spelling in spellings})), version)
    stored = version.rows(rows)
    paths_there = {row.path for row in stored}
    missing = sorted(path for path, spellings in spelt.items() if paths_there.isdisjoint(spellings))
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(paths)} paths are not in {version.path}, first {missing[0]!r}; name them as dqh "
            f"search does, relative to the root {root or '/'}, or as files, or take --where \"path like '%…'\""
        )
    chosen = {next(spelling for spelling in spellings if spelling in paths_there) for spellings in spelt.values()}
    return rows[[row.path in chosen for row in stored]]


def _spellings(path: str, root: str) -> tuple[str, ...]:
    """What an index may have an image as: as it is given, or as `dqh index` has the file at that path, or URL."""
    if is_url(path):
        url = spelt(path)
        return path, url, below(url, root) or url
    if is_url(root):
        return path, os.path.abspath(path)  # noqa: PTH100 (as below)
    whole, inside = os.path.abspath(path), root.rstrip("/") + "/"  # noqa: PTH100 (as dqh index has it)
    if whole.startswith(inside):
        return path, whole.removeprefix(inside)
    return path, whole, os.path.relpath(whole, root)


def compact(path: str | Path) -> int:
    """Write an index anew without its deleted rows, in as few segments as possible; its ids stay.

    Returns:
        The number of the newest version.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged, in use by another writer, or cannot be written.
    """
    with Writer(path) as writer:
        return writer.compact()


def relabel(writer: Writer, rows: Sequence[Row]) -> None:
    """Put other labels on images that an index has; ids, codes and features stay. Commit afterwards.

    Path, box and content hash of a row are those that the index has; what an object is, and its score, stay too.

    Raises:
        ValueError: the index does not have such a row.
        StoreError: a row was not committed yet, or features are damaged, or a segment cannot be written.
    """
    known = [_known(writer, row) for row in rows]
    rows = [row._replace(object=old.object, score=old.score) for row, old in zip(rows, known, strict=True)]
    if not known:
        return
    manifest = writer.manifest
    if manifest is None or max(row.position for row in known) >= manifest.rows:
        raise StoreError(f"{writer.path} has rows among them that are not committed; call commit() first")
    version = writer.opened()
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        places = np.searchsorted(version.ids, [row.id for row in known[part]])
        writer.replace(rows[part], version.codes(places), version.read_features(places))


def _known(writer: Writer, row: Row) -> Known:
    known = writer.find(row.path, row.box)
    if known is None or known.content_hash != row.content_hash:
        raise ValueError(f"{row.path!r} is not in the index with this content; add or replace it")
    return known
