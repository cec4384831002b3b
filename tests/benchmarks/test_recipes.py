"""The table of the recipes, from results that are made up."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROW: dict[str, Any] = {
    "binary": 0.5,
    "best": "itq",
    "shallow": 0.25,
    "low": 0.125,
    "coarse_to_fine": 0.5,
    "class_index": None,
    "rank": "codes",
    "seconds": 3.0,
    "queries": 2,
    "database": 4,
    "cpu": "A CPU",
}


@pytest.fixture(scope="module")
def recipes(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("recipes")


def of(recipes: ModuleType, values: np.ndarray, *, first: int = 0) -> Any:
    """Differences of queries that are numbered from `first` on."""
    return recipes.Differences(np.arange(first, first + len(values)).astype(str), values)


def test_each_seed_counts_alike(recipes: ModuleType) -> None:
    """Means .5 of 400 queries and .1 of 100: .3; had all queries one mean, it would be .42.

    Only within the first seed do queries differ, by a standard deviation of .5: half of its .5 / √400 is the standard
    error .0125 of the mean of both.
    """
    seeds = of(recipes, np.repeat([0.0, 1.0], 200)), of(recipes, np.full(100, 0.1), first=400)
    found = recipes.together(seeds)
    assert found["value"] == pytest.approx(0.3)
    assert (found["queries"], found["distinct"]) == (500, 500)
    assert found["low"] == pytest.approx(0.3 - 1.96 * 0.0125, abs=0.003)  # 2,000 resamples
    assert found["high"] == pytest.approx(0.3 + 1.96 * 0.0125, abs=0.003)


def test_queries_that_all_seeds_ask_count_once(recipes: ModuleType) -> None:
    """Three seeds that find the same say no more than one of them; three that differ by chance say more."""
    draws = np.random.default_rng(0)
    values = draws.standard_normal(400)
    one, three = recipes.together([of(recipes, values)]), recipes.together([of(recipes, values)] * 3)
    assert (three["low"], three["high"]) == pytest.approx((one["low"], one["high"]))
    assert (three["queries"], three["distinct"]) == (1200, 400)
    others = recipes.together([of(recipes, draws.permutation(values)) for _ in range(3)])
    assert others["high"] - others["low"] == pytest.approx((one["high"] - one["low"]) / 3**0.5, rel=0.1)


def test_differences_are_those_of_the_protocol(recipes: ModuleType, tmp_path: Path) -> None:
    scores = {"ids": np.array(["a", "b"]), "binary": np.array([0.5, 1.0]), "itq": np.array([0.25, 0.0])}
    np.savez(tmp_path / "queries.npz", **scores, **{f"unseen/{name}": values[:1] for name, values in scores.items()})
    of_all, of_unseen = (recipes.differences(tmp_path, "itq", name) for name in ("trained on", "unseen classes"))
    assert (of_all.queries.tolist(), of_all.values.tolist()) == (["a", "b"], [0.25, 1.0])
    assert (of_unseen.queries.tolist(), of_unseen.values.tolist()) == (["a"], [0.25])


def test_runs_without_scores_have_no_interval(recipes: ModuleType) -> None:
    """Of the second seed the codes are .25 better, of the first .25: .25 in the mean; .0625 is the lower end."""
    rows = [ROW, ROW | {"binary": 0.75, "shallow": 0.5, "low": 0.0625}]
    old = recipes.line("data", "trained on", {"seeds": rows, "together": None})
    assert "| +0.2500 | +0.0625 |" in old
    interval = {"value": 0.25, "low": 0.125, "high": 0.375, "queries": 4}
    assert "| +0.2500 [+0.1250, +0.3750]† | +0.0625 |" in recipes.line("d", "p", {"seeds": rows, "together": interval})
    interval["distinct"] = 2
    assert "| +0.2500 [+0.1250, +0.3750] | +0.0625 |" in recipes.line("d", "p", {"seeds": rows, "together": interval})
