"""What an index knows of an image beside its codes and features, as rows of a Parquet file.

Text is stored as bytes, UTF-8 where it is Unicode, so that file names of any bytes survive; in Python such names are
`str` as `os.fsdecode` makes them. Every page has a checksum.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

_TEXT_BYTES = 2**15
"""Longest text, bytes."""

_TEXTS_BYTES = 48 * 2**10
"""All texts of a row together; what a file adds to them stays below what is believed of one."""

_HASH_BYTES = 64
_LABELS = 256
"""Labels a row at most."""

_FOOTER_BYTES = 16 * 2**20
"""Longest footer that is parsed."""

_ROW_BYTES = 64 * 2**10
"""Uncompressed bytes a row that are believed, beside 1 MiB."""

Box = tuple[float, float, float, float]

PLAIN_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("path", pa.binary(), nullable=False),
        pa.field("labels", pa.list_(pa.binary()), nullable=False),
        pa.field("box", pa.list_(pa.float32(), 4)),
        pa.field("content_hash", pa.binary(), nullable=False),
    ]
)
"""Of rows none of which is an object, and of all that were written before there were objects."""

SCHEMA = pa.schema([*PLAIN_SCHEMA, pa.field("object", pa.binary()), pa.field("score", pa.float32())])
"""Of every table in memory."""

_MISSING = ("box", "object", "score")
"""Columns without a value for some rows."""


class Row(NamedTuple):
    """An image, or a part of it, that goes into an index. Path and box together name it.

    Attributes:
        path: relative to the root of the index; bytes that are not UTF-8 as `os.fsdecode` gives them.
        labels: any number of them.
        box: x0, y0, x1, y1, pixels, or None for the whole image; kept as float32.
        content_hash: of the file, by which a changed image is known.
        object: class of what a detector saw in the box; None where no detector said so.
        score: of that, 0 … 1; kept as float32.
    """

    path: str
    labels: tuple[str, ...] = ()
    box: Box | None = None
    content_hash: bytes = b""
    object: str | None = None
    score: float | None = None


class StoredRow(NamedTuple):
    """A row with its id, which is never given to another row, and kept when the image changes."""

    id: int
    path: str
    labels: tuple[str, ...]
    box: Box | None
    content_hash: bytes
    object: str | None = None
    score: float | None = None


def checked_row(row: Row) -> Row:
    """The row with its box and score as they will be kept.

    Raises:
        ValueError: the path is empty or holds NUL, a text, or all together, are too long or cannot be encoded, there
            are too many labels, the box is not four finite numbers with x0 < x1 and y0 < y1, or one of object, score
            and the box of an object is missing or impossible.
    """
    if not row.path or "\0" in row.path:
        raise ValueError(f"path must not be empty, nor hold the character NUL, got {row.path[:80]!r}")
    seen = () if row.object is None else (row.object,)
    for name, text in (
        ("path", row.path),
        *(("label", label) for label in row.labels),
        *(("object", text) for text in seen),
    ):
        if len(to_bytes(text)) > _TEXT_BYTES:
            raise ValueError(f"{name} must have at most {_TEXT_BYTES} bytes, got {len(to_bytes(text))}: {text[:40]!r}…")
    if type(row.labels) is not tuple or len(row.labels) > _LABELS:  # a text would be taken for its letters
        raise ValueError(f"labels must be a tuple of at most {_LABELS} texts, got {str(row.labels)[:80]!r}")
    if (size := sum(len(to_bytes(text)) for text in (row.path, *row.labels, *seen))) > _TEXTS_BYTES:
        raise ValueError(
            f"path, labels and object must have at most {_TEXTS_BYTES} bytes together, got {size} of {row.path[:40]!r}"
        )
    if len(row.content_hash) > _HASH_BYTES:
        raise ValueError(f"content_hash must have at most {_HASH_BYTES} bytes, got {len(row.content_hash)}")
    return _checked_object(_checked_box(row))


def _checked_box(row: Row) -> Row:
    if row.box is None:
        return row
    box = np.array(row.box, np.float32)
    if box.shape != (4,) or not np.isfinite(box).all() or not (box[:2] < box[2:]).all():
        raise ValueError(f"box must be x0, y0, x1, y1 with x0 < x1 and y0 < y1, pixels, got {row.box} of {row.path!r}")
    x0, y0, x1, y1 = box.tolist()
    return row._replace(box=(x0, y0, x1, y1))


def _checked_object(row: Row) -> Row:
    if row.object is None and row.score is None:
        return row
    if not row.object or row.score is None or row.box is None or not 0 <= row.score <= 1:
        raise ValueError(
            f"an object must have a name, a score in 0 … 1 and a box, got object={row.object!r}, score={row.score} and "
            f"box={row.box} of {row.path!r}"
        )
    return row._replace(score=float(np.float32(row.score)))


def to_bytes(text: str) -> bytes:
    """The bytes of a text; `ValueError` where it holds half a character that no file name can hold."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"text must be Unicode or a file name from os.fsdecode, got {text[:80]!r}") from error


def to_text(content: bytes) -> str:
    """The text of bytes; `to_bytes` is the inverse."""
    return content.decode("utf-8", "surrogateescape")


def parquet_bytes(ids: NDArray[np.int64], rows: Sequence[Row | StoredRow]) -> bytes:
    """The content of `rows.parquet`: with the columns of `SCHEMA` where a row is an object, else of `PLAIN_SCHEMA`."""
    schema = PLAIN_SCHEMA if all(row.object is None for row in rows) else SCHEMA
    columns = [
        pa.array(ids, pa.int64()),
        pa.array([to_bytes(row.path) for row in rows], pa.binary()),
        pa.array([[to_bytes(label) for label in row.labels] for row in rows], SCHEMA.field("labels").type),
        pa.array([row.box for row in rows], SCHEMA.field("box").type),
        pa.array([row.content_hash for row in rows], pa.binary()),
        pa.array([None if row.object is None else to_bytes(row.object) for row in rows], pa.binary()),
        pa.array([row.score for row in rows], pa.float32()),
    ]
    table = pa.Table.from_arrays(columns[: len(schema)], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def read_parquet(content: bytes, count: int, *, objects: bool = False) -> pa.Table:
    """The table in the content of `rows.parquet`, whose hash has been checked; sizes are capped before it is parsed.

    Args:
        content: of the file.
        count: rows that it has.
        objects: whether some may be objects.

    Returns:
        A table with the columns of `SCHEMA`, whichever of them the file has.

    Raises:
        ValueError: it is no Parquet file, not of `count` rows with the columns of `PLAIN_SCHEMA`, or of `SCHEMA` where
            there may be objects, or has rows that none may have, see `checked_row`.
    """
    footer = int.from_bytes(content[-8:-4], "little")
    if len(content) < 12 or content[:4] != b"PAR1" or content[-4:] != b"PAR1" or footer > _FOOTER_BYTES:
        raise ValueError("it is no Parquet file, or its footer is too long")
    schemas = [PLAIN_SCHEMA, SCHEMA] if objects else [PLAIN_SCHEMA]
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        metadata, columns = file.metadata, file.schema_arrow
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        known = any(columns.equals(schema) for schema in schemas)
        if not known or metadata.num_rows != count or size > 2**20 + count * _ROW_BYTES:
            raise ValueError(
                f"it has {metadata.num_rows} rows, {size} bytes and columns {columns.names}, wanted {count} rows and "
                f"{' or '.join(str(schema.names) for schema in schemas)}"
            )
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    for field in list(SCHEMA)[len(table.schema) :]:
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    if table.num_rows != count or any(table[name].null_count for name in SCHEMA.names if name not in _MISSING):
        raise ValueError(f"it has {table.num_rows} rows or values are missing, wanted {count} whole rows")
    if problems := _impossible(table):
        raise ValueError(f"it has {', '.join(problems)}")
    return table


def _impossible(table: pa.Table) -> list[str]:
    """What rows of a table hold that `checked_row` refuses."""
    lengths = pc.min_max(pc.binary_length(table["path"])).as_py()
    labels = table["labels"].combine_chunks()
    boxes = table["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    label_lengths = pc.max(pc.binary_length(labels.flatten())).as_py() or 0
    named = pc.min_max(pc.binary_length(table["object"])).as_py()
    wrong = {
        "paths without a character": lengths["min"] == 0,
        "paths with the character NUL": pc.any(pc.match_substring(table["path"], "\0")).as_py(),
        f"texts beyond {_TEXT_BYTES} bytes": max(lengths["max"], label_lengths, named["max"] or 0) > _TEXT_BYTES,
        "labels without a value": labels.flatten().null_count > 0,
        f"rows of more than {_LABELS} labels": pc.max(pc.list_value_length(labels)).as_py() > _LABELS,
        f"hashes beyond {_HASH_BYTES} bytes": pc.max(pc.binary_length(table["content_hash"])).as_py() > _HASH_BYTES,
        "boxes that are none": not (np.isfinite(boxes).all() and (boxes[:, :2] < boxes[:, 2:]).all()),
        "objects that are none": _impossible_objects(table) or named["min"] == 0,
    }
    return [what for what, is_wrong in wrong.items() if is_wrong]


def _impossible_objects(table: pa.Table) -> bool:
    """Whether an object has no box or no score, or a score is of no object or out of range."""
    seen, scored, boxed = (table[name].is_valid().to_numpy(zero_copy_only=False) for name in ("object", "score", "box"))
    scores = table["score"].drop_null().to_numpy()
    return bool((seen != scored).any() or (seen & ~boxed).any() or not ((scores >= 0) & (scores <= 1)).all())


def stored_rows(table: pa.Table) -> list[StoredRow]:
    """All rows of a table."""
    columns: list[list[Any]] = [table[name].to_pylist() for name in SCHEMA.names]
    return [
        StoredRow(
            number,
            to_text(path),
            tuple(map(to_text, labels)),
            None if box is None else tuple(box),
            content_hash,
            None if seen is None else to_text(seen),
            score,
        )
        for number, path, labels, box, content_hash, seen, score in zip(*columns, strict=True)
    ]
