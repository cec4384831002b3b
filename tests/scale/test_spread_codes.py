"""k-means of codes that an executor assigns: the same to the last bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.errors import ConfigError, DqhError
from dqh.executors import Failure, SerialExecutor
from dqh.quantizers.product import ProductQuantizer
from dqh.scale.spread_codes import SpreadCodes
from tests.test_executors import started

GENERATOR = np.random.default_rng(0)
VECTORS = (GENERATOR.standard_normal((30, 8))[GENERATOR.integers(0, 30, 900)] * 3).astype(np.float32)
VECTORS += GENERATOR.standard_normal(VECTORS.shape).astype(np.float32)
QUANTIZER = ProductQuantizer(4, 16).fit(VECTORS)
PQ_CODES = QUANTIZER.encode(VECTORS)
BINARY_CODES = GENERATOR.integers(0, 256, (900, 8), dtype=np.uint8) & GENERATOR.integers(
    0, 256, (900, 8), dtype=np.uint8
)


def by_bits(spread: SpreadCodes | None) -> BinaryKMeans:
    return BinaryKMeans(20, seed=1).fit(BINARY_CODES, spread=spread)


def by_codewords(spread: SpreadCodes | None) -> PQKMeans:
    return PQKMeans(20, QUANTIZER, seed=1).fit(PQ_CODES, spread=spread)


def by_bits_of_vectors(spread: SpreadCodes | None) -> BinaryKMeans:
    return BinaryKMeans(5, bits=8, seed=1).fit(VECTORS, spread=spread)


METHODS = [by_bits, by_codewords, by_bits_of_vectors]


def same(one: Any, other: Any) -> bool:
    return (
        np.array_equal(one.cluster_centers_, other.cluster_centers_)
        and np.array_equal(one.labels_, other.labels_)
        and one.history_ == other.history_
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("partitions", [1, 8])
def test_partitions_change_nothing(method: Callable[[SpreadCodes | None], Any], partitions: int) -> None:
    plain = method(None)
    assert plain.n_iter_ > 1
    with SerialExecutor() as executor:
        assert same(method(SpreadCodes(executor, partitions=partitions)), plain)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray", "spark")])
def test_every_executor_makes_the_same_clusters(name: str) -> None:
    with started(name) as executor:
        for method in METHODS[:2]:
            assert same(method(SpreadCodes(executor, partitions=3)), method(None))


class Failing(SerialExecutor):
    def run(self, setup: Any, task: Any, partitions: Any, *, retries: int = 2) -> Any:
        yield 1, Failure("lost", "its process ended (SIGKILL)", retries + 1)


def test_a_partition_that_fails_ends_the_clustering() -> None:
    with pytest.raises(DqhError, match=r"^partition 1 of 4 failed \(3 attempts\): its process ended \(SIGKILL\); mend"):
        by_bits(SpreadCodes(Failing(), partitions=4))


@pytest.mark.parametrize(("options", "message"), [({"partitions": 0}, "partitions"), ({"retries": -1}, "retries")])
def test_numbers_out_of_range(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"{message} must be at least"):
        SpreadCodes(SerialExecutor(), **options)


@pytest.mark.slow
def test_the_command(tmp_path: Path, dqh: Callable[..., tuple[int, str, str]]) -> None:
    np.save(tmp_path / "codes.npy", BINARY_CODES)
    results = []
    for out, options in (("plain", ()), ("local", ("--executor", "local", "--workers", "2", "--partitions", "3"))):
        common = ("cluster", tmp_path / "codes.npy", "-k", "20", "--method", "binary_kmeans", "--json")
        status, text, err = dqh(*common, "--out", tmp_path / out, *options)
        assert status == 0, err
        results.append({name: value for name, value in json.loads(text).items() if name != "folder"})
    assert results[0] == results[1]
    status, _, err = dqh("cluster", tmp_path / "codes.npy", "-k", "2", "--out", tmp_path / "x", "--partitions", "3")
    assert (status, "--partitions: only with --executor" in err) == (2, True)
    np.save(tmp_path / "vectors.npy", VECTORS)
    status, _, err = dqh("cluster", tmp_path / "vectors.npy", "-k", "2", "--out", tmp_path / "x", "--executor", "local")
    assert (status, "an executor assigns codes of binary_kmeans and pqkmeans, got iqmeans" in err) == (2, True)
