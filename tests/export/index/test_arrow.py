"""Every value of the index in Arrow."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dqh.export.index import content as collections
from dqh.export.index.arrow import record_batches, schema_of
from dqh.export.index.content import IndexContent
from dqh.index.store import Header, Row, Tag, Writer
from dqh.quantizers import Threshold
from tests.export.index.conftest import EXPECTED, ROOT_FOLDER


@pytest.mark.parametrize("vector_codes", [False, True])
def test_all_columns(collection: IndexContent, vector_codes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "_PART_ROWS", 33)
    schema = schema_of(collection, vector_codes=vector_codes)
    batches = list(record_batches(collection, schema))
    assert [len(batch) for batch in batches] == [33, 33, 12]
    table = pa.Table.from_batches(batches)
    table.validate(full=True)
    for row, wanted in zip(table.to_pylist(), EXPECTED, strict=True):
        text = None if wanted.id == 6 else wanted.name.decode()
        assert (row["id"], row["path"], row["path_bytes"]) == (wanted.id, text, wanted.name)
        assert row["labels"] == [label.decode(errors="backslashreplace") for label in wanted.labels]
        assert row["box"] == (None if wanted.box is None else np.array(wanted.box, np.float32).tolist())
        assert row["content_hash"] == wanted.content_hash
        code = collection.version.quantizer.encode(wanted.embedding[None])
        assert bytes(row["code"]) == code.tobytes()
        assert row["features"] == wanted.features.tolist()


def test_the_schema_says_what_it_is(collection: IndexContent) -> None:
    schema = schema_of(collection)
    assert schema.field("code").type == pa.binary(2)
    assert schema_of(collection, vector_codes=True).field("code").type == pa.list_(pa.uint8(), 2)
    assert schema.field("features").type == pa.list_(pa.float16(), 6)
    assert (schema.metadata[b"root"], json.loads(schema.metadata[b"bits"])) == (ROOT_FOLDER.encode(), 12)
    assert schema.metadata[b"bit_order"].startswith(b"low bits first")


def test_a_root_that_is_not_utf_8(tmp_path: Path) -> None:
    header = Header("e", Threshold(3), 2, root=os.fsdecode(b"/caf\xe9"))
    with Writer(tmp_path / "index", header) as writer:
        writer.add([Row("a")], np.array([[1]], np.uint8), np.ones((1, 2), np.float32))
        writer.commit()
    assert schema_of(IndexContent(tmp_path / "index")).metadata[b"root"] == b"/caf\xe9"


def test_objects(tmp_path: Path) -> None:
    with Writer(tmp_path / "index", Header("e", Threshold(3), 2, detector_id="seer")) as writer:
        rows = [Row("a"), Row("a", (), (0, 0, 8, 9), b"", "d\udce9g", 0.3)]
        writer.add(rows, np.array([[1], [2]], np.uint8), np.ones((2, 2), np.float32))
        writer.commit()
    collection = IndexContent(tmp_path / "index")
    (batch,) = record_batches(collection, schema := schema_of(collection))
    assert [(row["object"], row["score"]) for row in batch.to_pylist()] == [(None, None), (r"d\xe9g", np.float32(0.3))]
    assert schema.metadata[b"detector_id"] == b"seer"
    assert collection.title == "1 image and 1 object"
    assert "`object IS NULL`" in collection.about_objects


def test_tags(index: Path) -> None:
    """Columns of their own, where there are some; an image without any has empty lists."""
    assert "tags" not in schema_of(IndexContent(index)).names
    name = EXPECTED[1].name.decode()
    with Writer(index) as writer:
        writer.tag({name: [Tag("x\ty", 0.25), Tag("red")]})
        writer.commit()
    collection = IndexContent(index)
    schema = schema_of(collection)
    table = pa.Table.from_batches(record_batches(collection, schema))
    table.validate(full=True)
    tags = {row["id"]: (row["tags"], row["tag_weights"]) for row in table.to_pylist()}
    assert tags.pop(1) == (["red", "x\ty"], [1.0, 0.25])
    assert set(map(str, tags.values())) == {"([], [])"}
    assert schema.metadata[b"tagged_images"] == b"1"
