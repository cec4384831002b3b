"""The manifest: what a version of an index consists of, in one small file that carries its own hash.

    v<N>.json               canonical JSON, last field `self_sha256`; its appearance is the only commit point
    quantizer.safetensors   what makes codes of query embeddings: a threshold, or codebooks (M, K, D / M)
    segments/S/             rows.parquet, codes.npy, features.npy, crc.npy; never changed
    deleted/N.bitmap        one bit a row of all segments, in their order, low bit first: deleted as of version N
    cache/                  coarse engines that took long to build; may be removed
    LOCK                    empty

N items, B bits a code, F feature dimensions.
"""

import errno
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import dqh
from dqh.errors import NoStoreError, StoreError, StoreLimitError
from dqh.index.store.durable import FileEntry
from dqh.sealed import seal, unseal

FORMAT_VERSION = 1
QUANTIZER, SEGMENTS, DELETED, CACHE, LOCK = "quantizer.safetensors", "segments", "deleted", "cache", "LOCK"
SEGMENT_FILES = ("rows.parquet", "codes.npy", "features.npy", "crc.npy")
SEGMENT_NAME = re.compile(r"([0-9]{9})-[0-9]{6}")
TEMPORARY_NAME = re.compile(r"\.v[0-9]+\.json\.new")

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Older format version → what makes the fields of the next one out of its fields."""

_MANIFEST_NAME = re.compile(r"v([1-9][0-9]{0,8})\.json")
_MANIFEST_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOOKS = 5
_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

T = TypeVar("T")


@dataclass(frozen=True)
class SegmentEntry:
    """What a manifest says of a segment.

    Attributes:
        name: of its folder.
        rows: how many, deleted ones included.
        files: its files by name.
    """

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
        return f"v{self.version}.json"

    @property
    def bitmap(self) -> str | None:
        """Path of the bitmap, relative to the index."""
        return None if self.deleted is None else f"{DELETED}/{self.version}.bitmap"

    def files(self) -> dict[str, FileEntry]:
        """Every file that belongs to this version but the manifest, by its path relative to the index."""
        files = {QUANTIZER: self.quantizer}
        for segment in self.segments:
            files |= {f"{SEGMENTS}/{segment.name}/{name}": entry for name, entry in segment.files.items()}
        if self.deleted is not None:
            files[f"{DELETED}/{self.version}.bitmap"] = self.deleted
        return files

    def to_bytes(self) -> bytes:
        """The content of its file."""
        fields = {name: value for name, value in vars(self).items() if name not in ("quantizer", "segments", "deleted")}
        fields |= {
            "format_version": FORMAT_VERSION,
            "written_by": f"dqh {dqh.__version__}",
            "quantizer": self.quantizer._asdict(),
            "deleted": None if self.deleted is None else self.deleted._asdict(),
            "segments": [
                asdict(segment) | {"files": {name: entry._asdict() for name, entry in segment.files.items()}}
                for segment in self.segments
            ],
        }
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
        try:
            return _from_fields(_upgraded(fields))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it does not describe an index: {error!r}") from error


def newest_version(path: Path) -> int | None:
    """The greatest version that a folder has a manifest of."""
    # A listing may miss what appears while it is read, and then what disappears: whoever sees nothing looks again.
    for _ in range(_LOOKS):
        versions = versions_in(path)
        if versions:
            return max(versions)
    return None


def versions_in(path: Path) -> list[int]:
    """The versions that a folder has manifests of, in no order."""
    if not path.is_dir():
        return []
    return [int(found[1]) for each in path.iterdir() if (found := _MANIFEST_NAME.fullmatch(each.name))]


def read_manifest(path: Path, version: int) -> Manifest:
    """The manifest of a version.

    Raises:
        FileNotFoundError: it is not there any more.
        StoreError: it is damaged, or of another format version.
    """
    file = path / f"v{version}.json"
    try:
        if file.stat().st_size > _MANIFEST_BYTES:
            raise ValueError(f"it is larger than {_MANIFEST_BYTES} bytes")
        manifest = Manifest.from_bytes(file.read_bytes())
        if manifest.version != version:
            raise ValueError(f"it says that it is version {manifest.version}")
    except ValueError as error:
        raise StoreError(f"{file}: {error}; copy the index again, or make it anew with dqh index") from error
    return manifest


def at_newest(path: Path, use: Callable[[Manifest], T]) -> T:
    """What `use` makes of the newest manifest; asked again where a writer removes its files meanwhile.

    Raises:
        NoStoreError: there is no index.
        StoreError: the manifest or a file of it is damaged or missing, or cannot be read.
        StoreLimitError: the system gives this process no more open files or memory.
    """
    while True:
        try:
            version = newest_version(path)
            if version is None:
                raise no_index(path)
            return use(read_manifest(path, version))
        except FileNotFoundError as error:
            if newest_version(path) == version:
                raise unreadable(path, error) from error
        except OSError as error:
            raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> StoreError:
    """The error that says why an index cannot be read, and what to do."""
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{path} is incomplete: {error.filename or error} is missing; copy the whole folder")
    if is_limit(error):
        return StoreLimitError(
            f"{path} was not read to its end: {error}; nothing is known to be wrong with it. Close other programs, or "
            "raise the limit of this process (ulimit -n for open files), and run the command again"
        )
    return StoreError(f"{path} cannot be read: {error}")


def is_limit(error: OSError) -> bool:
    """Whether the system had no more to give: that says nothing of the file."""
    return error.errno in _LIMITS


def no_index(path: Path) -> StoreError:
    """The error that says why a folder without a manifest is none: there never was one, or it has lost its manifest."""
    if has_lost_manifest(path):
        return StoreError(
            f"{path} has lost its v<N>.json, its segments are there; copy the whole folder again, or put the images "
            "into a new one: dqh index ARTIFACT IMAGES --out NEW"
        )
    free = path.is_dir() and not foreign(path) if path.exists() else True
    return NoStoreError(
        f"no index at {path}: it has no v<N>.json; make one with dqh index ARTIFACT IMAGES --out "
        f"{path if free else 'NEW'}"
    )


def has_lost_manifest(path: Path) -> bool:
    """Whether a folder without a manifest has what a first commit that did not end cannot leave.

    That is a segment of a later version, or a segment beside files such as `encoder.json`: a writer begins none where
    it finds others' files.
    """
    versions = [int(found[1]) for name in _names(path / SEGMENTS) if (found := SEGMENT_NAME.fullmatch(name))]
    return any(number > 1 for number in versions) or bool(versions and foreign(path))


def foreign(path: Path) -> list[str]:
    """Names in a folder that do not come from a writer before its first version."""
    own = {LOCK, QUANTIZER, SEGMENTS, DELETED, CACHE}
    return [name for name in _names(path) if name not in own and not TEMPORARY_NAME.fullmatch(name)]


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def _upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of the present format version."""
    number = fields["format_version"]
    if not isinstance(number, int) or not (number == FORMAT_VERSION or number in UPGRADES):
        raise ValueError(
            f"it has format version {number}, this version of dqh reads {[*UPGRADES, FORMAT_VERSION]}; "
            "use the dqh that wrote it"
        )
    for older in range(number, FORMAT_VERSION):
        fields = UPGRADES[older](fields)
    return fields


def _from_fields(fields: dict[str, Any]) -> Manifest:
    manifest = Manifest(
        version=_count(fields["version"], "version"),
        encoder_id=_text(fields["encoder_id"], "encoder_id"),
        precision=_text(fields["precision"], "precision"),
        code_kind=_text(fields["code_kind"], "code_kind"),
        code_distance=_text(fields["code_distance"], "code_distance"),
        bits=_count(fields["bits"], "bits"),
        feature_size=_count(fields["feature_size"], "feature_size"),
        root=_text(fields["root"], "root"),
        next_id=_count(fields["next_id"], "next_id", least=0),
        quantizer=_entry(fields["quantizer"]),
        segments=tuple(_segment(each) for each in fields["segments"]),
        deleted=None if fields["deleted"] is None else _entry(fields["deleted"]),
        deleted_rows=_count(fields["deleted_rows"], "deleted_rows", least=0),
    )
    names = {segment.name for segment in manifest.segments}
    if len(names) < len(manifest.segments):
        raise ValueError("it names a segment twice")
    if manifest.deleted_rows > manifest.rows or (manifest.deleted is None) != (manifest.deleted_rows == 0):
        raise ValueError(f"it says that {manifest.deleted_rows} of {manifest.rows} rows are deleted, and not which")
    return manifest


def _segment(fields: Mapping[str, Any]) -> SegmentEntry:
    name = fields["name"]
    if (
        not isinstance(name, str)
        or not SEGMENT_NAME.fullmatch(name)
        or sorted(fields["files"]) != sorted(SEGMENT_FILES)
    ):
        raise ValueError(f"it names a segment {name!r} with files {sorted(fields['files'])}")
    files = {name: _entry(entry) for name, entry in fields["files"].items()}
    return SegmentEntry(name, _count(fields["rows"], "rows"), files)


def _entry(fields: Mapping[str, Any]) -> FileEntry:
    if not isinstance(fields["sha256"], str) or not _SHA256.fullmatch(fields["sha256"]):
        raise ValueError(f"it gives {fields['sha256']!r} for a hash")
    return FileEntry(fields["sha256"], _count(fields["size"], "size"))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, it gives {value!r}")
    return value


def _count(value: Any, name: str, *, least: int = 1) -> int:
    if type(value) is not int or not least <= value < 2**62:
        raise ValueError(f"{name} must be a whole number of at least {least}, it gives {value!r}")
    return value
