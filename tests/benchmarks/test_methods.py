"""The page of all methods, from cells that are made up, and one cell that is measured."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

CELL: dict[str, Any] = {
    "search": "binary",
    "seen": 0.5,
    "unseen": 0.25,
    "colliding": 0.125,
    "distinct": 7,
    "seconds": 2.0,
    "validation": 0.5,
    "experiment": "embeddings",
    "rate": 0.1,
}


@pytest.fixture(scope="module")
def methods(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("methods")


def test_a_gain_is_of_the_same_seeds_and_none_within_two_standard_deviations(methods: ModuleType) -> None:
    """Differences .1, .2, .3: mean .2 and standard deviation .1, so none; .1, .2, .2: .1667 and .0577, so a gain."""
    itq = {0: 0.0, 1: 0.5, 2: 0.7, 3: 9.0}
    assert methods.gain({0: 0.1, 1: 0.7, 2: 1.0}, itq) == "none"
    assert methods.gain({0: 0.1, 1: 0.7, 2: 0.9}, itq) == "+0.1667"
    assert methods.gain({0: -0.1, 1: 0.3, 2: 0.5}, itq) == "-0.1667"
    assert methods.gain({0: 0.1, 7: 0.5}, itq) == "?"


def test_the_page_tells_what_is_missing_and_why(
    methods: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds of ITQ and of one other method at 16 bits; the rest is named, with its reason where there is one."""
    bench = methods.Bench("digits", tmp_path, tmp_path)
    for method, seed, seen in [("itq", 0, 0.5), ("itq", 1, 0.75), ("dlbhc", 0, 0.625), ("dlbhc", 1, 0.8125)]:
        file = bench.file(method, 16, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(CELL | {"seen": seen}))
    bench.file("csq", 16, 0).with_suffix(".error").write_text("too many classes")
    monkeypatch.setattr(methods, "methods", lambda: {"csq": "", "dlbhc": "", "itq": "", "softmax": ""})
    names, seeds = [*methods.methods()], [0, 1]
    cells, missing = bench.cells(names, seeds), bench.missing(names, seeds)
    assert missing == [
        "seed 0, 1: `floats`, `softmax`",
        "16 bits, seed 0, 1: `csq`: too many classes",
        "32 bits, seed 0, 1: `csq`, `dlbhc`, `itq`",
        "64 bits, seed 0, 1: `csq`, `dlbhc`, `itq`",
    ]
    lines = methods.table(cells, names, "seen")
    assert "| `dlbhc` | 0.7188 ± 0.1326 | +0.0938 | – | – | – | – |" in lines  # .125 and .0625: sd .0442
    assert "| `itq` | 0.6250 ± 0.1768 | – | – | – | – | – |" in lines
    assert "| `class_index` | – | – | – | – | – | – |" in lines


def test_cells_of_results_are_not_measured_again(methods: ModuleType, tmp_path: Path) -> None:
    """Those that were measured here go first."""
    bench = methods.Bench("digits", tmp_path, tmp_path)
    results = tmp_path / "results.json"
    bench.take(results)
    rows = [{"method": name, "bits": 32, "seed": 0, **CELL} for name in ("csq", "dlbhc")]
    results.write_text(json.dumps({"cells": rows}))
    file = bench.file("csq", 32, 0)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(CELL | {"seen": 0.75}))
    bench.take(results)
    cells = bench.cells(["csq", "dlbhc"], [0])
    assert cells == {("csq", 32, 0): CELL | {"seen": 0.75}, ("dlbhc", 32, 0): CELL}


def test_the_network_below_is_one_that_can_be_composed(methods: ModuleType, tmp_path: Path) -> None:
    """Every value that its arguments name is one that the configuration has, or takes."""
    networks = {name: data.network for name, data in methods.DATA.items() if data.network is not None}
    assert list(networks) == ["mnist"]
    config = methods.composed(["method=softmax", *networks["mnist"](tmp_path), *methods.DATA["mnist"].split])
    assert (config["augment"]["rotation"], config["split"]["protocol"]) == (10, "counts")


def test_collisions_by_hand(benchmark_module: Callable[[str], ModuleType]) -> None:
    """Codes a, b, b, c: two of four items share theirs, and there are three; those of many classes are long."""
    codes = np.array([[1, 0], [1, 1], [1, 1], [0, 1]], np.uint8)
    for given in (codes, np.repeat(codes, 5, axis=1)):
        assert benchmark_module("method_cells").collisions(given) == {"colliding": 0.5, "distinct": 3}


@pytest.mark.slow
def test_a_cell_is_measured_once(
    methods: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "BITS", (32,))
    monkeypatch.setattr(methods, "RECIPES", (("embeddings_linear", 0.1),))
    bench = methods.Bench("digits", tmp_path, tmp_path)
    bench.run(["dlbhc", "softmax"], [0])
    cells = bench.cells(["dlbhc", "softmax"], [0])
    assert len(cells) == 3
    assert cells["dlbhc", 32, 0]["seen"] > cells["floats", 0, 0]["seen"]
    assert cells["softmax", 0, 0]["distinct"] <= 7
    capsys.readouterr()
    bench.run(["dlbhc", "softmax"], [0])
    assert capsys.readouterr().out == ""
