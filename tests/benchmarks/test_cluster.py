"""The benchmark of clusterings, at a size that takes no time."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

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
    vectors, labels = np.array([[0.0], [2.0], [9.0]]), np.zeros(3, np.int32)
    result = module.Result(np.array([[1.0], [10.0]], np.float32), labels, None)
    assert module._distortions(vectors, result) == pytest.approx({"nearest": 1, "label": 22})
    result = module.Result(None, labels + 4, None)  # labels without points before it
    assert module._distortions(vectors, result) == pytest.approx({"nearest": 402 / 27, "label": 402 / 27}, rel=1e-5)


def test_generators_repeat_and_have_clusters(module: ModuleType) -> None:
    """Codes of centres can be told apart: IQ-means from the codes alone leaves nobody far away."""
    assert np.array_equal(module.around_centres(50, 5, seed=1), module.around_centres(50, 5, seed=1))
    data = module.codes_around_centres(3000, 400, 16, seed=0)
    assert np.array_equal(data.points, module.codes_around_centres(3000, 400, 16, seed=0).points)
    clusters = IQMeans(40, quantizer=data.quantizer).fit_codes(data.points)
    alone = IQMeans(1, quantizer=data.quantizer).fit_codes(data.points)
    assert clusters.distortion_ < 0.8 * alone.distortion_
    codes = module.bits_around_centres(500, 3, seed=0)
    assert codes.shape == (500, 8)
    assert len(np.unique(codes, axis=0)) > 400


def test_a_part_is_measured_and_added_to(module: ModuleType, tmp_path: Path) -> None:
    """What other calls have measured on the same data stays in the table, and nothing of other data."""
    sizes = {"points": 2000, "clusters": 24, "codewords": 16}
    given = argparse.Namespace(part="codes", data=None, out=tmp_path, **sizes)
    cell = module.measured(given, "IQ-means, codes alone")
    assert cell["own"] > 0
    assert cell["cluster"] > 0
    module.write(given, [cell])
    given.part = "bits"
    module.write(given, [{"method": "binary k-means", "failed": "no memory"}])
    assert "not measured: no memory" in (tmp_path / "cluster_bits.md").read_text()
    module.write(given, [{"method": "binary k-means", "failed": "no time"}])
    (kept,) = json.loads((tmp_path / "cluster_bits.json").read_text())["cells"]
    assert kept["failed"] == "no time"
    given.part = "codes"
    module.write(given, [])
    assert json.loads((tmp_path / "cluster_codes.json").read_text())["cells"] == [cell]
    assert "| IQ-means, codes alone | 0.00 | 0.00 | " in (tmp_path / "cluster_codes.md").read_text()
    given.points = 3000
    module.write(given, [])
    assert json.loads((tmp_path / "cluster_codes.json").read_text())["cells"] == []


def test_every_method_of_vectors_is_measured(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 700 vectors, by those that need no other package; distortions are of the same vectors."""
    data = module.Data(module.around_centres(700, 9, seed=0), np.arange(700) % 3)
    monkeypatch.setattr(module, "loaded", lambda given: data)
    given = argparse.Namespace(part="vectors", clusters=5)
    for method in ("faiss, 3 iterations", "scikit-learn mini-batch", "IQ-means, 512 codewords", "PQ k-means, 8 bytes"):
        cell = module.measured(given, method)
        assert 0 < cell["nearest"] <= cell["label"] * (1 + 1e-5)  # float32
        assert 1 / 3 <= cell["purity"] <= 1
