from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import twins
from dqh.native.extension import extension
from dqh.native.row_checksums import row_crc32
from dqh.native.row_distances import checked_distances, row_distances


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 100) | st.sampled_from([511, 512, 4096]))
def test_distances_equal_those_in_float64(kernels: ModuleType, seed: int, count: int, size: int) -> None:
    """Rows in any order, some twice; sums of float32 in another order are off by a few parts in 10⁷."""
    generator = np.random.default_rng(seed)
    rows = (generator.standard_normal((count, size)) * 10.0 ** generator.integers(-5, 4)).astype(np.float16)
    query, ids = generator.standard_normal(size).astype(np.float32), generator.integers(0, count, 12)
    found = row_distances(query, rows, ids, kernels=kernels)
    wanted = ((rows[ids].astype(np.float64) - query) ** 2).sum(axis=1)
    assert found.dtype == np.float32
    assert found == pytest.approx(wanted, rel=2e-6)


def test_every_float16_is_read_as_it_is(kernels: ModuleType) -> None:
    """All 65,536 of them, one a row: subnormal ones, both zeros, infinity and NaN; x² in float32."""
    rows = np.arange(2**16, dtype=np.uint16).view(np.float16)[:, None]
    found = row_distances(np.zeros(1, np.float32), rows, np.arange(2**16), kernels=kernels)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(found, rows[:, 0].astype(np.float32) ** 2, equal_nan=True)


def test_equal_rows_have_equal_distances(kernels: ModuleType) -> None:
    generator = np.random.default_rng(0)
    rows = np.repeat(generator.standard_normal((1, 77)).astype(np.float16), 40, axis=0)
    found = row_distances(generator.standard_normal(77).astype(np.float32), rows, np.arange(40), kernels=kernels)
    assert (found == found[0]).all()


def test_queries_and_ids_that_lie_anywhere_in_memory(kernels: ModuleType) -> None:
    """At odd addresses, as behind a header."""
    rows, sums = np.array([[0, 0], [3, 4]], np.float16), np.array([0, 1], np.uint32)
    query = np.frombuffer(b"-" + np.zeros(2, np.float32).tobytes(), np.float32, offset=1)
    ids = np.frombuffer(b"-" + np.array([1, 0]).tobytes(), np.int64, offset=1)
    assert not query.flags.aligned
    assert not ids.flags.aligned
    assert row_distances(query, rows, ids, kernels=kernels).tolist() == [25, 0]
    assert np.isnan(checked_distances(query, rows, ids, checksums=sums, kernels=kernels)).all()


def test_no_row_is_asked_for(kernels: ModuleType) -> None:
    assert row_distances(np.zeros(3, np.float32), np.zeros((2, 3), np.float16), np.arange(0), kernels=kernels).size == 0


@pytest.mark.parametrize("ids", [[0, 2], [-1, 0]])
def test_rows_that_are_not_there(kernels: ModuleType, ids: list[int]) -> None:
    with pytest.raises(ValueError, match=f"ids must be rows of the 2 there are, got {min(ids)} to {max(ids)}"):
        row_distances(np.zeros(3, np.float32), np.zeros((2, 3), np.float16), np.array(ids), kernels=kernels)


@pytest.mark.parametrize("size", [1, 6, 40, 77, 4096, 150_000])
def test_checked_rows_have_the_same_distances_and_damaged_ones_none(kernels: ModuleType, size: int) -> None:
    """More rows than are compared together; one is damaged by a bit, one says another checksum, and both come twice."""
    generator = np.random.default_rng(size)
    rows = generator.standard_normal((max(4, min(70, 2**20 // size)), size)).astype(np.float16)
    sums, query = row_crc32(rows, kernels=twins), generator.standard_normal(size).astype(np.float32)
    rows.view(np.uint16)[2, size // 2] ^= 8
    sums[1] ^= 1
    ids = np.concatenate([np.arange(len(rows)), [0, 1, 2, 3]])
    found = checked_distances(query, rows, ids, checksums=sums, kernels=kernels)
    damaged = (ids == 1) | (ids == 2)
    assert np.array_equal(np.isnan(found), damaged)
    assert np.array_equal(found[~damaged], row_distances(query, rows, ids[~damaged], kernels=kernels))
    assert checked_distances(query, rows, ids[:0], checksums=sums, kernels=kernels).size == 0
    with pytest.raises(ValueError, match="ids must be rows of the"):
        checked_distances(query, rows, np.array([len(rows)]), checksums=sums, kernels=kernels)


CHECKED = {
    "rows": np.zeros((3, 4), np.float16),
    "number": 3,
    "size": 4,
    "sums": np.zeros(3, np.uint32),
    "query": np.zeros(4, np.float32),
    "ids": np.zeros(2, np.int64),
    "count": 2,
    "distances": np.zeros(2, np.float32),
}


@pytest.mark.parametrize(
    "unfit",
    [
        {"number": 4},
        {"number": -1},
        {"size": 5},
        {"size": 2**62},
        {"sums": np.zeros(2, np.uint32)},
        {"query": np.zeros(3, np.float32)},
        {"count": 3},
        {"ids": np.full(2, 3)},
        {"ids": np.full(2, -1)},
        {"distances": np.zeros(1, np.float32)},
    ],
    ids=str,
)
def test_arguments_of_checked_rows_that_do_not_fit(unfit: dict) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    assert native.checked_l2(*CHECKED.values()) == twins.OK
    assert native.checked_l2(*(CHECKED | unfit).values()) == twins.ARGUMENT
