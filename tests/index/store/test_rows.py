import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.index.store.rows import (
    PLAIN_SCHEMA,
    SCHEMA,
    Row,
    StoredRow,
    checked_row,
    parquet_bytes,
    read_parquet,
    stored_rows,
    to_text,
)

names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name).map(to_text)
boxes = st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda corner: (*corner, corner[0] + 1.5, corner[1] + 2))
plain = st.builds(
    Row, names, st.lists(names, max_size=3).map(tuple), st.none() | boxes, st.binary(max_size=16), st.none(), st.none()
)
seen = st.builds(Row, names, st.just(()), boxes, st.binary(max_size=16), names, st.floats(0, 1))
rows = plain | seen


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6))
def test_rows_come_back(given_rows: list[Row]) -> None:
    """Names of any bytes, labels, boxes and hashes."""
    checked = [checked_row(row) for row in given_rows]
    ids = np.arange(len(checked)) * 3
    found = stored_rows(read_parquet(parquet_bytes(ids, checked), len(checked), objects=True))
    assert found == [StoredRow(number, *row) for number, row in zip(ids.tolist(), checked, strict=True)]


def test_pages_have_checksums() -> None:
    """One bit of a page turned over is found by the reader of Parquet itself."""
    content = bytearray(parquet_bytes(np.arange(100), [Row(f"{number}.jpg") for number in range(100)]))
    metadata = pq.ParquetFile(pa.BufferReader(bytes(content))).metadata.row_group(0).column(1)
    content[metadata.data_page_offset + metadata.total_compressed_size // 2] ^= 1
    with pytest.raises(ValueError, match="it cannot be read"):
        read_parquet(bytes(content), 100)


def other(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


BOX = (0.0, 0.0, 1.0, 1.0)
SEEN = parquet_bytes(np.arange(2), [Row("a"), Row("a", (), BOX, b"", "dog", 0.5)])
GOOD = parquet_bytes(np.arange(2), [Row("a"), Row("b")])


@pytest.mark.parametrize(
    ("content", "count", "message"),
    [
        (b"", 2, "no Parquet file"),
        (b"PAR1PAR1", 2, "no Parquet file"),
        (GOOD[:-8] + (2**31).to_bytes(4, "little") + b"PAR1", 2, "its footer is too long"),
        (b"PAR1" + GOOD[-8:], 2, "it cannot be read"),
        (GOOD, 3, "it has 2 rows"),
        (other(pa.table({"id": [1, 2]})), 2, "columns ..id.., wanted 2 rows"),
        (
            other(
                pa.table(
                    {"id": [0], "path": [b"x" * 2**21], "labels": [[]], "box": [None], "content_hash": [b""]},
                    PLAIN_SCHEMA,
                )
            ),
            1,
            r"it has 1 rows, \d+ bytes",
        ),
    ],
)
def test_what_is_no_table_of_rows(content: bytes, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_parquet(content, count)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(""), "path must not be empty"),
        (Row("a\0b"), "nor hold the character NUL"),
        (Row("x" * 30_000, ("y" * 20_000,)), "path, labels and object must have at most 49152 bytes together, got"),
        (Row("x" * 40_000), "path must have at most 32768 bytes, got 40000"),
        (Row("a", ("x" * 40_000,)), "label must have at most 32768 bytes"),
        (Row("\ud800"), "text must be Unicode or a file name"),
        (Row("a", "dress"), "labels must be a tuple of at most 256 texts, got 'dress'"),
        (Row("a", ("x",) * 300), "labels must be a tuple of at most 256"),
        (Row("a", (), (1, 1, 1, 2)), "box must be x0, y0, x1, y1 with x0 < x1"),
        (Row("a", (), (0, 0, float("nan"), 2)), "box must be"),
        (Row("a", (), (0, 0, 1)), "box must be"),
        (Row("a", (), None, b"x" * 65), "content_hash must have at most 64 bytes, got 65"),
        (Row("a", (), BOX, b"", "dog"), r"an object must have a name, a score in 0 … 1 and a box, got object=.dog.,"),
        (Row("a", (), BOX, b"", None, 0.5), "an object must have a name"),
        (Row("a", (), None, b"", "dog", 0.5), "an object must have a name, .* box=None of .a."),
        (Row("a", (), BOX, b"", "", 0.5), "an object must have a name"),
        (Row("a", (), BOX, b"", "dog", 1.5), "score=1.5"),
        (Row("a", (), BOX, b"", "dog", float("nan")), "score=nan"),
        (Row("a", (), BOX, b"", "x" * 40_000, 0.5), "object must have at most 32768 bytes, got 40000"),
    ],
)
def test_impossible_rows(row: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_row(row)


@pytest.mark.parametrize("count", [1, 40])
def test_the_largest_rows_are_read(count: int) -> None:
    """What `checked_row` lets through is never more than `read_parquet` believes, be texts long or many."""
    long = [Row(f"{number:05d}" + "x" * 32_763, ("y" * 16_384,), (0, 0, 1, 1), b"h" * 64) for number in range(count)]
    many = [
        Row(f"{number:05d}" + "x" * 251, tuple(f"{number:05d}{label:04d}" + "y" * 181 for label in range(256)))
        for number in range(count)
    ]
    for given_rows in (long, many):
        checked = [checked_row(row) for row in given_rows]
        assert read_parquet(parquet_bytes(np.arange(count), checked), count).num_rows == count


def impossible(**columns: list) -> bytes:
    good = {"id": [0, 1], "path": [b"a", b"b"], "labels": [[], [b"c"]], "box": [None, None], "content_hash": [b""] * 2}
    good |= {"object": [None, None], "score": [None, None]}
    return other(pa.table(good | columns, SCHEMA))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (impossible(path=[b"a", b""]), "it has paths without a character"),
        (impossible(path=[b"a", b"a\0b"]), "paths with the character NUL"),
        (impossible(path=[b"a", b"x" * 32_769]), "texts beyond 32768 bytes"),
        (impossible(labels=[[], [b"x" * 32_769]]), "texts beyond 32768 bytes"),
        (impossible(labels=[[], [None]]), "labels without a value"),
        (impossible(labels=[[], [b"x"] * 257]), "rows of more than 256 labels"),
        (impossible(content_hash=[b"", b"x" * 65]), "hashes beyond 64 bytes"),
        (impossible(box=[None, [0, 0, float("nan"), 1]]), "boxes that are none"),
        (impossible(box=[[0, 0, 0, 1], None]), "boxes that are none"),
        (impossible(box=[[0, 0, float("inf"), 1], None], path=[b"", b"b"]), "a character, boxes that are none"),
        (impossible(object=[b"dog", None], score=[0.5, None]), "it has objects that are none"),
        (impossible(object=[b"dog", None], box=[BOX, None]), "objects that are none"),
        (impossible(score=[0.5, None], box=[BOX, None]), "objects that are none"),
        (impossible(object=[b"", None], score=[0.5, None], box=[BOX, None]), "objects that are none"),
        (impossible(object=[b"dog", None], score=[1.5, None], box=[BOX, None]), "objects that are none"),
        (impossible(object=[b"dog", None], score=[float("nan"), None], box=[BOX, None]), "objects that are none"),
        (impossible(object=[b"x" * 32_769, None], score=[0, None], box=[BOX, None]), "texts beyond 32768 bytes"),
    ],
)
def test_rows_that_none_may_have_are_refused(content: bytes, message: str) -> None:
    """As if a program had written them with a right hash."""
    read_parquet(impossible(box=[None, BOX]), 2, objects=True)
    read_parquet(impossible(box=[None, BOX], object=[None, b"dog"], score=[None, 1]), 2, objects=True)
    with pytest.raises(ValueError, match=message):
        read_parquet(content, 2, objects=True)


def test_rows_without_objects_are_as_they_were_before_there_were_any() -> None:
    """The columns say so; read, they have those of all, without values, and an object is refused where none may be."""
    assert pq.read_schema(pa.BufferReader(GOOD)).equals(PLAIN_SCHEMA)
    assert pq.read_schema(pa.BufferReader(SEEN)).equals(SCHEMA)
    table = read_parquet(GOOD, 2)
    assert table.schema.equals(SCHEMA)
    assert table["object"].null_count == table["score"].null_count == 2
    assert read_parquet(GOOD, 2, objects=True).equals(table)
    assert read_parquet(SEEN, 2, objects=True)["object"].to_pylist() == [None, b"dog"]
    with pytest.raises(ValueError, match=r"columns \['id', .*'object', 'score'\], wanted 2 rows and \['id'"):
        read_parquet(SEEN, 2)
