"""A version made of what is written, looked at as a reader will see it, and published: the steps of a commit.

A writer publishes nothing that it cannot read: manifest and new files are read back, by the code that readers use,
before the manifest has its name.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.commands import command
from dqh.conveniences import convenience
from dqh.errors import StoreError
from dqh.files import read_regular
from dqh.index.store.announcing import Announcements
from dqh.index.store.durable import FileEntry, make_folder, publish, replace, synced, write_new
from dqh.index.store.header import Header
from dqh.index.store.manifest import (
    BESIDE,
    DELETED,
    ENCODER,
    QUANTIZER,
    SEGMENTS,
    Manifest,
    SegmentEntry,
    bitmap_name,
)
from dqh.index.store.schema import MANIFEST_BYTES
from dqh.index.store.segment import open_segment
from dqh.index.store.tags import Tags, TagsEntry, parsed_tags, read_tags, write_tags
from dqh.index.store.version import deleted_rows, read_quantizer
from dqh.tensors import write_arrays


def require_possible(header: Header) -> None:
    """Raise `ValueError` where a reader would refuse an index of this header."""
    nothing = {"segments": (), "next_id": 0, "deleted": None, "deleted_rows": 0}
    try:
        Manifest.from_bytes(header.manifest(version=1, quantizer=FileEntry("0" * 64, 1), **nothing).to_bytes())
    except (ValueError, TypeError) as error:
        raise ValueError(f"header: {error}") from error


def publish_version(
    path: Path,
    announced: Announcements,
    *,
    header: Header,
    before: Manifest | None,
    segments: tuple[SegmentEntry, ...],
    new: Sequence[SegmentEntry],
    deleted: NDArray[np.bool_],
    next_id: int,
    tags: Tags | None = None,
) -> Manifest:
    """Write bitmap and manifest, flush every folder, read back what is new, and make the version appear.

    Segments are all of the version, in the order of their rows, `new` those that were written for it; `deleted` says of
    all their rows which are. `before` is the manifest of the version before, None where this is the first one. `tags`
    are those of its images, checked ones; None for those of the version before.

    Raises:
        StoreError: a reader would refuse the version, or another writer was faster.
        OSError: something cannot be written or read.
    """
    announced.begin()
    bitmap = None
    if deleted.any():
        make_folder(path / DELETED)
        packed = np.packbits(deleted, bitorder="little").tobytes()
        bitmap = write_new(path / bitmap_name(announced.version), [packed])
        synced(path / DELETED)
    if new:
        synced(path / SEGMENTS)
    of_tags = _tags(path, announced.version, before, tags)
    manifest = header.manifest(
        version=announced.version,
        next_id=next_id,
        quantizer=before.quantizer if before else write_new(path / QUANTIZER, [write_arrays(header.quantizer.state())]),
        segments=segments,
        deleted=bitmap,
        deleted_rows=int(deleted.sum()),
        tags=of_tags,
    )
    if before is None:
        synced(path.absolute().parent)
    synced(path)

    def check(file: Path) -> None:
        if Manifest.from_bytes(read_regular(file, most=MANIFEST_BYTES)) != manifest:
            raise ValueError(f"{file} holds other values than were written")
        if before is None:
            read_quantizer(path, manifest)
        deleted_rows(path, manifest)
        if tags and manifest.tags is not None:
            parsed_tags(read_tags(path, manifest.tags), manifest.tags)
        for entry in new:
            open_segment(path, manifest, entry)

    try:
        content = manifest.to_bytes()
        if len(content) > MANIFEST_BYTES:
            raise ValueError(
                f"a manifest of {len(segments)} segments has {len(content)} bytes, at most {MANIFEST_BYTES} are read; "
                f"make them fewer: {command('dqh', 'compact', path)}"
            )
        publish(path / manifest.name, content, check=check)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: a reader would refuse the next version, which is not published: {error}") from error
    return manifest


def _tags(path: Path, version: int, before: Manifest | None, tags: Tags | None) -> TagsEntry | None:
    """What the manifest of a version says of its tags, which are written where they are others than before."""
    if tags is None:
        return None if before is None else before.tags
    return write_tags(path, version, tags)


def put_beside(path: Path, announced: Announcements, contents: Mapping[str, bytes]) -> None:
    """Put files in place that no version lists, where they are not as they should be already.

    That `encoder.json` cannot be written is a warning: it is a hint for searches, which can be told the artifact.

    Raises:
        OSError: one of the others cannot be written.
    """
    for name, content in contents.items():
        assert name in BESIDE
        try:
            same = read_regular(path / name, most=len(content)) == content
        except OSError:  # missing, longer, or no regular file
            same = False
        if not same:
            announced.begin()
            hint = convenience(f"{path / name} does not tell where the artifact is, so searches need --artifact")
            with hint if name == ENCODER else nullcontext():
                replace(path / name, content)
