"""Files of vectors and codes; what is wrong with files is told in tests/verbs/test_cluster.py, too."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.data.point_files import open_points
from dqh.errors import DataError

POINTS = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
ROWS = np.array([0, 7, 8, 19])


def test_all_forms_give_the_same_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", POINTS)
    with (tmp_path / "a.fvecs").open("wb") as file:
        for row in POINTS:
            file.write(struct.pack("<i", 3) + row.astype("<f4").tobytes())
    pq.write_table(pa.table({"vector": POINTS.tolist()}), tmp_path / "a.parquet", row_group_size=8)
    for name in ("a.npy", "a.fvecs", "a.parquet"):
        rows = open_points(tmp_path / name).vectors
        assert rows is not None
        assert (rows.shape, len(rows)) == ((20, 3), 20)
        assert np.issubdtype(rows.dtype, np.floating)
        for chosen in (slice(0, 20), slice(5, 11), slice(18, 99), ROWS, np.array([], np.int64)):
            np.testing.assert_array_equal(rows[chosen], POINTS[chosen])


def test_bytes_are_codes_in_npy_and_values_in_bvecs(tmp_path: Path) -> None:
    codes = np.arange(12, dtype=np.uint8).reshape(4, 3)
    np.save(tmp_path / "a.npy", codes)
    (tmp_path / "a.bvecs").write_bytes(b"".join(struct.pack("<i", 3) + row.tobytes() for row in codes))
    for name, usual in (("a.npy", "codes"), ("a.bvecs", "vectors")):
        for kind in (None, "codes", "vectors"):
            points = open_points(tmp_path / name, kind=kind)  # type: ignore[arg-type]
            assert (points.codes is None) == ((kind or usual) == "vectors")
            assert points.rows.dtype == (np.float32 if (kind or usual) == "vectors" else np.uint8)
            np.testing.assert_array_equal(points.rows[ROWS[:1]], codes[:1])


def test_tables_hold_both_and_columns_are_chosen_by_name(tmp_path: Path) -> None:
    codes = np.arange(40, dtype=np.uint8).reshape(20, 2)
    columns = {
        "box": [[1.0, 2.0]] * 20,
        "features": pa.FixedSizeListArray.from_arrays(pa.array(POINTS.astype(np.float16).reshape(-1)), 3),
        "code": pa.array([row.tobytes() for row in codes], pa.binary(2)),
        "hash": pa.array([b"1234"] * 20, pa.binary(4)),
        "list": pa.array(codes.tolist(), pa.list_(pa.uint8())),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=7)
    points = open_points(tmp_path / "a.parquet")
    assert points.vectors is not None
    assert points.codes is not None
    np.testing.assert_array_equal(points.vectors[ROWS], POINTS[ROWS].astype(np.float16))
    np.testing.assert_array_equal(points.codes[3:17], codes[3:17])
    other = open_points(tmp_path / "a.parquet", column="list")
    assert other.vectors is None
    np.testing.assert_array_equal(other.rows[:], codes)
    assert open_points(tmp_path / "a.parquet", column="box").rows.shape == (20, 2)
    with pytest.raises(DataError, match="has no column 'no' of vectors or codes; it has box: list<"):
        open_points(tmp_path / "a.parquet", column="no")


def test_vectors_that_are_missing_or_of_another_length_are_nan(tmp_path: Path) -> None:
    column = pa.array([[1.0, 2.0], None, [3.0], [4.0, None], [5.0, 6.0], [1e300, 0.0]], pa.list_(pa.float64()))
    pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet")
    rows = open_points(tmp_path / "a.parquet").rows[:]
    assert np.isfinite(rows).all(axis=1).tolist() == [True, False, False, False, True, False]
    assert rows[4].tolist() == [5, 6]
