from pathlib import Path

import numpy as np
import pytest

from dqh.index.store.npy import map_npy, npy_header, npy_parts, npy_size


@pytest.mark.parametrize(
    "array", [np.arange(12, dtype=np.uint8).reshape(4, 3), np.arange(3, dtype="<u4"), np.ones((2, 5), "<f2")]
)
def test_numpy_reads_what_is_written(tmp_path: Path, array: np.ndarray) -> None:
    file = tmp_path / "array.npy"
    file.write_bytes(b"".join(npy_parts(array)))
    assert np.array_equal(np.load(file, allow_pickle=False), array)
    assert np.array_equal(map_npy(file, array.dtype, array.shape), array)
    assert file.stat().st_size == npy_size(array.dtype, array.shape)
    assert len(npy_header(array.dtype, array.shape)) % 64 == 0


def test_the_map_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"".join(npy_parts(np.zeros((2, 2), np.uint8))))
    with pytest.raises(ValueError, match="read-only"):
        map_npy(tmp_path / "a.npy", np.uint8, (2, 2))[0, 0] = 1


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
    with pytest.raises(ValueError, match=message):
        map_npy(tmp_path / "a.npy", dtype, shape)


def test_an_object_array_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    size = (tmp_path / "a.npy").stat().st_size - 128
    with pytest.raises(ValueError, match="its header does not say"):
        map_npy(tmp_path / "a.npy", np.uint8, (size,))
