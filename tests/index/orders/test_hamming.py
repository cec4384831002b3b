from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.codes import hamming, pack
from dqh.evaluation.metrics import average_precision
from dqh.index.orders import hamming as module
from dqh.index.orders.hamming import HammingOrder, hamming_buckets, hamming_pools
from dqh.native import twins
from dqh.native.hamming_histograms import hamming_histograms
from dqh.ranking.buckets import Buckets
from dqh.ranking.keys import other_buckets
from dqh.ranking.side import Side
from tests.devices.guard import OnCuda, stand_in_cuda

QUERIES, SIZE, BITS = 6, 50, 12
CODES, LABELS = np.zeros((2, 1), np.uint8), np.zeros(2, np.int64)


def sides() -> tuple[Side, Side]:
    generator = np.random.default_rng(1)
    query, database = (
        Side(
            pack(generator.random((count, BITS)) < 0.5),
            *2 * [np.empty((count, 0), np.float32)],
            generator.integers(0, 3, count),
        )
        for count in (QUERIES, SIZE)
    )
    return query, database


def test_hamming_keys_are_the_distances(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEY_CHUNK", 16)
    query, database = sides()
    order = HammingOrder(query, database, bits=BITS, device=device)
    wanted = hamming(query.codes, database.codes)
    assert np.array_equal(order.keys(slice(2, 5)).cpu().numpy(), wanted[2:5])
    pools = order.pools(pool=20)
    assert pools.sizes.tolist() == [
        int((row <= radius).sum()) for row, radius in zip(wanted, pools.radii.tolist(), strict=True)
    ]
    assert order.pools(radius=3).sizes.tolist() == (wanted <= 3).sum(1).tolist()


def test_histograms_of_many_bits_come_some_queries_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    order = HammingOrder(*sides(), bits=BITS)
    whole = list(order.buckets())
    monkeypatch.setattr(module, "_KEPT_CELLS", 1)
    monkeypatch.setattr(module, "_CELLS", 2 * (BITS + 1))
    chunks = list(HammingOrder(*sides(), bits=BITS).buckets())
    assert [len(chunk) for chunk in chunks] == [2, 2, 2]
    for name in ("counts", "relevant"):
        assert torch.equal(torch.cat([getattr(chunk, name) for chunk in chunks]), getattr(whole[0], name))


@pytest.mark.parametrize("multiple", [False, True])
def test_others_leave_the_query_out(multiple: bool, device: str) -> None:
    """As a sort of keys without the diagonal does; an item of no class is relevant to nothing, itself included."""
    _, database = sides()
    if multiple:
        database = database._replace(labels=np.random.default_rng(3).random((SIZE, 3)) < 0.3)
    order = HammingOrder(database, database, bits=BITS, device=device)
    (found,), wanted = order.others(), list(other_buckets(order.keys, labels=database.labels, device=device))
    assert found.counts.sum(1).tolist() == [SIZE - 1] * SIZE
    # the same fractions, summed in another grouping
    assert torch.allclose(average_precision(found), torch.cat([average_precision(each) for each in wanted]), atol=1e-12)


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
    monkeypatch.setattr(module, "_HISTOGRAM_CHUNK", 16)
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


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 300) | st.just(5000),
    bits=st.integers(1, 140),
    several=st.booleans(),
    kind=st.sampled_from([np.int64, np.int32]),
)
def test_products_count_what_the_kernels_in_numpy_do(
    seed: int, count: int, bits: int, several: bool, kind: Any
) -> None:
    """What a device counts by without Triton, here on the CPU; items of no class, and labels of any size, too."""
    generator = np.random.default_rng(seed)
    codes = pack(generator.random((count, bits)) < generator.random())
    queries = pack(generator.random((7, bits)) < 0.5)
    labels: Any = [generator.integers(-2, 3, n).astype(kind) << 20 for n in (7, count)]
    if several:
        labels = [generator.random((n, 9)) < 0.2 for n in (7, count)]
    sides = {"query_labels": labels[0], "database_labels": labels[1], "bits": bits}
    irrelevant, relevant = hamming_histograms(queries, codes, **sides, kernels=twins)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "extension", lambda: None)
        buckets = hamming_buckets(queries, codes, **sides)
    assert np.array_equal(buckets.counts.numpy(), irrelevant + relevant)
    assert np.array_equal(buckets.relevant.numpy(), relevant)


def test_on_cuda_triton_counts_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four codes counted as 5 irrelevant and 2 relevant ones at every distance."""
    asked: list[Any] = []

    def histograms(query: np.ndarray, database: np.ndarray, **arguments: Any) -> torch.Tensor:
        asked.append(arguments)
        return torch.tensor([5, 2])[:, None, None].expand(2, len(query), 9)

    kernels = SimpleNamespace()
    monkeypatch.setattr(module, "triton_kernels", lambda: kernels)
    monkeypatch.setattr(module, "histogram_tensors", histograms)
    arguments = {"query_labels": LABELS, "database_labels": LABELS, "bits": 8}
    buckets = hamming_buckets(CODES, CODES, **arguments, device="cuda:0")
    assert (buckets.counts.tolist(), buckets.relevant.tolist()) == ([[7] * 9] * 2, [[2] * 9] * 2)
    assert asked == [{**arguments, "device": "cuda:0", "kernels": kernels}]
    hamming_buckets(CODES, CODES, **arguments)
    assert len(asked) == 1


def test_codes_of_many_bits_are_counted_by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "triton_kernels", lambda: pytest.fail("asked for"))
    codes = np.zeros((2, 256), np.uint8)
    codes[1] = 255
    with stand_in_cuda():
        buckets = hamming_buckets(codes, codes, query_labels=LABELS, database_labels=LABELS, bits=2048, device="cuda")
    assert isinstance(buckets.counts, OnCuda)
    assert buckets.counts.held.nonzero().tolist() == [[0, 0], [0, 2048], [1, 0], [1, 2048]]


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
