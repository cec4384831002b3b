import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.index.store import npy
from dqh.index.store.npy import map_npy, npy_header, npy_parts, npy_size, read_npy


@pytest.mark.parametrize(
    "array", [np.arange(12, dtype=np.uint8).reshape(4, 3), np.arange(3, dtype="<u4"), np.ones((2, 5), "<f2")]
)
def test_numpy_reads_what_is_written(tmp_path: Path, array: np.ndarray) -> None:
    file = tmp_path / "array.npy"
    file.write_bytes(b"".join(npy_parts(array)))
    assert np.array_equal(np.load(file, allow_pickle=False), array)
    assert np.array_equal(read_npy(file, array.dtype, array.shape), array)
    mapped, found = map_npy(file, array.dtype, array.shape)
    assert np.array_equal(mapped, array)
    assert os.path.samestat(found, file.stat())
    assert found.st_size == file.stat().st_size
    assert file.stat().st_size == npy_size(array.dtype, array.shape)
    assert len(npy_header(array.dtype, array.shape)) % 64 == 0


def test_arrays_are_read_only(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"".join(npy_parts(np.zeros((2, 2), np.uint8))))
    for array in (read_npy(tmp_path / "a.npy", np.uint8, (2, 2)), map_npy(tmp_path / "a.npy", np.uint8, (2, 2))[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_a_map_outlives_its_file_and_keeps_no_descriptor(tmp_path: Path) -> None:
    """The path has a byte that is no UTF-8; the lowest free descriptor is the same before and after."""
    file = tmp_path / "a\udcff.npy"
    array = np.arange(5000, dtype=np.uint8).reshape(50, 100)
    file.write_bytes(b"".join(npy_parts(array)))
    before = os.open(os.devnull, os.O_RDONLY)
    os.close(before)
    mapped, _ = map_npy(file, np.uint8, (50, 100))
    after = os.open(os.devnull, os.O_RDONLY)
    os.close(after)
    assert before == after
    file.unlink()
    assert np.array_equal(mapped, array)


def test_what_takes_the_place_of_a_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe would wait for a writer for ever."""
    file, array = tmp_path / "a.npy", np.arange(6, dtype=np.uint8).reshape(3, 2)
    file.write_bytes(b"".join(npy_parts(array)))
    look = npy._require_header

    def replaced(*given: Any) -> None:
        look(*given)
        file.unlink()
        os.mkfifo(file)

    monkeypatch.setattr(npy, "_require_header", replaced)
    mapped, found = map_npy(file, np.uint8, (3, 2))
    assert np.array_equal(mapped, array)
    assert found.st_size == npy_size(np.uint8, (3, 2))


@pytest.mark.parametrize(
    ("dtype", "shape", "message"),
    [
        (np.uint8, (2, 3), "its header does not say"),
        (np.uint8, (7, 1), "it has 134 bytes, wanted 135"),
        (np.int8, (3, 2), "its header does not say"),
        (np.uint8, (6,), "its header does not say"),
    ],
)
def test_another_array_is_refused(tmp_path: Path, dtype: type, shape: tuple[int, ...], message: str) -> None:
    """(2, 3) has as many bytes as (3, 2), and another header."""
    (tmp_path / "a.npy").write_bytes(b"".join(npy_parts(np.zeros((3, 2), np.uint8))))
    for read in (read_npy, map_npy):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "a.npy", dtype, shape)


def test_an_object_array_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    size = (tmp_path / "a.npy").stat().st_size - 128
    with pytest.raises(ValueError, match="its header does not say"):
        map_npy(tmp_path / "a.npy", np.uint8, (size,))
