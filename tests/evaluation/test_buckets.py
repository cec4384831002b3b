import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.codes import pack
from dqh.evaluation import buckets as module
from dqh.evaluation.buckets import Buckets, group, hamming_buckets, hamming_pools, split_ties


def clustered(count: int, bits: int, *, seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Bits near the centre of a class, and the classes."""
    centres = np.random.default_rng(99).random((classes, bits)) < 0.5
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    return centres[labels] ^ (generator.random((count, bits)) < 0.2), labels


def nested_loops(query: np.ndarray, database: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.zeros((len(query), query.shape[1] + 1), dtype=np.int64)
    hits = np.zeros_like(counts)
    for q in range(len(query)):
        for i in range(len(database)):
            distance = int((query[q] != database[i]).sum())
            counts[q, distance] += 1
            hits[q, distance] += relevant[q, i]
    return counts, hits


def test_hamming_histograms_by_hand() -> None:
    """Query 10 of class 1 against 10 (class 1), 11 (0), 00 (1), 01 (1): distances 0, 1, 1, 2."""
    found = hamming_buckets(
        pack(np.array([[1, 0]], dtype=bool)),
        pack(np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=bool)),
        query_labels=np.array([1]),
        database_labels=np.array([1, 0, 1, 1]),
        bits=2,
    )
    assert found.counts.tolist() == [[1, 2, 1]]
    assert found.relevant.tolist() == [[1, 1, 1]]
    assert found.size == 4


@pytest.mark.parametrize("bits", [1, 5, 8, 48, 100])
@pytest.mark.parametrize("multiple", [False, True])
def test_hamming_histograms_equal_nested_loops(
    bits: int, multiple: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DATABASE_CHUNK", 16)
    monkeypatch.setitem(module._PAIRS, device, 16 * 5)
    query, query_labels = clustered(13, bits, seed=0)
    database, database_labels = clustered(50, bits, seed=1)
    if multiple:
        generator = np.random.default_rng(2)
        query_labels, database_labels = (generator.random((n, 6)) < 0.3 for n in (13, 50))
        relevant = (query_labels[:, None] & database_labels[None]).any(2)
    else:
        relevant = query_labels[:, None] == database_labels[None]
    found = hamming_buckets(
        pack(query),
        pack(database),
        query_labels=query_labels,
        database_labels=database_labels,
        bits=bits,
        device=device,
    )
    counts, hits = nested_loops(query, database, relevant)
    assert found.counts.device.type == device
    assert np.array_equal(found.counts.cpu().numpy(), counts)
    assert np.array_equal(found.relevant.cpu().numpy(), hits)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_hamming_histograms_are_exact_for_1024_bits(precision: str, device: str) -> None:
    query, query_labels = clustered(20, 1024, seed=3)
    database, database_labels = clustered(400, 1024, seed=4)
    query[0], database[0] = False, True  # the largest distance there is
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        found = hamming_buckets(
            pack(query),
            pack(database),
            query_labels=query_labels,
            database_labels=database_labels,
            bits=1024,
            device=device,
        )
    finally:
        torch.set_float32_matmul_precision(before)
    for q in range(20):
        distances = (query[q] != database).sum(1)
        assert np.array_equal(found.counts[q].cpu().numpy(), np.bincount(distances, minlength=1025))
        own = database_labels == query_labels[q]
        assert np.array_equal(found.relevant[q].cpu().numpy(), np.bincount(distances[own], minlength=1025))


def test_hamming_histograms_are_exact_inside_a_training_loop(device: str) -> None:
    query, query_labels = clustered(9, 300, seed=8)
    database, database_labels = clustered(70, 300, seed=9)
    arguments = {"query_labels": query_labels, "database_labels": database_labels, "bits": 300, "device": device}
    wanted = hamming_buckets(pack(query), pack(database), **arguments)
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
        found = hamming_buckets(pack(query), pack(database), **arguments)
    assert torch.equal(found.counts, wanted.counts)
    assert torch.equal(found.relevant, wanted.relevant)


def test_hamming_histograms_do_not_know_the_database_order() -> None:
    query, query_labels = clustered(9, 24, seed=5)
    database, database_labels = clustered(200, 24, seed=6)
    order = np.random.default_rng(7).permutation(200)
    one, other = (
        hamming_buckets(
            pack(query), pack(database[rows]), query_labels=query_labels, database_labels=database_labels[rows], bits=24
        )
        for rows in (np.arange(200), order)
    )
    assert torch.equal(one.counts, other.counts)
    assert torch.equal(one.relevant, other.relevant)


def test_pools_by_hand() -> None:
    """Balls of radius 0, 1, 2, 3 hold 1, 3, 3, 6 items."""
    histogram = Buckets(torch.tensor([[1, 2, 0, 3]]), torch.zeros(1, 4, dtype=torch.int64))
    for pool, radius, size in ((1, 0, 1), (2, 1, 3), (3, 1, 3), (4, 3, 6), (6, 3, 6), (99, 3, 6)):
        found = hamming_pools(histogram, pool=pool)
        assert (found.radii.tolist(), found.sizes.tolist()) == ([radius], [size])
    assert hamming_pools(histogram, radius=2).sizes.tolist() == [3]
    assert hamming_pools(histogram, radius=50).sizes.tolist() == [6]


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
            patch.setattr(module, "_in_numpy", lambda values: False)
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


CODES, LABELS = np.zeros((2, 1), np.uint8), np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query": np.zeros((2, 2), np.uint8)}, r"codes of 8 bits must be uint8 of shape \(N, 1\)"),
        ({"database_labels": LABELS[:1]}, "database codes and labels .* got 2 and 1"),
        ({"database": CODES[:0], "database_labels": LABELS[:0]}, "at least 1, got 0 and 0"),
        ({"database_labels": np.zeros((2, 3), bool)}, "must be of one kind"),
    ],
)
def test_sides_that_do_not_fit(changed: dict, message: str) -> None:
    given_ = {"query": CODES, "database": CODES, "query_labels": LABELS, "database_labels": LABELS} | changed
    with pytest.raises(ValueError, match=message):
        hamming_buckets(given_.pop("query"), given_.pop("database"), bits=8, **given_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either pool or radius, got pool=None, radius=None"),
        ({"pool": 1, "radius": 1}, "either pool or radius"),
        ({"pool": 0}, "pool must be at least 1 item, got 0"),
        ({"radius": -1}, "radius must be at least 0 bits, got -1"),
    ],
)
def test_pools_out_of_range(arguments: dict, message: str) -> None:
    histogram = Buckets(torch.ones(1, 2, dtype=torch.int64), torch.ones(1, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=message):
        hamming_pools(histogram, **arguments)


def test_buckets_of_wrong_form() -> None:
    whole = torch.ones(1, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"got \(1, 2\) and \(2,\)"):
        Buckets(whole, whole[0])
    with pytest.raises(ValueError, match=r"relevant must be int64, got torch\.float32"):
        Buckets(whole, whole.float())
