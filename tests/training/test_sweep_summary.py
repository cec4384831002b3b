"""Means and standard deviations over the cells of a sweep, by hand."""

import json
from pathlib import Path

import pytest

from dqh.training.sweep import Cell, Sweep, plan
from dqh.training.sweep_summary import Outcome, Spread, collect, spread, summarise


def outcome(bits: str, seed: str, maps: dict[str, float | None], seconds: float = 60.0) -> Outcome:
    """A complete cell with an mAP@all for each way of searching."""
    rows = [{"search": search, "mAP@all": value, "P@100": 0.5} for search, value in maps.items()]
    return Outcome(
        Cell({"bits": bits, "seed": seed}, Path(bits, seed)),
        "complete",
        {"rows": rows, "training": {"seconds": seconds}},
        "",
    )


def test_mean_and_sample_standard_deviation_by_hand() -> None:
    """.9, .8, .7: mean .8, squared deviations .01 + 0 + .01 over 2, sd .1. 1, 2 and 1.5 min: 1.5 and √(.5 / 2) = .5."""
    outcomes = [
        outcome("16", "0", {"binary": 0.9}),
        outcome("32", "0", {"binary": 0.5}),
        outcome("16", "1", {"binary": 0.8}, 120.0),
        outcome("16", "2", {"binary": 0.7}, 90.0),
    ]
    sixteen, thirtytwo = summarise(outcomes)
    assert (sixteen.settings, sixteen.search, sixteen.seeds) == ({"bits": "16"}, "binary", 3)
    assert sixteen.metrics["mAP@all"] == pytest.approx((0.8, 0.1))
    assert sixteen.metrics["minutes"] == pytest.approx((1.5, 0.5))
    assert sixteen.metrics["P@100"] == Spread(0.5, 0.0)
    assert (thirtytwo.settings, thirtytwo.seeds) == ({"bits": "32"}, 1)
    assert thirtytwo.metrics["mAP@all"] == Spread(0.5, None)
    assert "accuracy" not in sixteen.metrics
    assert spread([1, 2]) == pytest.approx((1.5, 0.5**0.5))


def test_the_row_of_the_codes_alone_is_the_protocols_or_the_first() -> None:
    older = outcome("16", "0", {"binary": 0.9, "exhaustive": 0.8})
    product = outcome("32", "0", {"sqd_l2": 0.9, "aqd_l2": 0.8, "itq": 0.3})
    product.metrics["protocol"] = {"main": "aqd_l2"}  # type: ignore[index]
    found = summarise([older, product])
    assert [each.search for each in found if each.main] == ["binary", "aqd_l2"]
    assert "minutes" not in found[-1].metrics  # a baseline was not trained


def test_cells_without_numbers_count_nowhere() -> None:
    outcomes = [
        outcome("16", "0", {"binary": 0.9, "untrained": None}),
        Outcome(Cell({"bits": "16", "seed": "1"}, Path()), "failed", {}, "out of memory"),
        Outcome(Cell({"bits": "32", "seed": "0"}, Path()), "waiting", {}, ""),
    ]
    binary, untrained = summarise(outcomes)
    assert (binary.seeds, binary.metrics["mAP@all"]) == (1, (0.9, None))
    assert untrained.metrics.keys() == {"P@100"}  # no mAP, and the minutes were spent on another network


def test_collect_reads_what_the_cells_left(tmp_path: Path) -> None:
    sweep: Sweep = plan(tmp_path, lambda _: {"bits": 48, "seed": 0}, swept={"seed": ["0", "1", "2"]}, name="")
    done, failed, _ = sweep.cells
    for cell in (done, failed):
        cell.folder.mkdir(parents=True)
    (done.folder / "metrics.json").write_text(json.dumps({"rows": [], "training": {"seconds": 30}}))
    (failed.folder / "error.txt").write_text("out of memory\n\nTraceback")
    found = collect(sweep)
    assert [each.state for each in found] == ["complete", "failed", "waiting"]
    assert [each.error for each in found] == ["", "out of memory", ""]
    assert [each.minutes for each in found] == [0.5, None, None]


@pytest.mark.parametrize("content", ['{"rows": [', "[" * 200_000, "[]"])
def test_a_cell_with_damaged_numbers_failed(tmp_path: Path, content: str) -> None:
    sweep: Sweep = plan(tmp_path, lambda _: {"bits": 48, "seed": 0}, swept={"seed": ["0"]}, name="")
    sweep.cells[0].folder.mkdir(parents=True)
    (sweep.cells[0].folder / "metrics.json").write_text(content)
    (found,) = collect(sweep)
    assert (found.state, found.error) == ("failed", "metrics.json is damaged; delete it and give the command again")
