"""The settings of a study of searches, and the study itself on small data."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.errors import ConfigError, DataError
from dqh.evaluation import SearchStudy, study_search
from dqh.evaluation.study.search_codes import Searched
from dqh.ranking.side import Side

SMALL: dict[str, Any] = {"cutoffs": (1, 2, 5), "breadths": (20,), "pools": (5, 50), "probes": (1, 4)}
SMALL |= {"bits": 8, "codes": ("lsh",), "timed_queries": 2, "queries": 10}


def searched(*, labelled: bool = True) -> Searched:
    """Two clusters, the class the cluster."""
    generator = np.random.default_rng(0)

    def side(count: int) -> Side:
        labels = np.arange(count) % 2
        values = (generator.standard_normal((count, 8)) + 6 * labels[:, None]).astype(np.float32)
        return Side(np.empty((count, 0), np.uint8), values, values, labels)

    return Searched(side(30), side(300), None, "", labelled, {"data": "clusters", "split": "counts"})


def test_sizes_are_nested_draws_and_every_row_says_what_it_costs() -> None:
    study = SearchStudy(sizes=(100, 300), **SMALL)
    first, second = study_search(study, searched())
    assert list(second.rows[: len(first.rows)]) == list(first.rows)
    assert [row["items"] for row in second.rows] == [100] * 9 + [300] * 9
    exhaustive = [row for row in second.rows if row["search"] == "exhaustive"]
    assert [row["vectors_compared"] for row in exhaustive] == [100, 300]
    assert [row["bytes_compared"] for row in exhaustive] == [100 * 32, 300 * 32]
    assert {row[f"recall@{k}"] for row in exhaustive for k in (1, 2, 5)} == {1.0}
    assert [row["mAP@5"] for row in exhaustive] == [1, 1]  # clusters that do not touch
    codes = next(row for row in second.rows if row["search"] == "codes")
    assert (codes["codes"], codes["bytes_compared"], codes["bytes_per_item"]) == ("lsh", 100, 1)
    listed = next(row for row in second.rows if row["search"] == "ivfpq")
    assert listed["bytes_compared"] == pytest.approx(32 * listed["vectors_compared"] + listed["codes_compared"])
    for row in second.rows:
        assert min(row[key] for key in ("query_ms", "batch_ms", "bytes_per_item")) > 0
        assert 0 <= row["recall@1"] <= 1
    assert (second.protocol["query"], second.protocol["database"], second.protocol["made_up"]) == (10, 300, 0)


def test_without_labels_there_is_no_average_precision_and_made_up_items_have_none() -> None:
    (result,) = study_search(SearchStudy(**SMALL), searched(labelled=False))
    assert not any(name.startswith("mAP") for row in result.rows for name in row)
    *_, result = study_search(SearchStudy(sizes=(300, 400), grow=True, **SMALL), searched())
    assert [("mAP@5" in row) for row in result.rows] == [True] * 9 + [False] * 9
    assert result.protocol["made_up"] == 100


@pytest.mark.parametrize("sign", [1, -1])
def test_distances_beyond_float32_are_refused(sign: int) -> None:
    """8 · (2 · 3.26e18)² = 3.4e38, the largest float32."""
    values = searched()
    features = values.database.features.copy()
    features[3, 1] = sign * 3.3e18
    far = values._replace(database=values.database._replace(embedding=features, features=features))
    with pytest.raises(DataError, match=r"at most 3.26e\+18 in magnitude.*got 3.3e\+18; scale them down"):
        next(study_search(SearchStudy(**SMALL), far))


def test_the_seed_decides_what_is_found_and_the_order_of_the_items_does_not_matter_to_the_scan() -> None:
    def recalls(seed: int) -> list[Any]:
        (result,) = study_search(SearchStudy(seed=seed, **SMALL), searched())
        return [row["recall@5"] for row in result.rows]

    assert recalls(1) == recalls(1) != recalls(2)


def test_what_cannot_be_fitted_is_left_out_and_told(tmp_path: Path) -> None:
    settings = SMALL | {"codes": ("itq", "lsh"), "bits": 11}
    (result,) = study_search(SearchStudy(**settings), searched())
    assert set(result.protocol["missing"]) == {"itq", "ivfpq"}
    assert "itq is left out: it could not be fitted" in result.text()
    assert {row["codes"] for row in result.rows} == {"", "lsh"}
    result.write(tmp_path, command="python x")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("study.csv", "study.json", "study.md", "study.svg", "study_memory.svg")
    }
    with (tmp_path / "study.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(result.rows)
    assert json.loads((tmp_path / "study.json").read_text())["protocol"]["target"] == 0.95


def test_sizes_are_powers_of_ten_and_all_there_is() -> None:
    study = SearchStudy()
    assert study.sizes_of(2_345, growing=False) == [2345]
    assert study.sizes_of(10_000, growing=False) == [10_000]
    assert study.sizes_of(123_456, growing=False) == [10_000, 100_000, 123_456]
    assert SearchStudy(sizes=(900, 500), grow=True).sizes_of(700, growing=True) == [500, 900]


def test_breadths_and_pools_follow_the_answers_unless_they_are_given() -> None:
    assert SearchStudy(cutoffs=(1, 10)).effort[2:] == ((10, 20, 40, 80), (10, 20, 50, 100, 200, 500))
    assert SearchStudy(cutoffs=(1, 10), breadths=(15,), pools=(30,)).effort[2:] == ((15,), (30,))


@pytest.mark.parametrize(
    ("settings", "growing", "messages"),
    [
        (
            {"sizes": (500, 900)},
            True,
            ["study.sizes: 900 is more than the 700 items of the database; set study.grow=true to fill it up"],
        ),
        (
            {"sizes": (900,), "grow": True},
            False,
            ["study.sizes: 900 is more than the 700 items of the database; lower"],
        ),
        (
            {"sizes": (50, 700), "lists": 60},
            True,
            [
                "study.cutoffs: 100 is more than the 50 items of the smallest database; lower it, or choose larger",
                "study.lists: 60 is more than the 50 items of the smallest database",
            ],
        ),
    ],
)
def test_sizes_that_do_not_suit_the_database(settings: dict[str, Any], growing: bool, messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchStudy(**settings).sizes_of(700, growing=growing)
    assert len(caught.value.problems) == len(messages)
    for message, problem in zip(messages, caught.value.problems, strict=True):
        assert problem.startswith(message)


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (
            {"bits": 0, "probes": (), "cutoffs": (1, 1), "target": 1.5, "codes": ("itqq",), "seed": -1},
            [
                "bits must be at least 1, got 0",
                "probes must be different whole numbers",
                "cutoffs must be different whole numbers of at least 1, got [1, 1]",
                "target must be above 0 and at most 1, got 1.5",
                "codes: no codes 'itqq'; valid: lsh, ",
                "seed must be at least 0",
            ],
        ),
        (
            {"pools": (50, 200), "breadths": (16,), "cutoffs": (100, 10)},
            [
                "breadths: 16 is less than the 100 answers that study.cutoffs wants",
                "pools: 50 is less than the 100 answers",
                "cutoffs must ascend, got [100, 10]",
            ],
        ),
        ({"sizes": ()}, ["sizes must be different whole numbers of at least 1, got []"]),
        ({"clock": "sun"}, ["clock must be one of wall, cpu, got 'sun'"]),
    ],
)
def test_mistakes_are_reported_together(settings: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchStudy(**settings)
    for message in messages:
        assert message in str(caught.value)
    assert len(caught.value.problems) == len(messages)


def test_the_clock_of_the_process_is_for_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(ConfigError, match="clock: cpu adds up what 2 threads take; run it with OMP_NUM_THREADS=1"):
        SearchStudy(clock="cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (result,) = study_search(SearchStudy(clock="cpu", **SMALL), searched())
    assert "1 thread · batches of 10 · CPU time" in result.caption()
