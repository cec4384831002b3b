"""One table; what a source makes of several is in test_parquet."""

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.data.parquet_table import Table, Tables, unnamed
from dqh.errors import BadImageError, DataError
from tests.data.damage import damage


def write(path: Path, contents: list[bytes | None], labels: pa.Array) -> None:
    pq.write_table(pa.table({"image": pa.array(contents, pa.binary()), "label": labels}), path, row_group_size=2)


@pytest.mark.parametrize(
    ("labels", "values", "empty"),
    [
        (pa.array([3, None, 1]), [3, 0, 1], [False, True, False]),
        (pa.array([3.0, None, 1.0]), [3, 0, 1], [False, True, False]),
        (pa.array([3, float("nan"), 1], pa.float32()), [3, 0, 1], [False, True, False]),
        (pa.array([True, None, False]), [1, 0, 0], [False, True, False]),
        (pa.array(["b", None, "a"]), ["b", "", "a"], [False, True, False]),
        (pa.array(["b", None, "b"]).dictionary_encode(), ["b", "", "b"], [False, True, False]),
        (pa.array([], pa.int8()), [], []),
    ],
)
def test_labels_are_numbers_or_texts(labels: pa.Array, values: list, empty: list[bool], tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [b"x"] * len(labels), labels)
    given = Table(tmp_path / "t.parquet").labels("label")
    assert (list(given.values), given.empty.tolist(), given.faults) == (values, empty, {})


def test_other_columns_are_read_where_one_is_damaged(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [bytes([row]) for row in range(5)], pa.array(range(5)))
    damage(tmp_path / "t.parquet", column="image", group=1)
    table = Table(tmp_path / "t.parquet")
    assert list(table.labels("label").values) == [0, 1, 2, 3, 4]
    tables = pickle.loads(pickle.dumps(Tables([tmp_path / "t.parquet"])))
    assert [tables.content(0, row, max_bytes=1) for row in (0, 1, 4)] == [b"\0", b"\1", b"\4"]
    with pytest.raises(BadImageError, match=r"row group 1 \(rows 2 … 3\) cannot be read"):
        tables.content(0, 2, max_bytes=1)


def test_one_row_group_of_all_tables_is_kept(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, [name.encode()] * 3, pa.array([1, 2, 3]))
    tables = Tables([tmp_path / "a", tmp_path / "b"])
    for table, row, rows in ((0, 2, range(2, 3)), (1, 1, range(2)), (0, 0, range(2))):
        assert tables.content(table, row, max_bytes=1) == b"ab"[table : table + 1]
        assert tables._kept is not None
        assert (tables._kept[0], tables._kept[1].rows) == (table, rows)
    with pytest.raises(IndexError, match="row must be in 0 … 2, got 3"):
        tables.content(0, 3, max_bytes=1)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"t\.parquet cannot be read: "):
        Table(tmp_path / "t.parquet")


def test_a_number_has_a_name_or_none() -> None:
    assert unnamed(1, ["a", "b"]) == ""
    assert unnamed(2, ["a", "b"]) == "the label 2 has no name; the file names 2 classes"
