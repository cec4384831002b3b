import numpy as np
import pytest
import torch
from torch import Tensor

from dqh.native.device import selection
from dqh.native.device.hits import GROUP, Compared, hits_in_shares

CPU = torch.device("cpu")
ROWS = 2 * GROUP + 3
DISTANCES = torch.full((2, ROWS), 9.0)
DISTANCES[0, [1, GROUP, ROWS - 1]] = torch.tensor([0.5, -1.0, 0.5])
DISTANCES[1, [3, 4]] = torch.tensor([2.0, 1.0])


def search(share: slice) -> tuple[Tensor, Compared]:
    """Row 3 may be in no answer, though the least of its group does not tell so; rows beyond the last are compared."""
    filled = torch.full((share.stop - share.start, 3 * GROUP), -5.0)
    filled[:, :ROWS] = DISTANCES[share]

    def compared(query: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return filled[query, rows], (rows < ROWS) & (rows != 3)

    return DISTANCES[share].new_tensor([[0.5, -1.0, 0.5], [1.0, 9.0, 9.0]])[share], compared


@pytest.mark.parametrize("cells", [1, 3, 1000])
def test_hits_are_in_order_of_query_distance_and_row(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: −1 in the second group, then .5 twice by row; 1 of the second query, 2 being of a row left out."""
    monkeypatch.setitem(selection.CELLS, "cpu", cells)
    given = {"queries": 2, "rows": ROWS, "kind": np.float32, "device": CPU}
    offsets, ids, distances = hits_in_shares(search, 2.0, **given)
    assert offsets.tolist() == [0, 3, 4]
    assert ids.tolist() == [GROUP, 1, ROWS - 1, 4]
    assert distances.tolist() == [-1, 0.5, 0.5, 1]
    assert (offsets.dtype, ids.dtype, distances.dtype) == (np.int64, np.int64, np.float32)
    assert [part.tolist() for part in hits_in_shares(search, -2.0, **given)] == [[0, 0, 0], [], []]
    assert hits_in_shares(search, 9.0, **given)[0].tolist() == [0, ROWS - 1, 2 * ROWS - 2]


def test_no_rows_have_no_hits() -> None:
    empty = hits_in_shares(search, 9.0, queries=2, rows=0, kind=np.int32, device=CPU)
    assert [part.tolist() for part in empty] == [[0, 0, 0], [], []]
    assert empty[2].dtype == np.int32
