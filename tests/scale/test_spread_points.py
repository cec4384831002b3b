"""Points that an executor assigns to centres: the same clusters, to the last bit."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.cell_points import CHUNK
from dqh.clustering.distinct_codes import distinct_codes
from dqh.clustering.iq_means import IQMeans
from dqh.clustering.near_duplicates import near_duplicates
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.clustering.vector_kmeans import VectorKMeans
from dqh.errors import DqhError
from dqh.executors import Failure, SerialExecutor
from dqh.quantizers.product import ProductQuantizer
from dqh.scale import partition_points, spread_points
from dqh.scale.spread_points import SpreadPoints
from tests.clustering.test_resuming import Kept, StoppedError
from tests.test_executors import started

GENERATOR = np.random.default_rng(0)
VECTORS = (GENERATOR.standard_normal((30, 8))[GENERATOR.integers(0, 30, 900)] * 3).astype(np.float32)
VECTORS += GENERATOR.standard_normal(VECTORS.shape).astype(np.float32)
QUANTIZER = ProductQuantizer(4, 16).fit(VECTORS)
PQ_CODES = QUANTIZER.encode(VECTORS)
BINARY_CODES = GENERATOR.integers(0, 256, (900, 8), dtype=np.uint8) & GENERATOR.integers(
    0, 256, (900, 8), dtype=np.uint8
)
MANY = 7 * CHUNK + 100
"""Vectors of eight chunks."""


def by_bits(spread: SpreadPoints | None, vectors: Path) -> BinaryKMeans:
    return BinaryKMeans(20, seed=1).fit(BINARY_CODES, spread=spread)


def by_codewords(spread: SpreadPoints | None, vectors: Path) -> PQKMeans:
    return PQKMeans(20, QUANTIZER, seed=1).fit(PQ_CODES, spread=spread)


def by_bits_of_vectors(spread: SpreadPoints | None, vectors: Path) -> BinaryKMeans:
    return BinaryKMeans(5, bits=8, seed=1).fit(VECTORS, spread=spread)


def by_vectors(spread: SpreadPoints | None, vectors: Path) -> VectorKMeans:
    points, opened = np.load(vectors, mmap_mode="r"), partial(np.load, vectors, mmap_mode="r")
    assigned = None if spread is None else spread.vectors(opened, len(points))
    return VectorKMeans(12, iterations=4, seed=1).fit(points, assigned=assigned)


def by_cells(spread: SpreadPoints | None, vectors: Path) -> IQMeans:
    points, opened = np.load(vectors, mmap_mode="r"), partial(np.load, vectors, mmap_mode="r")
    elsewhere = None if spread is None else partial(spread.cells, opened, len(points))
    return IQMeans(12, codewords=16, iterations=4, seed=1).fit(points, elsewhere=elsewhere)


METHODS = [by_bits, by_codewords, by_vectors, by_cells]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their sizes differ so much that sums of float64 depend on their order."""
    generator, path = np.random.default_rng(1), tmp_path_factory.mktemp("vectors") / "vectors.npy"
    sizes = 10.0 ** generator.integers(-4, 5, (MANY, 1))
    np.save(path, (generator.standard_normal((MANY, 6)) * sizes).astype(np.float32))
    return path


def job(executor: Any, folder: Path, **options: Any) -> SpreadPoints:
    return SpreadPoints(executor, folder=folder / "parts", of=folder / "clusters", **options)


def same(one: Any, other: Any) -> bool:
    return (
        one.cluster_centers_.tobytes() == other.cluster_centers_.tobytes()
        and one.labels_.tobytes() == other.labels_.tobytes()
        and [*map(str, one.history_)] == [*map(str, other.history_)]
        and one.sizes_.tolist() == other.sizes_.tolist()
    )


@pytest.mark.parametrize("method", [*METHODS, by_bits_of_vectors])
@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_partitions_change_nothing(method: Callable[..., Any], partitions: int, vectors: Path, tmp_path: Path) -> None:
    plain = method(None, vectors)
    assert plain.n_iter_ > 1
    with SerialExecutor() as executor:
        spread = job(executor, tmp_path, partitions=partitions)
        assert same(method(spread, vectors), plain)
    assert list((tmp_path / "parts").iterdir())
    spread.end()
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray", "spark")])
def test_every_executor_makes_the_same_clusters(name: str, vectors: Path, tmp_path: Path) -> None:
    with started(name) as executor:
        for method in METHODS:
            plain = method(None, vectors)
            for partitions in (1, 8):
                with job(executor, tmp_path / method.__name__, partitions=partitions) as spread:
                    assert same(method(spread, vectors), plain)


@pytest.mark.parametrize("method", METHODS)
def test_large_answers_come_as_parts(
    method: Callable[..., Any], vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_points, "MOST_BYTES", 0)
    plain = method(None, vectors)
    with SerialExecutor() as executor:
        assert same(method(job(executor, tmp_path, partitions=4), vectors), plain)


def test_centres_that_nothing_is_near_to(tmp_path: Path) -> None:
    """The second of three is as the first: which codes are to replace it is asked of all partitions."""
    codes = np.array([[0], [0], [1], [255], [254], [15]], np.uint8)
    plain = BinaryKMeans(3, seed=4, start="random").fit(codes)
    with SerialExecutor() as executor:
        for partitions in (1, 2, 5):
            spread = job(executor, tmp_path / str(partitions), partitions=partitions)
            space, merged = BinaryKMeans(3).fit(codes)._space, distinct_codes(codes)
            own = space(merged)
            other = spread.codes(own, merged, space)
            centres = own.centres_at(np.array([0, 0, 1]))
            assert other.sums(centres).counts.tolist() == own.sums(centres).counts.tolist()
            for count in (1, 2, 9):
                wanted, worst = own.worst(centres, count), other.worst(centres, count)
                assert worst.places.tolist() == wanted.places.tolist()
                assert worst.errors.tolist() == wanted.errors.tolist()
            assert same(BinaryKMeans(3, seed=4, start="random").fit(codes, spread=spread), plain)


NEAR = np.repeat(GENERATOR.integers(0, 256, (40, 4), dtype=np.uint8), 5, axis=0) ^ (
    np.uint8(1) << GENERATOR.integers(0, 8, (200, 4), dtype=np.uint8)
)
"""200 codes of 32 bits, five around each of 40, four bits from it."""


def groups_of(spread: SpreadPoints | None) -> list[tuple[list[int], int]]:
    groups = near_duplicates(NEAR, 6, bits=32, elsewhere=spread and spread.links)
    return [(group.rows.tolist(), group.diameter) for group in groups]


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_partitions_find_the_same_duplicates(partitions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of codes in two parts, too."""
    plain = groups_of(None)
    assert len(plain) > 5
    assert max(len(rows) for rows, _ in plain) > 5
    for most in (spread_points.MOST_CODES, 150):
        monkeypatch.setattr(spread_points, "MOST_CODES", most)
        with SerialExecutor() as executor:
            assert groups_of(job(executor, tmp_path / str(most), partitions=partitions)) == plain


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray", "spark")])
def test_every_executor_finds_the_same_duplicates(name: str, tmp_path: Path) -> None:
    plain = groups_of(None)
    with started(name) as executor:
        for partitions in (1, 8):
            spread = job(executor, tmp_path, partitions=partitions)
            assert groups_of(spread) == plain
            spread.end()
    assert list(tmp_path.iterdir()) == []


class Failing(SerialExecutor):
    def run(self, setup: Any, task: Any, partitions: Any, *, retries: int = 2) -> Any:
        yield 1, Failure("lost", "its process ended (SIGKILL)", retries + 1)


def test_a_partition_that_fails_ends_the_clustering(vectors: Path, tmp_path: Path) -> None:
    with pytest.raises(DqhError, match=r"^partition 1 of 4 failed \(3 attempts\): its process ended \(SIGKILL\); mend"):
        by_bits(job(Failing(), tmp_path, partitions=4), vectors)


def test_parts_that_a_worker_does_not_see(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_points, "write_part", lambda *arguments: None)
    with SerialExecutor() as executor, pytest.raises(DqhError, match=r"name a folder that all machines see \(--parts"):
        by_bits(job(executor, tmp_path), vectors)


def test_an_interrupted_clustering_goes_on(vectors: Path, tmp_path: Path) -> None:
    """Begun by this process, ended by an executor, and the other way round."""
    points, opened = np.load(vectors, mmap_mode="r"), partial(np.load, vectors, mmap_mode="r")
    plain = by_vectors(None, vectors)
    with SerialExecutor() as executor:
        assigned = job(executor, tmp_path, partitions=4).vectors(opened, len(points))
        for begun, ended in ((None, assigned), (assigned, None)):
            kept: dict[str, Any] = {}
            with pytest.raises(StoppedError):
                VectorKMeans(12, iterations=4, seed=1).fit(points, checkpoints=Kept(kept, 2), assigned=begun)
            clusters = VectorKMeans(12, iterations=4, seed=1).fit(points, checkpoints=Kept(kept, -1), assigned=ended)
            assert same(clusters, plain)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["binary_kmeans", "pqkmeans", "kmeans", "iqmeans"])
def test_the_command(method: str, tmp_path: Path, dqh: Callable[..., tuple[int, str, str]]) -> None:
    """Vectors, two of which are not finite, with an odd number of dimensions."""
    points = VECTORS[:, :7].copy()
    points[[3, 500], 2] = np.nan
    np.save(tmp_path / "vectors.npy", points)
    results = []
    for out, options in (("plain", ()), ("local", ("--executor", "local", "--workers", "2", "--partitions", "3"))):
        common = ("cluster", tmp_path / "vectors.npy", "-k", "20", "--method", method, "--json")
        status, text, err = dqh(*common, "--out", tmp_path / out, *options)
        assert status == 0, err
        results.append({name: value for name, value in json.loads(text).items() if name != "folder"})
        assert not (tmp_path / f"{out}.parts").exists()
    assert results[0] == results[1]
    for name in ("labels.npy", "distances.npy", "centres.npy"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


@pytest.mark.slow
def test_what_an_executor_has_nothing_to_do_for(tmp_path: Path, dqh: Callable[..., tuple[int, str, str]]) -> None:
    np.save(tmp_path / "codes.npy", BINARY_CODES)
    status, _, err = dqh("cluster", tmp_path / "codes.npy", "-k", "2", "--out", tmp_path / "x", "--partitions", "3")
    assert (status, "--partitions: only with --executor" in err) == (2, True)
    np.save(tmp_path / "books.npy", ProductQuantizer(2, 16).fit(VECTORS).codebooks)
    codes = ("cluster", tmp_path / "pq.npy", "--quantizer", tmp_path / "books.npy", "--points", "codes")
    np.save(tmp_path / "pq.npy", ProductQuantizer(2, 16).fit(VECTORS).encode(VECTORS))
    status, _, err = dqh(*codes, "-k", "2", "--out", tmp_path / "x", "--executor", "local")
    assert (status, "nothing to do for iqmeans of codes" in err) == (2, True)
