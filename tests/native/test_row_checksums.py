import zlib
from types import ModuleType

import numpy as np
import pytest

from dqh.native import twins
from dqh.native.extension import extension
from dqh.native.row_checksums import row_crc32

SIZES = [0, 1, 7, 8, 15, 16, 63, 64, 65, 79, 80, 127, 128, 129, 200, 255, 256, 257, 511, 512, 600, 1000, 8192]


@pytest.mark.parametrize("size", SIZES)
def test_sums_are_those_of_zlib(kernels: ModuleType, size: int) -> None:
    """Every way through the loops: 256 bytes at a time, 64 at a time, 16, 8 and 1; rows begin at any address."""
    rows = np.random.default_rng(size).integers(0, 256, (9, size), dtype=np.uint8)
    assert row_crc32(rows, kernels=kernels).tolist() == [zlib.crc32(row.tobytes()) for row in rows]


def test_rows_of_other_types_are_their_bytes(kernels: ModuleType) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float16)
    assert row_crc32(rows, kernels=kernels).tolist() == [zlib.crc32(row.tobytes()) for row in rows]
    assert row_crc32(rows[:0], kernels=kernels).tolist() == []


@pytest.mark.parametrize("unfit", [(4, 8), (3, 9), (-1, 8), (3, -1), (2**62, 8), (3, 2**62)])
def test_arguments_that_do_not_fit(unfit: tuple[int, int]) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    rows, sums = np.zeros((3, 8), np.uint8), np.empty(3, np.uint32)
    assert native.crc32(rows, 3, 8, sums) == twins.OK
    assert native.crc32(rows, *unfit, sums) == twins.ARGUMENT
