"""Kernels of clustering on memory of their own, against plain loops."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.native import cell_kernels as module
from dqh.native import cell_twins
from dqh.native.cell_kernels import NOBODY, Grid

MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


def key(distance: float, centre: int) -> int:
    """As the kernels put them together."""
    return int(np.float32(distance).view(np.uint32)) << 32 | centre


def some_grid(generator: np.random.Generator, codewords: int) -> Grid:
    counts = generator.integers(0, 4, codewords**2) * generator.integers(0, 2, codewords**2)
    return Grid.of_counts(counts.astype(np.uint32), codewords)


def some_distances(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Few different ones, so that many are equal."""
    return generator.integers(0, 6, shape).astype(np.float32) / 2


def test_the_grid_by_hand() -> None:
    """3 × 3 cells, points in (0, 1), (2, 0) and (2, 2): numbers 1, 6 and 8."""
    grid = Grid.of_counts(np.array([0, 5, 0, 0, 0, 0, 1, 0, 2], np.uint32), 3)
    assert grid.numbers.tolist() == [1, 6, 8]
    assert grid.populations.tolist() == [5, 1, 2]
    assert grid.occupied.tolist() == [2**1 + 2**6 + 2**8]
    assert grid.places(np.array([0, 1, 6, 7, 8], np.uint32)).tolist() == [-1, 0, 1, -1, 2]


@MANY
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_places_count_the_cells_before(seed: int, codewords: int) -> None:
    grid = some_grid(np.random.default_rng(seed), codewords)
    everywhere = np.arange(codewords**2, dtype=np.uint32)
    wanted = {int(number): place for place, number in enumerate(grid.numbers)}
    assert grid.places(everywhere).tolist() == [wanted.get(number, -1) for number in everywhere.tolist()]


@MANY
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 2500), st.integers(1, 40))
def test_the_smallest_of_rows(cell_kernels: ModuleType, seed: int, rows: int, columns: int, width: int) -> None:
    """Against a stable sort, with negative values, both zeros and many equal ones."""
    generator = np.random.default_rng(seed)
    values = (generator.integers(-30, 30, (rows, columns)) * generator.choice([0.0, -0.0, 0.5])).astype(np.float32)
    values += generator.standard_normal((rows, columns)).astype(np.float32) * generator.integers(0, 2)
    offsets, width = generator.standard_normal(rows).astype(np.float32), min(width, columns)
    places, least = module.smallest(values, width, offsets=offsets, native=cell_kernels)
    wanted = np.argsort(values, axis=1, kind="stable")[:, :width]
    assert places.tolist() == wanted.tolist()
    assert least.tolist() == np.maximum(np.take_along_axis(values, wanted, axis=1) + offsets[:, None], 0).tolist()


@pytest.mark.parametrize("kind", ["any", "equal", "few", "rising", "falling", "low", "high"])
def test_the_smallest_of_long_rows(cell_kernels: ModuleType, kind: str) -> None:
    """Whatever each 16th column says of the others, of which it is the smallest or the largest in two cases."""
    generator = np.random.default_rng(3)
    values = generator.standard_normal((3, 5000)).astype(np.float32)
    if kind in ("equal", "few"):
        values = np.floor(values) * np.float32(kind == "few")
    if kind in ("rising", "falling"):
        values.sort(axis=1)
        values = np.ascontiguousarray(values[:, :: 1 if kind == "rising" else -1])
    if kind in ("low", "high"):
        values[:, ::16] += np.float32(9 if kind == "high" else -9)
    for width in (1, 17, 256, 1000, 5000):
        places, _ = module.smallest(values, width, offsets=np.zeros(3, np.float32), native=cell_kernels)
        assert places.tolist() == np.argsort(values, axis=1, kind="stable")[:, :width].tolist()


def test_a_walk_by_hand(cell_kernels: ModuleType) -> None:
    """2 × 2 cells with 1, 2, 3 and 4 points; the first centre is 0 and 3 from the codewords of one half, 1 and 2 of the
    other, so that it walks (0, 1) at 1, (0, 0) at 2, (1, 1) at 4, (1, 0) at 5. It stops as soon as 3 points are
    behind it, after the second; the second centre, as far from all, walks (0, 0) and (0, 1), where it is nearer. Times
    2654435769, modulo 2³², places 0 and 1 are 0 and .62 of 2³², and so in the first and the second of three columns.
    """
    grid = Grid.of_counts(np.array([1, 2, 3, 4], np.uint32), 2)
    places = np.array([[[0, 1], [1, 0]], [[0, 1], [0, 1]]], np.int32)
    distances = np.array([[[0, 3], [1, 2]], [[0.5, 0.5], [0.25, 0.25]]], np.float32)
    keys = np.full(4, NOBODY)
    trail = module.walk_cells(grid, places, distances, target=3, keys=keys, steps=3, native=cell_kernels)
    assert keys.tolist() == [key(0.75, 1), key(0.75, 1), NOBODY, NOBODY]
    assert trail.tolist() == [[0, 1, -1], [0, 1, -1]]
    keys[:] = NOBODY
    module.walk_cells(grid, places[:1], distances[:1], target=100, keys=keys, native=cell_kernels)
    assert keys.tolist() == [key(2, 0), key(1, 0), key(5, 0), key(4, 0)]


@MANY
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 12), st.integers(1, 60))
def test_walks(cell_kernels: ModuleType, seed: int, codewords: int, count: int, target: int) -> None:
    """Against a sort of all cells of the block, one after another; keys of before are lowered, never raised."""
    generator = np.random.default_rng(seed)
    grid = some_grid(generator, codewords)
    width = int(generator.integers(1, codewords + 1))
    places = np.array([[generator.permutation(codewords)[:width] for _ in "ij"] for _ in range(count)], np.int32)
    distances = np.sort(some_distances(generator, count, 2, width), axis=2)
    keys = np.where(generator.integers(0, 3, len(grid.numbers)) == 0, np.uint64(key(1.5, 0)), NOBODY)
    wanted, trails = keys.tolist(), []
    of_number = {int(number): place for place, number in enumerate(grid.numbers)}
    for centre in range(count):
        (first, second), (one, other) = places[centre].tolist(), distances[centre].tolist()
        order = sorted((one[a] + other[b], a, b) for a in range(width) for b in range(width))
        behind, steps = 0, [-1] * 5
        for distance, a, b in order:
            place = of_number.get(first[a] * codewords + second[b])
            if place is not None and behind < target:
                drawn = place * 2654435769 % 2**32
                column = drawn * 5 >> 32
                if steps[column] < 0 or drawn < steps[column] * 2654435769 % 2**32:
                    steps[column] = place
                behind += int(grid.populations[place])
                wanted[place] = min(wanted[place], key(distance, centre))
        trails.append(steps)
    trail = module.walk_cells(grid, places, distances, target=target, keys=keys, steps=5, native=cell_kernels)
    assert keys.tolist() == wanted
    assert trail.tolist() == trails


@pytest.mark.parametrize("steps", [0, 7])
@pytest.mark.parametrize("spread", ["any", "equal", "huge", "few", "far"])
def test_walks_of_wide_blocks(cell_kernels: ModuleType, spread: str, steps: int) -> None:
    """More cells than are taken at a time, in one heap or far apart, by kernels as by numpy."""
    generator = np.random.default_rng(7)
    grid = some_grid(generator, 128)
    places = np.array([[generator.permutation(128)[:96] for _ in "ij"] for _ in range(6)], np.int32)
    distances = {
        "any": generator.random((6, 2, 96), np.float32),
        "equal": np.full((6, 2, 96), 0.25, np.float32),
        "huge": generator.random((6, 2, 96), np.float32) * np.float32(1.5e38),
        "few": generator.integers(0, 3, (6, 2, 96)).astype(np.float32),
        "far": np.where(
            generator.random((6, 2, 96)) < 0.1, np.inf, 1e-30 * 10.0 ** generator.integers(0, 40, (6, 2, 96))
        ),
    }[spread]
    distances = np.sort(distances.astype(np.float32), axis=2)
    total = int(grid.populations.sum())
    for target in (1, total // 50, total // 3, 2 * total):
        keys, wanted = np.full(len(grid.numbers), NOBODY), np.full(len(grid.numbers), NOBODY)
        given = {"target": target, "steps": steps}
        trail = module.walk_cells(grid, places, distances, keys=keys, native=cell_kernels, **given)
        trails = module.walk_cells(grid, places, distances, keys=wanted, native=cell_twins, **given)
        assert keys.tolist() == wanted.tolist()
        assert trail.tolist() == trails.tolist()


@MANY
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 150))
def test_the_nearest_of_all(cell_kernels: ModuleType, seed: int, codewords: int, count: int) -> None:
    """Of equal sums the first centre; numbers of cells in any order, some twice."""
    generator = np.random.default_rng(seed)
    one, other = some_distances(generator, codewords, count), some_distances(generator, codewords, count)
    numbers = generator.integers(0, codewords**2, 30).astype(np.uint32)
    keys = np.where(generator.integers(0, 2, 30) == 0, np.uint64(key(0.5, 3)), NOBODY)
    sums = one[numbers // codewords] + other[numbers % codewords]
    offered = [key(row.min(), 7 + int(row.argmin())) for row in sums]
    wanted = [min(pair) for pair in zip(keys.tolist(), offered, strict=True)]
    module.nearest_sums(one, other, numbers, first=7, keys=keys, native=cell_kernels)
    assert keys.tolist() == wanted


@MANY
@given(st.integers(0, 2**32), st.integers(1, 15), st.integers(1, 9), st.integers(1, 5))
def test_sums_of_groups(cell_kernels: ModuleType, seed: int, codewords: int, groups: int, half: int) -> None:
    """Against a loop over cells, by means and by codewords; a cell of no group is left out."""
    generator = np.random.default_rng(seed)
    grid = some_grid(generator, codewords)
    cells = len(grid.numbers)
    labels = generator.integers(-1, groups, cells).astype(np.int32)
    means, rows = generator.standard_normal((cells, 2 * half)).astype(np.float32), generator.permutation(cells)
    books = generator.standard_normal((2, codewords, half)).astype(np.float32)
    by_means, by_codewords = np.zeros((groups, 2 * half)), np.zeros((groups, 2 * half))
    for cell, label in enumerate(labels.tolist()):
        if label >= 0:
            i, j = divmod(int(grid.numbers[cell]), codewords)
            by_means[label] += int(grid.populations[cell]) * means[rows[cell]].astype(np.float64)
            by_codewords[label] += int(grid.populations[cell]) * np.concatenate([books[0, i], books[1, j]]).astype(
                float
            )
    members = module.group(labels, groups, native=cell_kernels)
    for owner in range(groups):
        own = members.order[members.offsets[owner] : members.offsets[owner + 1]]
        assert own.tolist() == np.flatnonzero(labels == owner).tolist()
    sums = module.mean_sums(members, grid.populations, means, rows.astype(np.int32), native=cell_kernels)
    np.testing.assert_allclose(sums, by_means, rtol=1e-12, atol=1e-12)
    sums = module.codeword_sums(members, grid, books, native=cell_kernels)
    np.testing.assert_allclose(sums, by_codewords, rtol=1e-12, atol=1e-12)


def test_threads_do_not_change_keys(cell_kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many centres that offer themselves to the same cells at the same time."""
    generator = np.random.default_rng(0)
    grid = some_grid(generator, 32)
    places = np.tile(np.arange(32, dtype=np.int32), (500, 2, 1))
    distances = np.sort(some_distances(generator, 500, 2, 32), axis=2)
    answers = []
    for count in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        keys = np.full(len(grid.numbers), NOBODY)
        module.walk_cells(grid, places, distances, target=10**9, keys=keys, native=cell_kernels)
        answers.append(keys.tolist())
    assert answers[0] == answers[1]
