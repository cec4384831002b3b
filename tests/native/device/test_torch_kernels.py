import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.native.bitmaps import bitmap_of
from dqh.native.device.selection import MISSING, placed
from dqh.native.device.torch_kernels import differing_bits, hamming_minima, table_minima

CPU = torch.device("cpu")


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1), st.integers(-(2**31), 2**31 - 1))
def test_bits_of_any_word_are_counted(words: list[int], other: int) -> None:
    """Two words a code; the sign is a bit like the others."""
    items = torch.tensor([words, words], dtype=torch.int32)
    counts = differing_bits(items, torch.tensor([[other], [0]], dtype=torch.int32))
    wanted = [((word ^ other) & 0xFFFFFFFF).bit_count() + (word & 0xFFFFFFFF).bit_count() for word in words]
    assert counts.dtype == torch.int32
    assert counts.tolist() == wanted


@pytest.mark.parametrize("filtered", [False, True])
def test_minima_of_groups_by_hand(filtered: bool) -> None:
    """Rows of 40 ones, of 1 and of 2, of which the last is alone in the second group."""
    words = torch.zeros(2, 33, dtype=torch.int32)
    words[:, :] = torch.tensor([[-1], [0xFF]])
    words[:, 5], words[:, 32] = torch.tensor([1, 0]), torch.tensor([3, 0])
    allowed = np.ones(33, np.bool_)
    allowed[[5, 32]] = not filtered
    minima = hamming_minima(words, torch.zeros(2, 1, dtype=torch.int32), placed(bitmap_of(allowed), CPU), 32)
    assert minima.tolist() == ([[40, MISSING]] if filtered else [[1, 2]])


def test_minima_of_sums_by_hand() -> None:
    """Sums −1 + 5, 2 + 5 and 2 − 3, and 1 + sum · inverse, which turns the order round."""
    indices = torch.tensor([[0, 1, 1], [0, 0, 1]], dtype=torch.uint8)
    tables = torch.tensor([[[-1.0, 2.0], [5.0, -3.0]]])
    assert table_minima(indices, tables, None, None, 32).tolist() == [[-1]]
    assert table_minima(indices, tables, torch.tensor([0.5, 0, -2.0]), None, 32).tolist() == [[1]]
    assert table_minima(indices, tables, None, placed(np.zeros(1, np.uint8), CPU), 32).tolist() == [[np.inf]]
