"""LanceDB opens the dataset, and its flat search gives the answers of the index."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dqh.errors import DqhError, StoreError
from dqh.export.index import content as collections
from dqh.export.index.arrow import record_batches, schema_of
from dqh.export.index.content import IndexContent
from dqh.export.index.lance_form import require_lance, write_lance
from dqh.index.store import open_index, remove
from tests.export.index.conftest import damaged, made, queries


@pytest.fixture
def written(collection: IndexContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(collections, "_PART_ROWS", 50)
    (tmp_path / "lance").mkdir()
    write_lance(collection, tmp_path / "lance")
    return tmp_path / "lance"


def opened(folder: Path) -> Any:
    import lancedb

    return lancedb.connect(str(folder)).open_table("images")


def test_its_flat_search_is_the_exhaustive_one(collection: IndexContent, written: Path) -> None:
    images, query = opened(written), queries()
    schema = schema_of(collection, vector_codes=True)
    assert images.to_arrow().cast(schema).equals(pa.Table.from_batches(record_batches(collection, schema)))
    assert images.schema.metadata[b"bit_order"].startswith(b"low bits first")
    wanted = open_index(collection.version.path).search(query, k=5)  # fewer than 1,000 images: all are candidates
    for number, features in enumerate(query.features):
        search = images.search(features.astype(np.float16), vector_column_name="features").distance_type("l2")
        found = search.limit(5).to_arrow()
        assert found["id"].to_pylist() == wanted.ranking.ids[number].tolist()
        np.testing.assert_allclose(found["_distance"], wanted.ranking.distances[number], rtol=1e-5)


def test_the_example_of_the_readme_is_coarse_to_fine(
    collection: IndexContent, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pools of 20, which cut among equal code distances; LanceDB cuts by the order of the rows, which is by id."""
    monkeypatch.chdir(written.parent)
    code = "".join(re.findall(r"^    (.*\n)", (written / "README.md").read_text(), flags=re.MULTILINE))
    assert "limit(1000)" in code
    query = queries()
    wanted = open_index(collection.version.path).search(query, k=10, pool=20)
    for number in range(len(query.codes)):
        names: dict[str, Any] = {"codes": query.codes[number:], "features": query.features[number:]}
        exec(code.replace("limit(1000)", "limit(20)"), names)
        assert [row["id"] for row in names["found"]] == wanted.ranking.ids[number].tolist()


def test_product_quantized_codes_are_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "lance").mkdir()
    write_lance(IndexContent(made(tmp_path / "index", "pq")), tmp_path / "lance")
    assert "Lance has no distance between such" in (tmp_path / "lance" / "README.md").read_text()
    assert opened(tmp_path / "lance").count_rows() == 78


def test_nothing_left_and_damage(index: Path, tmp_path: Path) -> None:
    for name in ("damaged", "empty"):
        (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=r"features\.npy is damaged"):
        write_lance(IndexContent(damaged(index)), tmp_path / "damaged")
    remove(index, where="id >= 0")
    write_lance(IndexContent(index), tmp_path / "empty")
    assert opened(tmp_path / "empty").count_rows() == 0


def test_lancedb_is_not_installed(collection: IndexContent, monkeypatch: pytest.MonkeyPatch) -> None:
    require_lance(collection)
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(
        DqhError, match=re.escape("needs the package lancedb; install it: uv sync --inexact --extra lance")
    ):
        require_lance(collection)


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "two\nlines"])
def test_a_folder_that_lance_cannot_name(name: str, collection: IndexContent, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(DqhError, match=r"(?s)Lance cannot write to .*; choose a folder with a plain name") as found:
        write_lance(collection, tmp_path / name)
    assert found.value.exit_status == 1
