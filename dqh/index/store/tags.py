"""Words that somebody has given to images, with weights: kept beside the rows of an index, by path.

    tags/N.parquet     path, tag, weight; as of version N, and of every later one that names it in its manifest

A tag says something of the whole of an image, and of the objects in it as far as their image is about them. Tags are
no labels: what is relevant, and what a filter chooses, is told by labels alone. All tags of an index are in one file,
written anew when they change and never otherwise, so that a commit of images costs nothing for them.
"""

import hashlib
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dqh.errors import StoreError
from dqh.files import open_regular
from dqh.index.store.durable import FileEntry, make_folder, synced, write_new
from dqh.index.store.rows import to_bytes, to_text

TAGS = "tags"
"""The folder."""

TAG_BYTES = 2**10
"""Longest tag."""

MOST_TAGS = 256
"""Of an image."""

FILE_BYTES = 2**30
"""Largest file that is written or read."""

_FOOTER_BYTES = 16 * 2**20
_ROW_BYTES = 2**15 + TAG_BYTES + 64
"""Uncompressed bytes a row that are believed, beside 1 MiB; the first are those of the longest path."""

SCHEMA = pa.schema(
    [
        pa.field("path", pa.binary(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ]
)


class Tag(NamedTuple):
    """A word of an image.

    Attributes:
        word: not empty.
        weight: how much it says of the image, above 0 and at most 1; kept as float32.
    """

    word: str
    weight: float = 1.0


Tags = Mapping[str, Sequence[Tag]]
"""Path of an image, as the index has it → its tags."""


class TagsEntry(NamedTuple):
    """What a manifest says of the tags of an index.

    Attributes:
        version: of which the file is.
        images: that have tags.
        words: different tags.
        file: its hash and size.
    """

    version: int
    images: int
    words: int
    file: FileEntry

    @property
    def name(self) -> str:
        """Of the file, relative to the index."""
        return tags_name(self.version)

    def to_json(self) -> dict[str, Any]:
        """The fields as a manifest has them; `tags_entry` is the inverse."""
        return {"version": self.version, "images": self.images, "words": self.words, **self.file._asdict()}


def tags_entry(fields: Mapping[str, Any]) -> TagsEntry:
    """The entry of what `to_json` gave."""
    file = FileEntry(fields["sha256"], fields["size"])
    return TagsEntry(fields["version"], fields["images"], fields["words"], file)


def tags_name(version: int) -> str:
    """Of the file of a version, relative to the index."""
    return f"{TAGS}/{version}.parquet"


def problem_of(tag: Tag) -> str:
    """Why a tag cannot be kept; "" where it can.

    Example:
        >>> problem_of(Tag("sofa", 0.5)), problem_of(Tag("sofa", 7.0))
        ('', 'a weight must lie above 0 and be at most 1, got 7')
    """
    try:
        size = len(tag.word.encode())
    except UnicodeEncodeError:
        return f"a tag must be Unicode, got {tag.word[:40]!r}"
    if not tag.word or "\0" in tag.word:
        return f"a tag must not be empty, nor hold the character NUL, got {tag.word[:40]!r}"
    if size > TAG_BYTES:
        return f"a tag must have at most {TAG_BYTES} bytes, got {size}: {tag.word[:40]!r}…"
    if not (math.isfinite(tag.weight) and 0 < tag.weight <= 1 and np.float32(tag.weight) > 0):
        return f"a weight must lie above 0 and be at most 1, got {tag.weight:g}"
    return ""


def checked_tags(tags: Tags) -> dict[str, tuple[Tag, ...]]:
    """Tags as they are kept: of each image by falling weight, then by word; images without any are left out.

    Raises:
        ValueError: a tag is impossible, an image has one twice, or too many.
    """
    kept: dict[str, tuple[Tag, ...]] = {}
    same: dict[Tag, Tag] = {}  # a tag as it was given → as it is kept, one object for all images that have it
    for path in sorted(tags):
        own = tags[path]
        if len(own) > MOST_TAGS:
            raise ValueError(f"{path!r} has {len(own)} tags, an image may have {MOST_TAGS}; leave the least out")
        for tag in own:
            if tag not in same:
                if problem := problem_of(tag):
                    raise ValueError(f"{path!r}: {problem}")
                same[tag] = Tag(tag.word, float(np.float32(tag.weight)))
        if len({tag.word for tag in own}) < len(own):
            raise ValueError(f"{path!r} has a tag twice; give it once")
        if own:
            kept[path] = tuple(sorted((same[tag] for tag in own), key=_order))
    return kept


def _order(tag: Tag) -> tuple[float, str]:
    return -tag.weight, tag.word


def write_tags(root: Path, version: int, tags: Mapping[str, Sequence[Tag]]) -> TagsEntry | None:
    """Write and flush the tags of a version, checked ones, which belong to none yet; None where there are none.

    Raises:
        OSError: the file cannot be written, or something of its name is there; what was written stays.
    """
    if not tags:
        return None
    pairs = [(to_bytes(path), tag) for path, own in tags.items() for tag in own]
    table = pa.Table.from_arrays(
        [
            pa.array([path for path, _ in pairs], pa.binary()),
            pa.array([tag.word for _, tag in pairs], pa.string()),
            pa.array([tag.weight for _, tag in pairs], pa.float32()),
        ],
        schema=SCHEMA,
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    make_folder(root / TAGS)
    file = write_new(root / tags_name(version), [buffer.getvalue()])
    synced(root / TAGS)
    return TagsEntry(version, len(tags), len({tag.word for _, tag in pairs}), file)


def read_tags(root: Path, entry: TagsEntry) -> bytes:
    """The content of the file, whose hash is taken from the very bytes that are returned; `parsed_tags` reads them.

    Raises:
        FileNotFoundError: the file is missing.
        OSError: it cannot be read, or is no regular file.
        StoreError: it is damaged.
    """
    file = root / entry.name
    with open_regular(file) as opened:
        content = opened.read() if os.fstat(opened.fileno()).st_size == entry.file.size else b""
    if hashlib.sha256(content).hexdigest() != entry.file.sha256:
        raise StoreError(f"{file} is damaged: it does not match the hash in the manifest; copy the index again")
    return content


def stored_tags(root: Path, entry: TagsEntry) -> dict[str, tuple[Tag, ...]]:
    """The tags by path, from the file; errors as of `read_tags`, `StoreError` also where they make no sense."""
    return sound_tags(read_tags(root, entry), root, entry)


def sound_tags(content: bytes, root: Path, entry: TagsEntry) -> dict[str, tuple[Tag, ...]]:
    """The tags of the content of a file; `StoreError` where they make no sense."""
    try:
        return parsed_tags(content, entry)
    except ValueError as error:
        raise StoreError(f"{root / entry.name} is damaged: {error}; copy the index again") from error


def parsed_tags(content: bytes, entry: TagsEntry) -> dict[str, tuple[Tag, ...]]:
    """The tags by path, from the content of the file; sizes are capped before it is parsed.

    Raises:
        ValueError: it is no Parquet file with the columns of `SCHEMA`, has rows that none may have, or other numbers
            of images and tags than the entry says.
    """
    footer = int.from_bytes(content[-8:-4], "little")
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1" or footer > _FOOTER_BYTES:
        raise ValueError("it is no Parquet file, or its footer is too long")
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        metadata, columns = file.metadata, file.schema_arrow
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        rows = metadata.num_rows
        if not columns.equals(SCHEMA) or rows > entry.images * MOST_TAGS or size > 2**20 + rows * _ROW_BYTES:
            raise ValueError(
                f"it has {rows} rows, {size} bytes and columns {columns.names}, wanted {SCHEMA.names} and the tags of "
                f"{entry.images} images"
            )
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    if any(table[name].null_count for name in SCHEMA.names):
        raise ValueError("values are missing")
    kept = checked_tags(_by_path(table))
    words = {tag.word for own in kept.values() for tag in own}
    if sum(map(len, kept.values())) != table.num_rows or (len(kept), len(words)) != (entry.images, entry.words):
        raise ValueError(
            f"it has {len(kept)} images and {len(words)} tags, wanted {entry.images} and {entry.words}, each image in "
            "one place"
        )
    return kept


def _by_path(table: pa.Table) -> dict[str, list[Tag]]:
    """The tags of each image, equal ones the same object, so that they are compared and kept once."""
    paths, words = (table[name].combine_chunks().dictionary_encode() for name in ("path", "tag"))
    image, word = (values.indices.to_numpy().astype(np.int64) for values in (paths, words))
    pairs, number = np.unique(word << 32 | table["weight"].to_numpy().view(np.uint32), return_inverse=True)
    names, weights = words.dictionary.to_pylist(), (pairs & 0xFFFFFFFF).astype(np.uint32).view(np.float32).tolist()
    known = [Tag(names[own >> 32], weight) for own, weight in zip(pairs.tolist(), weights, strict=True)]
    tags = [known[own] for own in number.tolist()]
    starts = np.flatnonzero(np.diff(image, prepend=-1))
    spans = zip(starts.tolist(), [*starts[1:].tolist(), len(tags)], strict=True)
    texts = [to_text(path) for path in paths.dictionary.to_pylist()]
    return {texts[own]: tags[start:end] for own, (start, end) in zip(image[starts].tolist(), spans, strict=True)}
