from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import sharing, table_twins, threads
from dqh.native.bitmaps import bitmap_of
from dqh.native.extension import extension
from dqh.native.product_codes import ProductCodes, norm_columns, product_blocks


def sums_of(indices: np.ndarray, table: np.ndarray, norms: np.ndarray | None) -> np.ndarray:
    """Every distance, in float32: a sum from the first subspace to the last, or 1 + sum / norm."""
    sums = np.zeros(indices.shape[1], np.float32)
    for values, column in zip(table, indices, strict=True):
        sums += values[column]
    if norms is not None:
        with np.errstate(divide="ignore"):
            sums = sums * np.where(norms > 0, 1 / norms, np.float32(0)) + np.float32(1)
    return sums + np.float32(0)


def plain(
    indices: np.ndarray, tables: np.ndarray, k: int, allowed: np.ndarray | None, *, norms: np.ndarray | None = None
) -> tuple[list[list[int]], list[list[float]]]:
    """A stable sort of every distance."""
    ids, distances = [], []
    for table in tables:
        sums = sums_of(indices, table, norms)
        rows = np.arange(len(sums)) if allowed is None else np.flatnonzero(allowed)
        order = rows[np.argsort(sums[rows], kind="stable")][:k]
        missing = k - len(order)
        ids.append(order.tolist() + [-1] * missing)
        distances.append(sums[order].tolist() + [np.inf] * missing)
    return ids, distances


class Search(NamedTuple):
    """What is searched, and by what."""

    indices: np.ndarray
    tables: np.ndarray
    codewords: int
    norms: np.ndarray | None
    allowed: np.ndarray | None

    def by(self, kernels: ModuleType) -> ProductCodes:
        return ProductCodes(self.indices, self.codewords, norms=self.norms, kernels=kernels)

    @property
    def bitmap(self) -> np.ndarray | None:
        return None if self.allowed is None else bitmap_of(self.allowed)


@st.composite
def searches(draw: st.DrawFn) -> Search:
    """Tables of squared distances, of inner products, and those where nothing, or nearly all, can be told apart.

    Norms are those that lie close together, those that differ a thousandfold, one for all, and zero for some.
    """
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, subspaces = (
        draw(st.integers(0, 300) | st.integers(1000, 6000)),
        draw(st.integers(1, 16) | st.integers(25, 40)),
    )
    codewords = draw(st.sampled_from([2, 4, 16, 32, 256]))
    kind = draw(st.sampled_from(["distances", "products", "unequal", "few values", "constant", "zero", "far apart"]))
    shape = (3, subspaces, codewords)
    tables = {
        "distances": lambda: generator.standard_normal(shape) ** 2,
        "products": lambda: generator.standard_normal(shape) - 0.3,
        "unequal": lambda: generator.standard_normal(shape) ** 2 / (1 + np.arange(subspaces))[:, None] ** 2,
        "few values": lambda: generator.integers(-2, 3, shape),
        "constant": lambda: np.full(shape, 0.7),
        "zero": lambda: -np.zeros(shape),
        "far apart": lambda: 10.0 ** generator.integers(-30, 30, shape),
    }[kind]().astype(np.float32)
    norms = {
        "none": lambda: None,
        "close": lambda: 3 + generator.random(count),
        "far apart": lambda: 10.0 ** generator.integers(-2, 2, count),
        "one": lambda: np.full(count, 0.7),
        "zero": lambda: generator.random(count) * generator.integers(0, 2, count),
    }[draw(st.sampled_from(["none", "none", "close", "far apart", "one", "zero"]))]()
    share = draw(st.sampled_from([None, 0.0, 0.02, 0.6]))
    return Search(
        generator.integers(0, codewords, (subspaces, count), dtype=np.uint8),
        tables,
        codewords,
        None if norms is None else norms.astype(np.float32),
        None if share is None else generator.random(count) < share,
    )


for_each_set = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)


@for_each_set
@given(searches(), st.integers(1, 150))
def test_the_nearest_are_those_of_a_sort(table_kernels: ModuleType, search: Search, k: int) -> None:
    ids, distances = search.by(table_kernels).nearest(search.tables, k, allowed=search.bitmap)
    wanted_ids, wanted = plain(search.indices, search.tables, k, search.allowed, norms=search.norms)
    assert distances.tolist() == wanted
    assert ids.tolist() == wanted_ids


@for_each_set
@given(searches(), st.sampled_from([0.0, 0.01, 0.3, 1.0, "least", "all", "none"]))
def test_what_is_within_is_a_prefix_of_a_sort(table_kernels: ModuleType, search: Search, share: float | str) -> None:
    """Radii that are the distance of an item, which is within; half of all items are, none, or all."""
    count = search.indices.shape[1]
    whole_ids, whole = plain(search.indices, search.tables, count, search.allowed, norms=search.norms)
    sums = np.sort([value for row in whole for value in row if np.isfinite(value)])
    place = int(share * (len(sums) - 1)) if isinstance(share, float) and len(sums) else 0
    radius = {"all": np.inf, "none": -np.inf}.get(share, sums[place] if len(sums) else 1.0)
    offsets, ids, distances = search.by(table_kernels).within(search.tables, radius, allowed=search.bitmap)
    assert offsets[0] == 0
    assert offsets[-1] == len(ids) == len(distances)
    for start, stop, own_ids, own in zip(offsets, offsets[1:], whole_ids, whole, strict=False):
        near = [pair for pair in zip(own, own_ids, strict=True) if pair[0] <= radius and pair[1] >= 0]
        assert list(zip(distances[start:stop].tolist(), ids[start:stop].tolist(), strict=True)) == near


@pytest.mark.parametrize("order", ["ascending", "descending", "hills"])
@pytest.mark.parametrize("codewords", [16, 256])
def test_any_order_of_the_rows(table_kernels: ModuleType, codewords: int, order: str) -> None:
    """Distances that fall, rise, or both: the limit moves with every row, or never."""
    count = 20_000
    values = np.linspace(0, 1, count) if order == "ascending" else np.linspace(1, 0, count)
    if order == "hills":
        values = np.abs(np.sin(np.arange(count) / 700))
    whole = np.floor(values * (codewords**2 - 1)).astype(np.int64)
    indices = np.stack([whole // codewords, whole % codewords]).astype(np.uint8)
    tables = np.stack([np.arange(codewords) * codewords, np.arange(codewords)])[None].astype(np.float32)
    ids, distances = ProductCodes(indices, codewords, kernels=table_kernels).nearest(tables, 300)
    wanted_ids, wanted = plain(indices, tables, 300, None)
    assert distances.tolist() == wanted
    assert ids.tolist() == wanted_ids


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("queries", [1, 7, 20])
def test_any_number_of_threads_gives_the_same(
    table_kernels: ModuleType, count: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    indices = generator.integers(0, 16, (3, 5003), dtype=np.uint8)
    tables = generator.integers(0, 9, (queries, 3, 16)).astype(np.float32)
    monkeypatch.setattr(sharing, "WORK", 1)
    monkeypatch.setattr(sharing, "SCRATCH", 10_000)
    for module in (sharing, threads):
        monkeypatch.setattr(module, "threads", lambda: count)
    ids, distances = ProductCodes(indices, 16, kernels=table_kernels).nearest(tables, 40)
    wanted_ids, wanted = plain(indices, tables, 40, None)
    assert ids.tolist() == wanted_ids
    assert distances.tolist() == wanted
    offsets, ids, distances = ProductCodes(indices, 16, kernels=table_kernels).within(tables, 9.0)
    everything_ids, everything = plain(indices, tables, 5003, None)
    sizes = [sum(distance <= 9 for distance in row) for row in everything]
    assert np.diff(offsets).tolist() == sizes
    assert ids.tolist() == [row for size, rows in zip(sizes, everything_ids, strict=True) for row in rows[:size]]
    assert distances.tolist() == [value for size, row in zip(sizes, everything, strict=True) for value in row[:size]]


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 2500])
def test_codewords_lie_in_blocks(count: int) -> None:
    """Of 1,024 items, those of each subspace together, with columns of norms behind them; and they come back."""
    indices = np.random.default_rng(0).integers(0, 16, (3, count), dtype=np.uint8)
    blocks = product_blocks(indices, np.arange(count, dtype=np.uint8)[None])
    assert blocks.shape == (-(-count // 1024), 4, 1024)
    for item in range(0, count, 97):
        assert blocks[item // 1024, :, item % 1024].tolist() == [*indices[:, item].tolist(), item % 256]
    norms = np.ones(count, np.float32)
    for items in (
        ProductCodes(indices, 16, kernels=table_twins),
        ProductCodes(indices, 16, norms=norms, kernels=table_twins),
    ):
        assert np.array_equal(items.indices(), indices)
        assert len(items) == count


@pytest.mark.parametrize("subspaces", [8, 40, 64])
@pytest.mark.parametrize("share", [None, 0.02, 0.5])
def test_first_limits_of_a_block(table_kernels: ModuleType, subspaces: int, share: float | None) -> None:
    """Items in groups of near ones, of which the first block has many, few or none, and k around what it has."""
    generator = np.random.default_rng(subspaces)
    indices = generator.integers(0, 256, (subspaces, 4000), dtype=np.uint8)
    tables = (generator.standard_normal((3, subspaces, 256)) ** 2).astype(np.float32)
    tables[1, 0] *= 1000  # one subspace decides nearly alone
    near = tables[0].argsort(axis=1)[:, :9].astype(np.uint8)
    for start in (100, 1024, 3000):
        indices[:, start : start + 90] = np.take_along_axis(near, generator.integers(0, 9, (subspaces, 90)), axis=1)
    allowed = None if share is None else generator.random(4000) < share
    search = Search(indices, tables, 256, None, allowed)
    for k in (1, 20, 100, 128, 129):
        ids, distances = search.by(table_kernels).nearest(tables, k, allowed=search.bitmap)
        assert (ids.tolist(), distances.tolist()) == plain(indices, tables, k, allowed)


def test_norms_of_bytes_are_bounds() -> None:
    """256 steps from 2 to 257; numbers that are no float32 are rounded to a step that is below them."""
    columns, (scales, least, step) = norm_columns(np.array([2, 3, 3.5, 257], np.float32), halves=False)
    assert (columns.tolist(), least, step) == ([[0, 1, 1, 255]], 2, 1)
    assert scales is not None
    assert scales.tolist() == [np.float32(1) / np.float32(norm) for norm in (2, 3, 3.5, 257)]
    assert norm_columns(np.array([2, 3, 3.5, 257], np.float32), halves=True)[0].tolist() == [
        [0, 1, 1, 15],
        [0, 0, 0, 15],
    ]
    assert norm_columns(np.zeros(2, np.float32), halves=False)[1][1:] == (0, 0)
    norms = np.random.default_rng(0).random(5000, np.float32) ** 4
    (octets,), (_, least, step) = norm_columns(norms, halves=False)
    assert (least + octets * step <= norms).all()
    assert (norms < least + (octets + 1.001) * step).all()  # below the next step, but for rounding


ARGUMENTS = {
    "blocks": np.zeros((1, 2, 1024), np.uint8),
    "allowed": None,
    "rows": 9,
    "subspaces": 2,
    "codewords": 16,
    "scales": None,
    "norm_least": 0.0,
    "norm_step": 0.0,
    "first": 0,
    "last": 9,
    "tables": np.zeros((1, 2, 16), np.float32),
    "count": 1,
    "k": 3,
    "scratch": np.zeros(10_000, np.uint64),
    "ids": np.zeros((1, 3), np.int64),
    "distances": np.zeros((1, 3), np.float32),
}


@pytest.mark.parametrize(
    "unfit",
    [
        {"rows": 1025},
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
        {"scales": np.zeros(9, np.float32)},
        {"scales": np.zeros(8, np.float32), "blocks": np.zeros((1, 3, 1024), np.uint8)},
        {"norm_least": -1.0},
        {"norm_step": float("nan")},
        {"scratch": np.zeros(4, np.uint64)},
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(unfit: dict) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    assert native.tables_nearest(*ARGUMENTS.values()) == table_twins.OK
    assert native.tables_nearest(*(ARGUMENTS | unfit).values()) == table_twins.ARGUMENT


WITHIN = {name: value for name, value in ARGUMENTS.items() if name not in ("k", "scratch", "ids", "distances")} | {
    "radius": 1.0,
    "scratch": ARGUMENTS["scratch"],
    "cursors": np.zeros(1, np.int64),
    "ids": np.full(9, -7, np.int64),
    "distances": np.zeros(9, np.float32),
}


@pytest.mark.parametrize(
    "unfit",
    [
        {"rows": 1025},
        {"codewords": 32},
        {"last": 10},
        {"count": 2},
        {"radius": float("nan")},
        {"scales": np.zeros(9, np.float32)},
        {"cursors": np.zeros(0, np.int64)},
        {"scratch": np.zeros(4, np.uint64)},
        {"distances": np.zeros(8, np.float32)},
        {"distances": None},
        {"ids": np.frombuffer(bytes(72), np.int64)},
    ],
    ids=str,
)
def test_arguments_within_a_radius_that_do_not_fit(unfit: dict) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    assert native.tables_within(*(WITHIN | {"cursors": np.zeros(1, np.int64)}).values()) == table_twins.OK
    assert native.tables_within(*(WITHIN | unfit).values()) == table_twins.ARGUMENT


def test_hits_beyond_the_memory_are_told(table_kernels: ModuleType) -> None:
    """All 9 rows are within, and memory is there for 7; no other is touched."""
    ids, distances, cursors = np.full(9, -7, np.int64), np.full(9, -7, np.float32), np.zeros(1, np.int64)
    some = WITHIN | {"cursors": cursors, "ids": ids[:7], "distances": distances[:7]}
    assert table_kernels.tables_within(*some.values()) == table_twins.FULL
    assert ids.tolist() == [*range(7), -7, -7]
    assert distances.tolist() == [0] * 7 + [-7, -7]
    assert cursors.tolist() == [9]


def test_codewords_that_are_none_stay_in_the_tables(table_kernels: ModuleType) -> None:
    """Bytes beyond K, which no quantizer writes, read another codeword and never other memory."""
    if table_kernels is table_twins:
        pytest.skip("numpy refuses them")
    indices = np.full((1, 3000), 255, np.uint8)
    tables = np.arange(4, dtype=np.float32)[None, None]
    assert ProductCodes(indices, 4, kernels=table_kernels).nearest(tables, 2)[1].tolist() == [[3, 3]]
