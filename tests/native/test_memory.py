import numpy as np
import pytest

from dqh.native.memory import LINE, aligned_zeros


@pytest.mark.parametrize("shape", [(1, 3), (1,), (5, 7, 3), (100_000,)])
def test_zeros_begin_a_line(shape: tuple[int, ...]) -> None:
    for dtype in (np.uint8, np.uint16, np.uint64):
        values = aligned_zeros(shape, dtype)
        assert values.ctypes.data % LINE == 0
        assert (values.shape, values.dtype, values.any()) == (shape, np.dtype(dtype), False)
        values[...] = 1
        assert values.all()
