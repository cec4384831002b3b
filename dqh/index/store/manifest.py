"""The manifest: what a version of an index consists of, in one small file that carries its own hash.

    v<N>.json               canonical JSON, last field `self_sha256`; its appearance is the only commit point
    quantizer.safetensors   what makes codes of query embeddings: a threshold, or codebooks (M, K, D / M)
    segments/S/             rows.parquet, codes.npy, features.npy, crc.npy; never changed
    deleted/N.bitmap        one bit a row of all segments, in their order, low bit first: deleted as of version N
    tags/N.parquet          words of images, where somebody gave any: as they were changed last, in version N
    cache/                  coarse engines that took long to build; may be removed
    encoder.json            where the artifact, and the detector, was, and
    skipped.csv             which images could not be used, and
    failed.csv              which parts of a job on several workers came to nothing: of no version, replaced by each run
    shard.json              which part of which cut it is, where it was cut from another index: of no version, stays
    .intent-<N>.json        what a writer is about to create, see `dqh.intent`; goes with the commit
    LOCK                    empty

N items, B bits a code, F feature dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import dqh
from dqh.index.store.durable import FileEntry
from dqh.index.store.schema import require_fields
from dqh.index.store.tags import TagsEntry, tags_entry
from dqh.sealed import seal, unseal

FORMAT_VERSION = 3
QUANTIZER, SEGMENTS, DELETED, CACHE, LOCK = "quantizer.safetensors", "segments", "deleted", "cache", "LOCK"
BESIDE = ENCODER, SKIPPED, FAILED, SHARD = "encoder.json", "skipped.csv", "failed.csv", "shard.json"
"""Files of an index that no version lists."""

PLAIN_VERSION, OBJECTS_VERSION = 1, 2
"""Of an index without objects and tags, and of one without tags: as each was before there were any.

Whoever read these reads them still, and who does not know of tags refuses an index with some and loses none.
"""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    PLAIN_VERSION: lambda fields: {**fields, "detector_id": None},
    OBJECTS_VERSION: lambda fields: {**fields, "tags": None},
}
"""Older format version → what makes the fields of the next one out of its fields."""


@dataclass(frozen=True)
class SegmentEntry:
    """What a manifest says of a segment: its folder, rows, deleted ones included, and files by name."""

    name: str
    rows: int
    files: Mapping[str, FileEntry]


@dataclass(frozen=True)
class Manifest:
    """One version of an index.

    Attributes:
        version: N, from 1.
        encoder_id: of the artifact whose codes are in it.
        precision: of the encoder when it made them, such as `float32`.
        code_kind: of the quantizer, a key of `dqh.quantizers.QUANTIZERS`.
        code_distance: what codes are searched by where nothing else is asked for: `hamming`, `l2` or `ip`.
        bits: B.
        feature_size: F.
        root: folder that all paths are relative to.
        next_id: the id that the next new row will have.
        quantizer: the file of it.
        segments: in the order of their rows.
        deleted: the bitmap; None where no row is deleted.
        deleted_rows: how many are.
        detector_id: of what saw the objects that are in it; None where it is of whole images, and boxes, alone.
        tags: the file of the tags of its images; None where none has any.
    """

    version: int
    encoder_id: str
    precision: str
    code_kind: str
    code_distance: str
    bits: int
    feature_size: int
    root: str
    next_id: int
    quantizer: FileEntry
    segments: tuple[SegmentEntry, ...]
    deleted: FileEntry | None
    deleted_rows: int
    detector_id: str | None = None
    tags: TagsEntry | None = None

    @property
    def rows(self) -> int:
        """Rows of all segments, deleted ones included."""
        return sum(segment.rows for segment in self.segments)

    @property
    def live(self) -> int:
        """Rows that are searched."""
        return self.rows - self.deleted_rows

    @property
    def name(self) -> str:
        """Of its file."""
        return manifest_name(self.version)

    @property
    def bitmap(self) -> str | None:
        """Path of the bitmap, relative to the index."""
        return None if self.deleted is None else bitmap_name(self.version)

    def files(self) -> dict[str, FileEntry]:
        """Every file that belongs to this version but the manifest, by its path relative to the index."""
        files = {QUANTIZER: self.quantizer}
        for segment in self.segments:
            files |= {f"{SEGMENTS}/{segment.name}/{name}": entry for name, entry in segment.files.items()}
        if self.deleted is not None:
            files[bitmap_name(self.version)] = self.deleted
        if self.tags is not None:
            files[self.tags.name] = self.tags.file
        return files

    @property
    def format_version(self) -> int:
        """The oldest one that says all of it."""
        if self.tags is not None:
            return FORMAT_VERSION
        return PLAIN_VERSION if self.detector_id is None else OBJECTS_VERSION

    def to_bytes(self) -> bytes:
        """The content of its file."""
        files = ("quantizer", "segments", "deleted", "tags")
        fields = {name: value for name, value in vars(self).items() if name not in files}
        fields |= {
            "format_version": self.format_version,
            "written_by": f"dqh {dqh.__version__}",
            "quantizer": self.quantizer._asdict(),
            "deleted": None if self.deleted is None else self.deleted._asdict(),
            "tags": None if self.tags is None else self.tags.to_json(),
            "segments": [
                asdict(segment) | {"files": {name: entry._asdict() for name, entry in segment.files.items()}}
                for segment in self.segments
            ],
        }
        for name, since in (("detector_id", OBJECTS_VERSION), ("tags", FORMAT_VERSION)):
            if self.format_version < since:
                del fields[name]
        return seal(fields)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """The manifest in a file.

        Raises:
            ValueError: the content is not what was written, of another format version, or does not describe an index.
        """
        try:
            fields = unseal(content)
        except ValueError as error:
            raise ValueError(f"it is damaged: {error}") from error
        return _from_fields(_upgraded(fields))


def manifest_name(version: int) -> str:
    """Of the manifest of a version."""
    return f"v{version}.json"


def bitmap_name(version: int) -> str:
    """Of the bitmap of a version, relative to the index."""
    return f"{DELETED}/{version}.bitmap"


def _upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of the present format version."""
    number = fields.get("format_version")
    if type(number) is not int or not (number == FORMAT_VERSION or number in UPGRADES):
        raise ValueError(
            f"it has format version {number}, this version of dqh reads {[*UPGRADES, FORMAT_VERSION]}; "
            "use the dqh that wrote it"
        )
    for older in range(number, FORMAT_VERSION):
        fields = UPGRADES[older](fields)
    return fields


def _from_fields(fields: dict[str, Any]) -> Manifest:
    require_fields(fields)
    plain = {name: fields[name] for name in Manifest.__dataclass_fields__}
    return Manifest(
        **plain
        | {
            "quantizer": _entry(fields["quantizer"]),
            "segments": tuple(_segment(segment) for segment in fields["segments"]),
            "deleted": None if fields["deleted"] is None else _entry(fields["deleted"]),
            "tags": None if fields["tags"] is None else tags_entry(fields["tags"]),
        }
    )


def _segment(fields: Mapping[str, Any]) -> SegmentEntry:
    files = {name: _entry(entry) for name, entry in fields["files"].items()}
    return SegmentEntry(fields["name"], fields["rows"], files)


def _entry(fields: Mapping[str, Any]) -> FileEntry:
    return FileEntry(fields["sha256"], fields["size"])
