import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.device import hamming_tensors, hits, selection, torch_kernels
from dqh.native.device.hamming_tensors import HammingTensors, words_of
from dqh.native.hamming_codes import HammingCodes

CPU = torch.device("cpu")


def both(codes: np.ndarray, device: str) -> tuple[HammingCodes, HammingTensors]:
    """The same codes for the twins in numpy and for torch, which gets them in two parts."""
    size = codes.shape[1]
    host, placed = HammingCodes(size, kernels=twins), HammingTensors(size, device=device)
    host.add(codes)
    placed.add(codes[: len(codes) // 3])
    placed.add(torch.from_numpy(codes[len(codes) // 3 :]))
    assert len(placed) == len(host) == len(codes)
    return host, placed


def drawn(seed: int, count: int, size: int, share: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Codes of few different bytes, so that many are equally far away, queries near them, and a filter."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 256, (count, size), dtype=np.uint8) & generator.integers(0, 4, size, dtype=np.uint8)
    queries = codes[generator.integers(0, count, 5)] ^ generator.integers(0, 256, (5, 1), dtype=np.uint8)
    return codes, queries, None if share is None else bitmap_of(generator.random(count) < share)


DRAWS = {
    "seed": st.integers(0, 2**32),
    "count": st.integers(1, 300) | st.integers(1000, 5000),
    "size": st.integers(1, 40),
    "share": st.sampled_from([None, 0.0, 0.02, 0.6]),
}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**DRAWS, k=st.integers(1, 400))
def test_the_nearest_are_those_of_numpy(
    device: str, seed: int, count: int, size: int, share: float | None, k: int
) -> None:
    codes, queries, allowed = drawn(seed, count, size, share)
    host, placed = both(codes, device)
    wanted, answers = (each.nearest(queries, min(k, count), allowed=allowed) for each in (host, placed))
    for one, other in zip(wanted, answers, strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(**DRAWS, radius=st.integers(0, 60) | st.just(2**40))
def test_what_is_within_is_that_of_numpy(
    device: str, seed: int, count: int, size: int, share: float | None, radius: int
) -> None:
    codes, queries, allowed = drawn(seed, count, size, share)
    host, placed = both(codes, device)
    wanted, answers = (each.within(queries, radius, allowed=allowed) for each in (host, placed))
    for one, other in zip(wanted, answers, strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize("cells", [1, 300, 3000])
def test_memory_changes_no_answer(cells: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One query or some at a time, some groups of rows, some codes laid out at a time."""
    codes, queries, allowed = drawn(0, 3000, 9, 0.5)
    monkeypatch.setattr(hamming_tensors, "_ADDED", 7)
    assert hits.CELLS is torch_kernels.CELLS is selection.CELLS
    monkeypatch.setitem(selection.CELLS, device, cells)
    host, placed = both(codes, device)
    for one, other in zip(host.nearest(queries, 40), placed.nearest(queries, 40), strict=True):
        assert np.array_equal(one, other)
    for radius in (3, 12):
        wanted, answers = (each.within(queries, radius, allowed=allowed) for each in (host, placed))
        assert [part.tolist() for part in answers] == [part.tolist() for part in wanted]


def test_no_more_is_held_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of any operation of a search of 900 queries over 10,000 codes: 9 million distances in all."""
    codes, queries, _ = drawn(1, 10_000, 8, None)
    placed = HammingTensors(8, device="cpu")
    placed.add(codes)
    held: list[int] = []
    monkeypatch.setattr(
        torch_kernels, "pad", lambda values, *a, **b: held.append(values.numel()) or F.pad(values, *a, **b)
    )
    monkeypatch.setattr(
        hamming_tensors, "smallest", lambda values, k: held.append(values.numel()) or selection.smallest(values, k)
    )
    placed.nearest(np.repeat(queries, 180, axis=0), 30)
    assert len(held) > 10
    assert max(held) <= selection.CELLS["cpu"] + selection.MOST_GROUP


def test_fewer_than_k_and_none(device: str) -> None:
    placed = HammingTensors(2, device=device)
    queries = np.zeros((2, 2), np.uint8)
    nothing = placed.nearest(queries, 3)
    assert [part.tolist() for part in nothing] == [[[-1] * 3] * 2, [[twins.MISSING] * 3] * 2]
    assert [part.tolist() for part in placed.within(queries, 5)] == [[0, 0, 0], [], []]
    placed.add(np.array([[3, 0], [1, 0]], np.uint8))
    placed.add(np.empty((0, 2), np.uint8))
    assert [part[0].tolist() for part in placed.nearest(queries, 3)] == [[1, 0, -1], [1, 2, twins.MISSING]]
    assert [part.tolist() for part in placed.nearest(queries[:0], 3)] == [[], []]
    assert [part.tolist() for part in placed.within(queries[:0], 3)] == [[0], [], []]


def test_words_are_filled_up_with_zeros() -> None:
    codes = np.array([[1, 2, 3, 4, 255], [255, 255, 255, 255, 1]], np.uint8)
    assert words_of(codes, CPU).tolist() == [[0x04030201, -1], [255, 1]]
    assert words_of(codes[:, :0], CPU).tolist() == [[0, 0]]
