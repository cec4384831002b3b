"""The benchmark of clusterings, at a size that takes no time."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.iq_means import IQMeans


@pytest.fixture
def module(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("cluster")


def test_purity_by_hand(module: ModuleType) -> None:
    """Cluster 0 has two of class 5 and one of 7, cluster 1 one of 7: three of four are of their cluster's class."""
    assert module.purity(np.array([0, 0, 0, 1], np.int32), np.array([5, 5, 7, 7])) == 0.75


def test_distortions_by_hand(module: ModuleType) -> None:
    """0, 2 and 9 belong to the centre 1, though 10 is nearer to 9: 1, 1, 64 by label, 1, 1, 1 to the nearest.

    Without centres the means of the labels stand for them: 11/3 for all, squared distances 121, 25 and 256 ninths.
    """
    data, labels = module.Data(np.array([[0.0], [2.0], [9.0]])), np.zeros(3, np.int32)
    result = module.Result(np.array([[1.0], [10.0]], np.float32), labels, None)
    assert module.distortions(data, result) == pytest.approx({"nearest": 1, "label": 22})
    result = module.Result(None, labels + 4, None)  # labels without points before it
    assert module.distortions(data, result) == pytest.approx({"nearest": 402 / 27, "label": 402 / 27}, rel=1e-5)


def given_of(part: str, work: Path, **sizes: int) -> argparse.Namespace:
    return argparse.Namespace(part=part, data=None, out=work, work=work, **sizes)


@pytest.mark.parametrize("part", ["vectors", pytest.param("codes", marks=pytest.mark.slow), "bits"])
def test_generators_repeat_and_have_clusters(module: ModuleType, tmp_path: Path, part: str) -> None:
    """Points around 40 centres are far nearer to 40 centres than to one."""
    points = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        module.written(tmp_path / name, given_of(part, tmp_path, points=3000, clusters=40, codewords=64))
        points.append(module.loaded(tmp_path / name))
    data = points[0]
    assert np.array_equal(data.points, points[1].points)
    if part == "bits":
        alone, many = (BinaryKMeans(count).fit(data.points) for count in (1, 40))
    elif part == "codes":
        alone, many = (IQMeans(count, quantizer=data.quantizer).fit_codes(data.points) for count in (1, 40))
    else:
        alone, many = (IQMeans(count, codewords=64).fit(data.points) for count in (1, 40))
    assert many.distortion_ < 0.7 * alone.distortion_


def test_a_part_is_measured_and_added_to(module: ModuleType, tmp_path: Path) -> None:
    """What other calls have measured on the same data stays in the table, and nothing of other data."""
    given = given_of("codes", tmp_path, points=2000, clusters=24, codewords=16)
    module.written(tmp_path, given)
    cell = module.measured(given, "window 64, target 5")
    assert cell["own"] > 0
    assert cell["cluster"] > 0
    assert "beside exact assignment of 100.0% of the cells" in cell["note"]
    module.write(given, [cell], module.about(tmp_path))
    given.part = "bits"
    module.write(given, [{"method": "binary k-means", "failed": "no memory"}], {})
    assert "not measured: no memory" in (tmp_path / "cluster_bits_2000_24.md").read_text()
    module.write(given, [{"method": "binary k-means", "failed": "no time"}], {})
    (kept,) = json.loads((tmp_path / "cluster_bits_2000_24.json").read_text())["cells"]
    assert kept["failed"] == "no time"
    given.part = "codes"
    module.write(given, [], module.about(tmp_path))
    assert json.loads((tmp_path / "cluster_codes_2000_24.json").read_text())["cells"] == [cell]
    assert "| window 64, target 5 |  | 0.0" in (tmp_path / "cluster_codes_2000_24.md").read_text()
    given.codewords = 32
    module.write(given, [], {})
    assert json.loads((tmp_path / "cluster_codes_2000_24.json").read_text())["cells"] == []


METHODS = ("faiss, 3 iterations", "k-means by torch", "scikit-learn mini-batch", "AKM, kd-tree", "AKM, graph")
OURS = ("k-means of cells, 512 codewords", "IQ-means, 512 codewords", "PQ k-means, 8 bytes")


def test_every_method_of_vectors_is_measured(module: ModuleType, tmp_path: Path) -> None:
    """On 700 vectors, by those that need no other package; distortions are of the same vectors."""
    given = given_of("vectors", tmp_path, points=700, clusters=5)
    module.written(tmp_path, given)
    np.save(tmp_path / "labels.npy", np.arange(700) % 3)
    for method in (*METHODS, "ranked retrieval", *OURS):
        cell = module.measured(given, method)
        assert 0 < cell["nearest"] <= cell["label"] * (1 + 1e-5)  # float32
        assert 1 / 3 <= cell["purity"] <= 1
