"""Which rows are handed over, and what is said of them."""

import os
from pathlib import Path

import pytest

from dqh.errors import NoStoreError, StoreError
from dqh.export.index import content as collections
from dqh.export.index.content import IndexContent, path_of, plain, whole_text
from dqh.index.store import StoredRow, open_index, remove
from tests.export.index.conftest import BITS, ENCODER, EXPECTED, FEATURES, ROOT_FOLDER, damaged, made


def test_live_rows_in_parts(collection: IndexContent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted images are not there, the replaced one is as it is now, and a part is as large as memory allows."""
    monkeypatch.setattr(collections, "_PART_BYTES", 5 * (2 * FEATURES + 2 + 1024) + 7)
    assert collection.part_rows == 5
    parts = list(collection.parts())
    assert [len(part.rows) for part in parts] == [5] * 15 + [3]
    rows = [row for part in parts for row in part.rows]
    assert [(row.id, path_of(row)[1]) for row in rows] == [(each.id, each.name) for each in EXPECTED]
    features = [row.tolist() for part in parts for row in part.features]
    assert features == [each.features.tolist() for each in EXPECTED]
    codes = [row.tobytes() for part in parts for row in part.codes]
    assert codes == [collection.version.quantizer.encode(each.embedding[None]).tobytes() for each in EXPECTED]


def test_a_large_row_is_a_part(collection: IndexContent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "_PART_BYTES", 1)
    assert collection.part_rows == 1


def test_what_is_said_of_it(index: Path) -> None:
    fields = IndexContent(index).fields()
    assert (fields["encoder_id"], fields["bits"], fields["feature_size"]) == (ENCODER, BITS, FEATURES)
    assert (fields["code_kind"], fields["distance"], fields["root"]) == ("binary", "hamming", ROOT_FOLDER)
    assert (fields["version"], fields["rows"]) == (2, 78)
    assert fields["bit_order"] == "low bits first: bit b of a code is bit b mod 8 of byte b // 8"
    remove(index, where="id = 3")
    again = IndexContent(index).fields()
    assert (again["version"], again["rows"]) == (3, 77)
    assert again["index_sha256"] != fields["index_sha256"]


def test_a_writer_changes_nothing(collection: IndexContent) -> None:
    remove(collection.version.path, where="id < 50")
    assert sum(len(part.rows) for part in collection.parts()) == 78


def test_product_quantized_codes(tmp_path: Path) -> None:
    collection = IndexContent(made(tmp_path / "index", "pq_ip"))
    assert collection.product
    assert (collection.fields()["code_kind"], collection.fields()["distance"]) == ("pq", "ip")
    assert collection.quantizer_file == (tmp_path / "index" / "quantizer.safetensors").read_bytes()


def test_texts_that_are_none() -> None:
    latin = os.fsdecode(b"caf\xe9")
    assert (plain("café"), plain(latin), plain("a\0b"), plain("")) == ("café", None, None, "")
    assert (whole_text("café"), whole_text(latin), whole_text("a\0b")) == ("café", r"caf\xe9", r"a\x00b")
    assert path_of(StoredRow(0, latin, (), None, b"")) == (None, b"caf\xe9")


def test_labels_that_are_no_text(collection: IndexContent, index: Path) -> None:
    assert collection.escaped_labels == [r"\xe9t\xe9"]
    remove(index, where="id >= 0")
    assert IndexContent(index).escaped_labels == []


def test_damaged_or_missing(index: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"features\.npy is damaged"):
        list(IndexContent(damaged(index)).parts())
    with pytest.raises(NoStoreError, match="no index at"):
        IndexContent(tmp_path / "none")
    assert open_index(index).version.manifest.version == 2  # damaged features are found when they are read
