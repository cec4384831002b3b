import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh import npy
from dqh.npy import map_any_npy, map_npy, npy_header, npy_parts, npy_size, parse_npy, read_npy


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


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.int16).reshape(2, 3), np.ones((4, 1), ">f8"), np.array(3.0)])
def test_those_of_anyone_come_back_read_or_mapped(array: np.ndarray, tmp_path: Path) -> None:
    for number, given in enumerate((array, np.array(array, order="F"))):
        file = tmp_path / f"{number}.npy"
        np.save(file, given)
        with file.open("rb") as opened:
            mapped = map_any_npy(opened, file)
        for found in (parse_npy(file.read_bytes()), mapped):
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            assert np.array_equal(found, array)
            assert not found.flags.writeable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], r"it names the shape \(2, 3\), which does not fit its 11 bytes"),
        (lambda content: content + b"x", "does not fit its 13 bytes"),
        (lambda content: b"PK" + content[2:], "magic string"),
        (lambda content: content.replace(b"<i2", b"|O8").replace(b" ", b"", 0), "it holds object"),
        (lambda content: b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + content[12:], "a header of 2147483647 bytes"),
        (lambda content: b"", "EOF"),
    ],
)
def test_those_that_are_none_are_refused(change: Callable[[bytes], bytes], message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.arange(6, dtype=np.int16).reshape(2, 3))
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ValueError, match=message):
        parse_npy(file.read_bytes())
    with file.open("rb") as opened, pytest.raises(ValueError, match=message):
        map_any_npy(opened, file)
