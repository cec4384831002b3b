"""The rows of an index as Arrow, which Parquet files and Lance datasets are written from.

n rows, B bits a code, F feature dimensions.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from dqh.codes import code_bytes
from dqh.export.index.content import IndexContent, path_of, whole_text
from dqh.index.store import Tags
from dqh.index.store.rows import to_bytes
from dqh.index.store.version import Batch

_TAGS = (
    pa.field("tags", pa.list_(pa.string()), nullable=False),
    pa.field("tag_weights", pa.list_(pa.float32()), nullable=False),
)
"""Of an index that has tags."""


def schema_of(collection: IndexContent, *, vector_codes: bool = False) -> pa.Schema:
    """The columns of a collection; their metadata are its fields.

    Codes are lists of ⌈B / 8⌉ uint8, as Lance compares them, where they are `vector_codes`, else as many bytes.
    """
    width = code_bytes(collection.bits)
    metadata = {
        # texts as they are, bytes of names that are not UTF-8 included
        name: to_bytes(value) if isinstance(value, str) else json.dumps(value).encode()
        for name, value in collection.fields().items()
    }
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("path", pa.string()),
            pa.field("path_bytes", pa.binary(), nullable=False),
            pa.field("labels", pa.list_(pa.string()), nullable=False),
            *(_TAGS if collection.tagged else ()),
            pa.field("box", pa.list_(pa.float32(), 4)),
            pa.field("content_hash", pa.binary(), nullable=False),
            pa.field("object", pa.string()),
            pa.field("score", pa.float32()),
            pa.field("code", pa.list_(pa.uint8(), width) if vector_codes else pa.binary(width), nullable=False),
            pa.field("features", pa.list_(pa.float16(), collection.feature_size), nullable=False),
        ],
        metadata=metadata,
    )


def record_batches(collection: IndexContent, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """All rows, some at a time, by a schema from `schema_of`; `StoreError` where features are damaged."""
    for part in collection.parts():
        yield pa.RecordBatch.from_arrays(_columns(part, schema, collection.version.tags), schema=schema)


def _columns(part: Batch, schema: pa.Schema, tags: Tags) -> list[Any]:
    rows = part.rows
    names = [path_of(row) for row in rows]
    code, features = schema.field("code").type, schema.field("features").type
    flat = pa.array(part.codes.reshape(-1))
    if pa.types.is_fixed_size_binary(code):
        codes = pa.FixedSizeBinaryArray.from_buffers(code, len(rows), [None, pa.py_buffer(part.codes.tobytes())])
    else:
        codes = pa.FixedSizeListArray.from_arrays(flat, type=code)
    return [
        pa.array([row.id for row in rows], pa.int64()),
        pa.array([text for text, _ in names], pa.string()),
        pa.array([content for _, content in names], pa.binary()),
        pa.array([[whole_text(label) for label in row.labels] for row in rows], schema.field("labels").type),
        *(_of_tags(part, tags) if tags else ()),
        pa.array([row.box for row in rows], schema.field("box").type),
        pa.array([row.content_hash for row in rows], pa.binary()),
        pa.array([None if row.object is None else whole_text(row.object) for row in rows], pa.string()),
        pa.array([row.score for row in rows], pa.float32()),
        codes,
        pa.FixedSizeListArray.from_arrays(pa.array(part.features.reshape(-1)), type=features),
    ]


def _of_tags(part: Batch, tags: Tags) -> list[Any]:
    """The columns of tags: words, and their weights in the same order."""
    own = [tags.get(row.path, ()) for row in part.rows]
    values = (
        [[tag.word for tag in row_tags] for row_tags in own],
        [[tag.weight for tag in row_tags] for row_tags in own],
    )
    return [pa.array(column, field.type) for column, field in zip(values, _TAGS, strict=True)]
