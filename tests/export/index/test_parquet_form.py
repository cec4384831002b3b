"""pyarrow and DuckDB read the table."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.errors import StoreError
from dqh.export.index import content as collections
from dqh.export.index.arrow import record_batches, schema_of
from dqh.export.index.content import IndexContent
from dqh.export.index.parquet_form import write_parquet
from dqh.index.store import open_index, remove
from tests.export.index.conftest import ENCODER, EXPECTED, damaged, queries


def test_pyarrow_reads_what_was_written(
    collection: IndexContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row group a part, so that neither writer nor reader holds more."""
    monkeypatch.setattr(collections, "_PART_ROWS", 50)
    write_parquet(collection, tmp_path)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["images.parquet"]
    file = pq.ParquetFile(tmp_path / "images.parquet", page_checksum_verification=True)
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [50, 28]
    schema = schema_of(collection)
    assert file.schema_arrow.equals(schema)
    assert file.metadata.metadata[b"encoder_id"] == ENCODER.encode()
    assert file.read().equals(pa.Table.from_batches(record_batches(collection, schema)))


def test_duckdb_searches_it(collection: IndexContent, tmp_path: Path) -> None:
    """The nearest by features, by SQL; without a pool the search of the index takes all 78 as candidates."""
    write_parquet(collection, tmp_path)
    query = queries()
    wanted = open_index(collection.version.path).search(query, k=5)
    for number, features in enumerate(query.features.astype(np.float16).astype(np.float32)):
        answer = duckdb.execute(
            "SELECT id, list_distance(features::FLOAT[], $1::FLOAT[]) AS distance FROM read_parquet($2) "
            "ORDER BY distance, id LIMIT 5",
            [features.tolist(), str(tmp_path / "images.parquet")],
        ).fetchall()
        assert [row[0] for row in answer] == wanted.ranking.ids[number].tolist()
        np.testing.assert_allclose([row[1] ** 2 for row in answer], wanted.ranking.distances[number], rtol=1e-5)
    names = duckdb.sql(f"SELECT path_bytes FROM '{tmp_path / 'images.parquet'}' WHERE path IS NULL").fetchall()
    assert names == [(EXPECTED[6].name,)]


def test_nothing_left_and_damage(index: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged").mkdir()
    with pytest.raises(StoreError, match=r"features\.npy is damaged"):
        write_parquet(IndexContent(damaged(index)), tmp_path / "damaged")
    remove(index, where="id >= 0")
    write_parquet(IndexContent(index), tmp_path)
    assert pq.read_table(tmp_path / "images.parquet").num_rows == 0
