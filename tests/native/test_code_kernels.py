"""Kernels of clustering packed codes, against plain loops."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import cell_kernels as cells
from dqh.native import cell_twins
from dqh.native import code_kernels as module
from dqh.native.code_kernels import MultiIndex

MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)


def some_codes(generator: np.random.Generator, count: int, bits: int) -> np.ndarray:
    """Words (count, W), what lies behind the bits is zero."""
    octets = np.zeros((count, -(-bits // 64) * 8), np.uint8)
    packed = np.packbits(generator.integers(0, 2, (count, bits)), axis=1, bitorder="little")
    octets[:, : packed.shape[1]] = packed
    return octets.view(np.uint64)


def test_sums_of_bits_by_hand(code_kernels: ModuleType) -> None:
    """0011, 0101 twice and 1001 once: bit 0 in all four, bit 2 in two of four, bits 1 and 3 in one; then none."""
    codes, weights = np.array([[0b0011], [0b0101], [0b1001]], np.uint64), np.array([1, 2, 1], np.uint32)
    members = cells.group(np.zeros(3, np.int32), 2, native=cell_twins)
    sums = module.bit_sums(members, codes, weights, native=code_kernels)
    assert sums[:, :5].tolist() == [[4, 1, 2, 1, 0], [0] * 5]
    assert sums.sum() == 8


@MANY
@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 8))
def test_sums_of_bits(code_kernels: ModuleType, seed: int, bits: int, groups: int) -> None:
    generator = np.random.default_rng(seed)
    codes, weights = some_codes(generator, 40, bits), generator.integers(0, 4, 40).astype(np.uint32)
    labels = generator.integers(-1, groups, 40).astype(np.int32)
    wanted = np.zeros((groups, 64 * codes.shape[1]), np.int64)
    for code, weight, owner in zip(codes.tolist(), weights.tolist(), labels.tolist(), strict=True):
        for bit in range(wanted.shape[1] if owner >= 0 else 0):
            wanted[owner, bit] += weight * (code[bit // 64] >> bit % 64 & 1)
    members = cells.group(labels, groups, native=cell_twins)
    np.testing.assert_array_equal(module.bit_sums(members, codes, weights, native=code_kernels), wanted)


@MANY
@given(st.integers(0, 2**32), st.integers(1, 150), st.integers(1, 300), st.integers(0, 20))
def test_the_nearest_by_parts(code_kernels: ModuleType, seed: int, bits: int, count: int, turned: int) -> None:
    """Queries near some of the codes and far from others; of equal distances the first, as codes come twice."""
    generator = np.random.default_rng(seed)
    codes = some_codes(generator, count, bits)[generator.integers(0, count, count)]
    queries = codes[generator.integers(0, count, 50)].copy()
    for query in queries:
        for bit in generator.integers(0, bits, generator.integers(0, turned + 1)).tolist():
            query[bit // 64] ^= np.uint64(1 << bit % 64)
    ids, distances = MultiIndex(codes, bits, native=code_kernels).nearest(queries)
    between = np.bitwise_count(queries[:, None] ^ codes).sum(axis=2)
    assert ids.tolist() == between.argmin(axis=1).tolist()
    assert distances.tolist() == between.min(axis=1).tolist()


@MANY
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 40), st.integers(1, 150))
def test_the_nearest_by_tables(code_kernels: ModuleType, seed: int, subspaces: int, codewords: int, count: int) -> None:
    """Against sums in float32 from the first subspace on; of equal ones the first centre."""
    generator = np.random.default_rng(seed)
    scale = generator.choice([1, 0.1])
    distances = (generator.integers(0, 5, (subspaces, codewords, codewords)) * scale).astype(np.float32)
    codes = generator.integers(0, codewords, (60, subspaces)).astype(np.uint8)
    centres = generator.integers(0, codewords, (count, subspaces)).astype(np.uint8)
    keys = module.nearest_centres(distances, codes, centres, native=code_kernels)
    sums = np.zeros((60, count), np.float32)
    for table, own, other in zip(distances, codes.T, centres.T, strict=True):
        sums += table[own[:, None], other]
    nearest = sums.argmin(axis=1)
    least = sums.min(axis=1).view(np.uint32).astype(np.uint64)
    assert keys.tolist() == (least << np.uint64(32) | nearest.astype(np.uint64)).tolist()


def test_codes_too_far_for_steps_are_summed_exactly(code_kernels: ModuleType) -> None:
    """Codewords 0 to 9 at squares 0 to 81, and one at 10^4: most codes lie within 1 of a centre, the last one far away.

    Its sums of steps are all 255, and 300 centres share the distance of the nearest: the first of them is taken.
    """
    line = np.array([*range(10), 100], np.float64)
    distances = np.tile((line[:, None] - line) ** 2, (3, 1, 1)).astype(np.float32)
    centres = np.repeat(np.array([[2, 2, 2], [8, 8, 8], [5, 5, 5], [8, 8, 8]], np.uint8), 300, axis=0)
    codes = np.array([[2, 2, 3]] * 40 + [[5, 5, 5]] * 40 + [[10, 10, 10]], np.uint8)
    keys = module.nearest_centres(distances, codes, centres, native=code_kernels)
    assert np.unique(keys[:40] & np.uint64(2**32 - 1)).tolist() == [0]
    assert np.unique(keys[40:80] & np.uint64(2**32 - 1)).tolist() == [600]
    assert int(keys[80]) == int(np.float32(3 * 92**2).view(np.uint32)) << 32 | 300


@MANY
@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 60), st.integers(0, 12))
def test_the_nearest_by_the_centre_before(
    code_kernels: ModuleType, seed: int, bits: int, count: int, turned: int
) -> None:
    """Codes a few bits from centres that come twice, labelled rightly or not; the same are left as by hand."""
    generator = np.random.default_rng(seed)
    centres = some_codes(generator, count, bits)[generator.integers(0, count, count)]
    labels = generator.integers(0, count, 50).astype(np.int32)
    codes = centres[labels].copy()
    for code in codes:
        for bit in generator.integers(0, bits, generator.integers(0, turned + 1)).tolist():
            code[bit // 64] ^= np.uint64(1 << bit % 64)
    labels[:5] = generator.integers(0, count, 5)
    members = cells.group(labels, count, native=cell_twins)
    ids, distances = module.nearest_by_last(members, codes, centres, native=code_kernels)
    between = np.bitwise_count(codes[:, None] ^ centres).sum(axis=2, dtype=np.int64)
    apart = np.bitwise_count(centres[labels][:, None] ^ centres).sum(axis=2)
    within = (apart <= 2 * between[np.arange(50), labels][:, None]).sum(axis=1)
    left = within > max(1, count // 8)
    assert ids.tolist() == np.where(left, -1, between.argmin(axis=1)).tolist()
    assert distances.tolist() == np.where(left, -1, between.min(axis=1)).tolist()


@MANY
@given(st.integers(0, 2**32), st.integers(1, 256), st.integers(1, 70), st.integers(0, 9))
def test_the_nearest_of_all(code_kernels: ModuleType, seed: int, bits: int, count: int, places: int) -> None:
    """Codes at some places, of equally near centres the first."""
    generator = np.random.default_rng(seed)
    centres = some_codes(generator, count, bits)[generator.integers(0, count, count)]
    codes, rows = some_codes(generator, 20, bits), generator.integers(0, 20, places).astype(np.int32)
    ids, distances = module.nearest_codes(codes, rows, centres, native=code_kernels)
    between = np.bitwise_count(codes[rows][:, None] ^ centres).sum(axis=2)
    assert ids.tolist() == between.argmin(axis=1).tolist()
    assert distances.tolist() == between.min(axis=1).tolist()


def test_one_code_is_the_nearest_of_itself(code_kernels: ModuleType) -> None:
    codes = np.zeros((1, 1), np.uint64)
    ids, distances = MultiIndex(codes, 1, native=code_kernels).nearest(np.array([[1], [0]], np.uint64))
    assert (ids.tolist(), distances.tolist()) == ([0, 0], [1, 0])
    assert MultiIndex(codes, 1, native=code_kernels).nearest(np.empty((0, 1), np.uint64))[0].tolist() == []


@pytest.mark.parametrize("bits", [1, 16, 17, 64, 65])
def test_parts_cover_all_bits(code_kernels: ModuleType, bits: int) -> None:
    """Two codes that differ in the last bit alone."""
    codes = np.zeros((2, -(-bits // 64)), np.uint64)
    codes[1, -1] = np.uint64(1 << (bits - 1) % 64)
    ids, distances = MultiIndex(codes, bits, native=code_kernels).nearest(codes)
    assert (ids.tolist(), distances.tolist()) == ([0, 1], [0, 0])
