import gzip
import os
import struct

import numpy as np
import pytest

from dqh.data.idx import find_idx, read_idx
from dqh.errors import DataError


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_come_back(tmp_path, shape, packed):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    np.testing.assert_array_equal(read_idx(path), array)


def test_either_form_is_found(tmp_path):
    assert find_idx(tmp_path / "a") is None
    (tmp_path / "a.gz").touch()
    assert find_idx(tmp_path / "a") == tmp_path / "a.gz"
    (tmp_path / "a").touch()
    assert find_idx(tmp_path / "a") == tmp_path / "a"


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_only_regular_files_are_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert find_idx(tmp_path / "a") == tmp_path / name
    with pytest.raises(DataError, match=r"cannot be read: .* a named pipe where a regular file is wanted"):
        read_idx(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a", b"", "no IDX file"),
        ("a", b"PK\x03\x04 something", "no IDX file"),
        ("a", bytes((0, 0, 13, 1)) + bytes(8), "no IDX file of unsigned bytes"),
        ("a", idx(np.zeros(5, np.uint8))[:-1], "damaged"),
        ("a", idx(np.zeros(5, np.uint8)) + b"x", "damaged"),
        ("a", idx(np.zeros((2, 2), np.uint8))[:7], "damaged"),
        ("a", bytes((0, 0, 8, 3)) + b"\xff" * 12, "damaged"),
        ("a.gz", b"not gzipped", "cannot be read"),
        ("a.gz", gzip.compress(idx(np.zeros(500, np.uint8)), mtime=0)[:-9], "cannot be read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_idx(tmp_path / name)
