"""The benchmark of steps by the number of codes, at a size that takes no time."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.test_cluster import given_of


@pytest.fixture
def module(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("cluster_growth")


def test_a_line_by_hand(module: ModuleType) -> None:
    """1, 2 and 3 seconds for 10, 20 and 30 codes are 10 for 100; what falls stays as it was at last."""
    cells = [{"points": 10 * size, "up": float(size), "down": 9.0 - size} for size in (1, 2, 3)]
    assert module.line(cells, "up", 100) == pytest.approx(10)
    assert module.line(cells, "down", 100) == 6


@pytest.mark.slow
def test_the_first_codes_are_measured(
    module: ModuleType, benchmark_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sizes of 3,000 codes: the larger has more cells, and a row each stands in the table."""
    given = given_of("codes", tmp_path, points=3000, clusters=40, codewords=64)
    benchmark_module("cluster_data").written(tmp_path, given)
    monkeypatch.setattr(module, "WINDOW", 16)
    call = ["", "--work", str(tmp_path), "--out", str(tmp_path), "--clusters", "40", "--points", "3000", "1000"]
    monkeypatch.setattr(sys, "argv", call)
    module.main()
    content = json.loads((tmp_path / "cluster_growth.json").read_text())
    few, many = content["cells"]
    assert (few["points"], many["points"]) == (1000, 3000)
    assert few["cells"] < many["cells"] <= 64**2
    assert 0 <= many["unvisited"] < 0.5
    assert set(content["line"]) == {"read", "start", "assign", "label"}
    page = (tmp_path / "cluster_growth.md").read_text()
    assert "| 3,000 |" in page
    assert "| 1,000,000,000, not measured |" in page
