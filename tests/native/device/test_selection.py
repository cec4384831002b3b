import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.native.device import selection, torch_kernels
from dqh.native.device.selection import group_size, is_allowed, query_shares, rows_of, smallest

CPU = torch.device("cpu")


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3, 2**31 - 1]))
def test_the_smallest_are_those_of_a_stable_sort(seed: int, count: int, k: int, largest: int) -> None:
    """Few different values, so that columns decide, and the ends of 32 bits."""
    values = np.random.default_rng(seed).integers(-largest, largest, (3, count), endpoint=True)
    order = np.argsort(values, axis=1, kind="stable")[:, :k]
    best = smallest(torch.from_numpy(values), min(k, count))
    assert best.columns.tolist() == order.tolist()
    assert best.values.tolist() == np.take_along_axis(values, order, axis=1).tolist()


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 70), st.integers(1, 9))
def test_the_groups_of_the_smallest_minima_hold_the_nearest(seed: int, count: int, k: int, size: int) -> None:
    """All rows of the k nearest by (distance, row), however many distances are equal."""
    distances = np.random.default_rng(seed).integers(0, 4, count)
    minima = [int(distances[start : start + size].min()) for start in range(0, count, size)]
    groups = smallest(torch.tensor([minima]), min(k, len(minima))).columns
    looked_at = set(rows_of(groups, size)[0].tolist())
    assert set(np.argsort(distances, kind="stable")[:k].tolist()) <= looked_at


@pytest.mark.parametrize(
    ("rows", "k", "size"), [(0, 1, 32), (10, 100, 32), (10**6, 100, 128), (10**6, 1000, 32), (10**8, 100, 1024)]
)
def test_groups_balance_what_is_looked_at_twice(rows: int, k: int, size: int) -> None:
    """√(10⁶ / 100) = 100 and √(10⁶ / 1000) = 32; within the bounds."""
    assert group_size(rows, k) == size


def test_queries_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(selection.CELLS, "cpu", 100)
    assert query_shares(7, cells=30, device=CPU) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert query_shares(2, cells=1000, device=CPU) == [slice(0, 1), slice(1, 2)]
    assert query_shares(0, cells=1, device=CPU) == []


def test_rows_beyond_the_last_are_never_allowed() -> None:
    rows = torch.tensor([[0, 8], [9, 300]])
    mask = selection.placed(np.array([0b11111110, 0b11], np.uint8), CPU)
    assert is_allowed(None, rows, 10).tolist() == [[True, True], [True, False]]
    assert is_allowed(mask, rows, 10).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("triton", "cuda", "native"), [(False, True, "require"), (True, False, ""), (True, True, "off")]
)
def test_without_triton_or_cuda_torch_computes(
    triton: bool, cuda: bool, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DQH_NATIVE", native)
    monkeypatch.setattr(selection, "find_spec", lambda name: object() if triton else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(selection, "triton_kernels", selection.triton_kernels.__wrapped__)
    assert selection.kernels(torch.device("cuda")) is torch_kernels
    assert selection.kernels(CPU) is torch_kernels


def test_on_cuda_triton_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DQH_NATIVE", raising=False)
    monkeypatch.setattr(selection, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(selection, "import_module", lambda name: name)
    monkeypatch.setattr(selection, "triton_kernels", selection.triton_kernels.__wrapped__)
    assert selection.kernels(torch.device("cuda", 1)) == "dqh.native.device.triton_kernels"
    assert selection.kernels(CPU) == "dqh.native.device.torch_kernels"
