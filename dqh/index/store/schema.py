"""What the manifest of an index may say: types, ranges and how fields fit together, for who reads and who writes it.

A writer makes the bytes of a manifest and reads them by this before they count; there is no second set of limits.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from dqh.index.store.tags import FILE_BYTES, MOST_TAGS
from dqh.quantizers import QUANTIZERS

LARGEST_VERSION = 999_999_999
LARGEST_ID = 2**62 - 1
LARGEST_BITS = LARGEST_FEATURES = 2**20
LARGEST_ROWS = 2**40
"""Of all segments."""

TEXT_BYTES = 2**15
MANIFEST_BYTES = 64 * 2**20

DISTANCES = {kind: QUANTIZERS[kind].distances for kind in sorted(QUANTIZERS)}
"""What codes of each kind may be searched by."""

SEGMENT_NAME = re.compile(r"([0-9]{9})-[0-9]{6}")
SEGMENT_FILES = ("rows.parquet", "codes.npy", "features.npy", "crc.npy")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_WHOLE = {
    "version": (1, LARGEST_VERSION),
    "bits": (1, LARGEST_BITS),
    "feature_size": (1, LARGEST_FEATURES),
    "next_id": (0, LARGEST_ID),
    "deleted_rows": (0, LARGEST_ROWS),
}
_TEXTS = {"encoder_id": 1, "precision": 1, "code_kind": 1, "code_distance": 1, "root": 0}
"""Texts with their least length."""


def require_fields(fields: Mapping[str, Any]) -> None:
    """Refuse fields of the present format version that describe no index.

    Raises:
        ValueError: a field is missing, has another type or is out of range, or does not fit another one.
    """
    for name, (least, most) in _WHOLE.items():
        _require_whole(_get(fields, name), name, least, most)
    for name, least in _TEXTS.items():
        _require_text(_get(fields, name), name, least)
    kind, distance = fields["code_kind"], fields["code_distance"]
    if kind not in DISTANCES:
        raise ValueError(f"code_kind must be one of {', '.join(DISTANCES)}, it gives {kind!r}; update dqh")
    if distance not in DISTANCES[kind]:
        raise ValueError(
            f"code_distance of {kind} codes must be one of {', '.join(DISTANCES[kind])}, it gives {distance!r}"
        )
    if _get(fields, "detector_id") is not None:
        _require_text(fields["detector_id"], "detector_id", 1)
    _require_file(_get(fields, "quantizer"), "quantizer")
    if _get(fields, "deleted") is not None:
        _require_file(fields["deleted"], "deleted")
    rows = _require_segments(_get(fields, "segments"))
    deleted = fields["deleted_rows"]
    if deleted > rows or (fields["deleted"] is None) != (deleted == 0):
        raise ValueError(f"it says that {deleted} of {rows} rows are deleted, and not which")
    if rows - deleted > fields["next_id"]:
        raise ValueError(f"it has {rows - deleted} rows, and gives {fields['next_id']} for the next id")
    if (tags := _get(fields, "tags")) is not None:
        _require_tags(tags, fields["version"], rows - deleted)


def _require_segments(segments: Any) -> int:
    """All rows of them."""
    if not isinstance(segments, list):
        raise ValueError(f"segments must be a list, it gives {_short(segments)}")
    names, rows = set(), 0
    for segment in segments:
        name, files = _get(segment, "name"), _get(segment, "files")
        if not isinstance(name, str) or not SEGMENT_NAME.fullmatch(name) or not _has(files, SEGMENT_FILES):
            raise ValueError(f"it names a segment {_short(name)} with files {_short(files)}")
        for file in SEGMENT_FILES:
            _require_file(files[file], f"{file} of segment {name}")
        _require_whole(_get(segment, "rows"), f"rows of segment {name}", 1, LARGEST_ROWS)
        names.add(name)
        rows += segment["rows"]
    if len(names) < len(segments):
        raise ValueError("it names a segment twice")
    if rows > LARGEST_ROWS:
        raise ValueError(f"it has {rows} rows, at most {LARGEST_ROWS} are known")
    return rows


def _require_tags(tags: Any, version: int, rows: int) -> None:
    _require_file(tags, "tags")
    _require_whole(tags["size"], "size of tags", 1, FILE_BYTES)
    _require_whole(_get(tags, "version"), "version of tags", 1, version)
    _require_whole(_get(tags, "images"), "images of tags", 1, rows)
    _require_whole(_get(tags, "words"), "words of tags", 1, tags["images"] * MOST_TAGS)


def _require_file(entry: Any, name: str) -> None:
    if not isinstance(digest := _get(entry, "sha256"), str) or not _SHA256.fullmatch(digest):
        raise ValueError(f"it gives {_short(digest)} for a hash of {name}")
    _require_whole(_get(entry, "size"), f"size of {name}", 1, LARGEST_ID)


def _require_whole(value: Any, name: str, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number of {least} … {most}, it gives {_short(value)}")


def _require_text(value: Any, name: str, least: int) -> None:
    if not isinstance(value, str) or not least <= len(value.encode("utf-8", "surrogatepass")) <= TEXT_BYTES:
        raise ValueError(f"{name} must be a text of {least} … {TEXT_BYTES} bytes, it gives {_short(value)}")
    if "\0" in value:
        raise ValueError(f"{name} must not hold the character NUL, it gives {_short(value)}")


def _get(fields: Any, name: str) -> Any:
    if not isinstance(fields, Mapping) or name not in fields:
        raise ValueError(f"it does not describe an index: it gives no {name} in {_short(fields)}")
    return fields[name]


def _has(fields: Any, names: Collection[str]) -> bool:
    return isinstance(fields, Mapping) and sorted(fields) == sorted(names)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
