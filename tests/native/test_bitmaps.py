import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.native.bitmaps import bitmap_of, require_bitmap, rows_allowed


@given(st.lists(st.booleans(), max_size=40))
def test_there_and_back(rows: list[bool]) -> None:
    allowed = np.array(rows, np.bool_)
    bitmap = bitmap_of(allowed)
    assert [bool(bitmap[row // 8] >> row % 8 & 1) for row in range(len(rows))] == rows
    assert rows_allowed(bitmap, len(rows)).tolist() == np.flatnonzero(allowed).tolist()
    require_bitmap(bitmap, len(rows))


@pytest.mark.parametrize("bitmap", [np.zeros(1, np.uint8), np.zeros(3, np.uint8), np.zeros(2, np.bool_)])
def test_what_is_none_is_refused(bitmap: np.ndarray) -> None:
    require_bitmap(None, 9)
    with pytest.raises(ValueError, match=r"allowed must be uint8 of shape \(2,\), a bit for each of 9 rows, got"):
        require_bitmap(bitmap, 9)
