from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.codes import hamming
from dqh.native import hamming_codes, sharing, threads, twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.hamming_codes import HammingCodes, blocks_of, words_of

for_each_set = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def random_codes(count: int, size: int, generator: np.random.Generator, *, noise: float = 0.15) -> np.ndarray:
    """Codes around three centres, so that many distances are equal, and some codes twice."""
    centres = generator.random((3, 8 * size)) < 0.5
    bits = centres[generator.integers(0, 3, count)] ^ (generator.random((count, 8 * size)) < noise)
    return np.packbits(bits, axis=1, bitorder="little")


def index_of(codes: np.ndarray, kernels: ModuleType) -> HammingCodes:
    index = HammingCodes(codes.shape[1], kernels=kernels)
    index.add(codes)
    return index


def bitmap(allowed: np.ndarray | None) -> np.ndarray | None:
    return None if allowed is None else bitmap_of(allowed)


def ranked(queries: np.ndarray, codes: np.ndarray, allowed: np.ndarray | None) -> list[list[tuple[int, int]]]:
    """(bits, row) of all that may be in an answer, in order: the plain way."""
    rows = range(len(codes)) if allowed is None else np.flatnonzero(allowed)
    return [sorted((int(bits[row]), int(row)) for row in rows) for bits in hamming(queries, codes)]


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Codes of 1 to 70 bytes, queries, and a filter or none."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    size, count = draw(st.integers(1, 32) | st.integers(33, 70)), draw(st.integers(1, 200))
    codes = random_codes(count, size, generator, noise=draw(st.sampled_from([0.0, 0.1, 0.5])))
    queries = random_codes(draw(st.integers(0, 11)), size, generator)
    share = draw(st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]))
    return codes, queries, None if share is None else generator.random(count) < share


@for_each_set
@given(searches(), st.integers(1, 200))
def test_the_nearest_are_those_of_a_sort(kernels: ModuleType, search: tuple, k: int) -> None:
    codes, queries, allowed = search
    k = min(k, len(codes))
    ids, distances = index_of(codes, kernels).nearest(queries, k, allowed=bitmap(allowed))
    assert ids.shape == distances.shape == (len(queries), k)
    for found, bits, whole in zip(ids, distances, ranked(queries, codes, allowed), strict=True):
        wanted = whole[:k] + [(twins.MISSING, -1)] * (k - len(whole))
        assert list(zip(bits.tolist(), found.tolist(), strict=True)) == wanted


@for_each_set
@given(searches(), st.integers(0, 600))
def test_what_is_within_is_a_prefix_of_a_sort(kernels: ModuleType, search: tuple, radius: int) -> None:
    codes, queries, allowed = search
    offsets, ids, distances = index_of(codes, kernels).within(queries, radius, allowed=bitmap(allowed))
    assert offsets[0] == 0
    assert offsets[-1] == len(ids) == len(distances)
    for start, stop, whole in zip(offsets, offsets[1:], ranked(queries, codes, allowed), strict=False):
        wanted = [hit for hit in whole if hit[0] <= radius]
        assert list(zip(distances[start:stop].tolist(), ids[start:stop].tolist(), strict=True)) == wanted


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("queries", [1, 7, 8, 30])
def test_any_number_of_threads_gives_the_same(
    kernels: ModuleType, count: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are split for few queries, queries for many; both into shares for less memory than they need."""
    generator = np.random.default_rng(0)
    codes, asked = random_codes(1003, 6, generator), random_codes(queries, 6, generator)
    wanted = ranked(asked, codes, None)
    monkeypatch.setattr(sharing, "WORK", 1)
    for module in (sharing, threads):
        monkeypatch.setattr(module, "threads", lambda: count)
    for scratch in (2**26, 20_000):
        for module in (sharing, hamming_codes):
            monkeypatch.setattr(module, "SCRATCH", scratch)
        index = index_of(codes, kernels)
        ids, distances = index.nearest(asked, 200)
        assert [list(zip(*rows, strict=True)) for rows in zip(distances.tolist(), ids.tolist(), strict=True)] == [
            whole[:200] for whole in wanted
        ]
        offsets, ids, distances = index.within(asked, 9)
        hits = list(zip(distances.tolist(), ids.tolist(), strict=True))
        assert [hits[start:stop] for start, stop in pairwise(offsets)] == [
            [hit for hit in whole if hit[0] <= 9] for whole in wanted
        ]


def test_ever_nearer_codes(kernels: ModuleType) -> None:
    """64, 64, 63, 63, … bits away: each row enters, and pushes one out; of equal ones the earlier stay."""
    bits = np.repeat(np.arange(64, -1, -1), 40)
    codes = np.packbits(np.arange(64) < bits[:, None], axis=1, bitorder="little")
    ids, distances = index_of(codes, kernels).nearest(np.zeros((1, 8), np.uint8), 100)
    assert distances[0].tolist() == [0] * 40 + [1] * 40 + [2] * 20
    assert ids[0].tolist() == [*range(2560, 2600), *range(2520, 2560), *range(2480, 2500)]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(1, 19))
def test_adding_in_parts_equals_adding_once(sizes: list[int], size: int) -> None:
    codes = random_codes(sum(sizes), size, np.random.default_rng(sum(sizes)))
    parts = HammingCodes(size, kernels=twins)
    for part in np.split(codes, np.cumsum(sizes)[:-1]):
        parts.add(part)
    assert len(parts) == len(codes)
    assert np.array_equal(parts._blocks, index_of(codes, twins)._blocks)


def test_codes_are_copied(kernels: ModuleType) -> None:
    codes = np.zeros((16, 8), np.uint8)
    index = index_of(codes, kernels)
    codes[:] = 255
    assert index.nearest(np.zeros((1, 8), np.uint8), 1)[1].tolist() == [[0]]


def test_blocks_by_hand() -> None:
    """9 codes of 9 bytes, code r being r in its first byte and r + 100 in its last one."""
    codes = np.zeros((9, 9), np.uint8)
    codes[:, 0], codes[:, 8] = np.arange(9), np.arange(100, 109)
    assert words_of(codes).tolist() == [[row, row + 100] for row in range(9)]
    assert blocks_of(codes).tolist() == [
        [[*range(8)], [*range(100, 108)]],
        [[8, 0, 0, 0, 0, 0, 0, 0], [108, 0, 0, 0, 0, 0, 0, 0]],
    ]
