from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import sharing, threads, twins
from dqh.native.extension import extension
from dqh.native.product_codes import ProductCodes


def plain(
    indices: np.ndarray, tables: np.ndarray, k: int, allowed: np.ndarray | None
) -> tuple[list[list[int]], list[list[float]]]:
    """Every sum, in float32 from the first subspace to the last, and a stable sort."""
    ids, distances = [], []
    for table in tables:
        sums = np.zeros(indices.shape[1], np.float32)
        for values, column in zip(table, indices, strict=True):
            sums += values[column]
        rows = np.arange(len(sums)) if allowed is None else np.flatnonzero(allowed)
        order = rows[np.argsort(sums[rows], kind="stable")][:k]
        missing = k - len(order)
        ids.append(order.tolist() + [-1] * missing)
        distances.append((sums[order] + 0).tolist() + [np.inf] * missing)
    return ids, distances


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 300) | st.integers(1000, 6000),
    subspaces=st.integers(1, 20),
    codewords=st.sampled_from([2, 4, 16, 32, 256]),
    k=st.integers(1, 150),
    kind=st.sampled_from(["distances", "products", "few values", "constant", "zero", "far apart"]),
    share=st.sampled_from([None, 0.0, 0.02, 0.6]),
)
def test_the_nearest_are_those_of_a_sort(
    kernels: ModuleType, seed: int, count: int, subspaces: int, codewords: int, k: int, kind: str, share: float | None
) -> None:
    """Tables of squared distances, of inner products, and those where nothing, or nearly all, can be told apart."""
    generator = np.random.default_rng(seed)
    indices = generator.integers(0, codewords, (subspaces, count), dtype=np.uint8)
    shape = (3, subspaces, codewords)
    tables = {
        "distances": lambda: generator.standard_normal(shape) ** 2,
        "products": lambda: generator.standard_normal(shape) - 0.3,
        "few values": lambda: generator.integers(-2, 3, shape),
        "constant": lambda: np.full(shape, 0.7),
        "zero": lambda: -np.zeros(shape),
        "far apart": lambda: 10.0 ** generator.integers(-30, 30, shape),
    }[kind]().astype(np.float32)
    allowed = None if share is None else generator.random(count) < share
    ids, distances = ProductCodes(indices, codewords, kernels=kernels).nearest(tables, k, allowed=allowed)
    wanted_ids, wanted = plain(indices, tables, k, allowed)
    assert distances.tolist() == wanted
    assert ids.tolist() == wanted_ids


@pytest.mark.parametrize("order", ["ascending", "descending", "hills"])
@pytest.mark.parametrize("codewords", [16, 256])
def test_any_order_of_the_rows(kernels: ModuleType, codewords: int, order: str) -> None:
    """Distances that fall, rise, or both: the limit moves with every row, or never."""
    count = 20_000
    values = np.linspace(0, 1, count) if order == "ascending" else np.linspace(1, 0, count)
    if order == "hills":
        values = np.abs(np.sin(np.arange(count) / 700))
    whole = np.floor(values * (codewords**2 - 1)).astype(np.int64)
    indices = np.stack([whole // codewords, whole % codewords]).astype(np.uint8)
    tables = np.stack([np.arange(codewords) * codewords, np.arange(codewords)])[None].astype(np.float32)
    ids, distances = ProductCodes(indices, codewords, kernels=kernels).nearest(tables, 300)
    wanted_ids, wanted = plain(indices, tables, 300, None)
    assert distances.tolist() == wanted
    assert ids.tolist() == wanted_ids


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("queries", [1, 7, 20])
def test_any_number_of_threads_gives_the_same(
    kernels: ModuleType, count: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    indices = generator.integers(0, 16, (3, 5003), dtype=np.uint8)
    tables = generator.integers(0, 9, (queries, 3, 16)).astype(np.float32)
    monkeypatch.setattr(sharing, "WORK", 1)
    monkeypatch.setattr(sharing, "SCRATCH", 10_000)
    for module in (sharing, threads):
        monkeypatch.setattr(module, "threads", lambda: count)
    ids, distances = ProductCodes(indices, 16, kernels=kernels).nearest(tables, 40)
    wanted_ids, wanted = plain(indices, tables, 40, None)
    assert ids.tolist() == wanted_ids
    assert distances.tolist() == wanted


ARGUMENTS = {
    "indices": np.zeros((2, 9), np.uint8),
    "allowed": None,
    "rows": 9,
    "subspaces": 2,
    "codewords": 16,
    "first": 0,
    "last": 9,
    "tables": np.zeros((1, 2, 16), np.float32),
    "count": 1,
    "k": 3,
    "scratch": np.empty(10_000, np.uint64),
    "ids": np.empty((1, 3), np.int64),
    "distances": np.empty((1, 3), np.float32),
}


@pytest.mark.parametrize(
    "unfit",
    [
        {"rows": 10},
        {"rows": -1},
        {"subspaces": 3},
        {"subspaces": 0},
        {"codewords": 32},
        {"codewords": 12},
        {"codewords": 512},
        {"last": 10},
        {"first": -1},
        {"count": 2},
        {"k": 4},
        {"k": 0},
        {"k": 2**61},
        {"allowed": np.zeros(1, np.uint8)},
        {"scratch": np.empty(4, np.uint64)},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(unfit: dict) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    assert native.tables_nearest(*ARGUMENTS.values()) == twins.OK
    assert native.tables_nearest(*(ARGUMENTS | unfit).values()) == twins.ARGUMENT


def test_codewords_that_are_none_stay_in_the_tables(kernels: ModuleType) -> None:
    """Bytes beyond K, which no quantizer writes, read another codeword and never other memory."""
    if kernels is twins:
        pytest.skip("numpy refuses them")
    indices = np.full((1, 3000), 255, np.uint8)
    tables = np.arange(4, dtype=np.float32)[None, None]
    assert ProductCodes(indices, 4, kernels=kernels).nearest(tables, 2)[1].tolist() == [[3, 3]]
