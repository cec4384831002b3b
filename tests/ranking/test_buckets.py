import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.ranking import buckets as module
from dqh.ranking.buckets import Buckets, group, split_ties


def naive_groups(keys: list[int], relevant: list[bool]) -> list[tuple[int, int]]:
    """(items, relevant) of each key, neighbours merged where both are wholly relevant or both wholly irrelevant."""
    merged: list[tuple[int, int]] = []
    for key in sorted(set(keys)):
        own = [hit for other, hit in zip(keys, relevant, strict=True) if other == key]
        n, r = len(own), sum(own)
        if merged and r in (0, n) and merged[-1][1] == (0 if r == 0 else merged[-1][0]):
            n, r = n + merged[-1][0], r + merged[-1][1]
            merged.pop()
        merged.append((n, r))
    return merged


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("distinct", [3, 40, 10**6])
def test_groups_of_the_gpu_code_equal_those_of_numpy(
    stable: bool, distinct: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one device, all that differs is who sorts, searches and counts."""
    generator = np.random.default_rng(distinct)
    hits = torch.from_numpy(generator.random((6, 300)) < 0.3)
    hits[4], hits[5] = True, False
    for kind in (torch.int32, torch.int64):
        keys = torch.from_numpy(generator.integers(0, distinct, (6, 300))).to(kind)
        keys = keys - distinct // 2 if kind == torch.int64 else keys
        with monkeypatch.context() as patch:
            wanted = group(keys, hits, stable=stable)
            patch.setattr(module, "in_numpy", lambda values: False)
            found = group(keys, hits, stable=stable)
        assert torch.equal(found.counts, wanted.counts)
        assert torch.equal(found.relevant, wanted.relevant)


@given(st.data())
def test_groups_equal_nested_loops(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    values = st.sampled_from([0, 1, 2, 3, 2**30, 2**31 - 1])
    keys = [data.draw(st.lists(values, min_size=columns, max_size=columns)) for _ in range(rows)]
    hits = [data.draw(st.lists(st.booleans(), min_size=columns, max_size=columns)) for _ in range(rows)]
    found = group(torch.tensor(keys, dtype=torch.int32), torch.tensor(hits))
    for q in range(rows):
        wanted = naive_groups(keys[q], hits[q])
        padding = [(0, 0)] * (found.counts.shape[1] - len(wanted))
        assert list(zip(found.counts[q].tolist(), found.relevant[q].tolist(), strict=True)) == wanted + padding


def test_wide_keys_are_grouped_as_narrow_ones_are() -> None:
    generator = np.random.default_rng(1)
    keys, hits = (
        torch.from_numpy(generator.integers(0, 9, (5, 200))),
        torch.from_numpy(generator.random((5, 200)) < 0.5),
    )
    narrow = group(keys.int(), hits)
    for wide in (keys - 4, (keys - 4) * 2**50):
        found = group(wide, hits)
        assert torch.equal(found.counts, narrow.counts)
        assert torch.equal(found.relevant, narrow.relevant)
        ordered, wanted = group(wide, hits, stable=True), group(keys.int(), hits, stable=True)
        assert torch.equal(ordered.counts, wanted.counts)
        assert torch.equal(ordered.relevant, wanted.relevant)


def test_groups_of_each_device_equal_nested_loops(device: str) -> None:
    generator = np.random.default_rng(0)
    keys, hits = generator.integers(0, 9, (5, 200)), generator.random((5, 200)) < 0.5
    found = group(torch.tensor(keys, dtype=torch.int32, device=device), torch.tensor(hits, device=device))
    for q in range(5):
        wanted = naive_groups(keys[q].tolist(), hits[q].tolist())
        both = zip(found.counts[q].tolist(), found.relevant[q].tolist(), strict=True)
        assert [pair for pair in both if pair != (0, 0)] == wanted


def test_groups_in_order_follow_a_stable_sort(device: str) -> None:
    """Keys 1 0 1 0 with hits 1 0 0 1: sorted 0 0 1 1 with hits 0 1 1 0, runs of 1, 2 and 1 items."""
    keys = torch.tensor([[1, 0, 1, 0]], dtype=torch.int32, device=device)
    found = group(keys, torch.tensor([[True, False, False, True]], device=device), stable=True)
    assert found.counts.tolist() == [[1, 2, 1]]
    assert found.relevant.tolist() == [[0, 2, 0]]


def test_split_ties_by_hand() -> None:
    tied = Buckets(torch.tensor([[3, 2]]), torch.tensor([[1, 2]]))
    best, worst = split_ties(tied, "best"), split_ties(tied, "worst")
    assert (best.counts.tolist(), best.relevant.tolist()) == ([[1, 2, 2, 0]], [[1, 0, 2, 0]])
    assert (worst.counts.tolist(), worst.relevant.tolist()) == ([[2, 1, 0, 2]], [[0, 1, 0, 2]])


def test_buckets_of_wrong_form() -> None:
    whole = torch.ones(1, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"got \(1, 2\) and \(2,\)"):
        Buckets(whole, whole[0])
    with pytest.raises(ValueError, match=r"relevant must be int64, got torch\.float32"):
        Buckets(whole, whole.float())
