"""The files that sum a sweep up, by hand."""

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from dqh.training import sweep_files
from dqh.training.sweep import Sweep, plan
from dqh.training.sweep_files import write_summary
from dqh.training.sweep_plot import draw

PROTOCOL = {"data": "digits", "query": 30, "database": 120, "ties": "expected"}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Two bits and two seeds: three cells are complete, the last one failed."""
    made = plan(
        tmp_path, lambda _: {"bits": 48, "seed": 0}, swept={"bits": ["16", "32"], "seed": ["0", "1"]}, name="dlbhc"
    )
    for cell, value in zip(made.cells, (0.7, 0.9, 0.5, None), strict=True):
        cell.folder.mkdir(parents=True)
        if value is None:
            (cell.folder / "error.txt").write_text("<b>out of memory</b>\n\nTraceback")
            continue
        rows = [{"search": "binary", "mAP@all": value, "accuracy": value}, {"search": "untrained", "mAP@all": 0.25}]
        metrics = {"rows": rows, "training": {"seconds": 90}, "protocol": PROTOCOL}
        (cell.folder / "metrics.json").write_text(json.dumps(metrics))
    return made


def test_the_table_by_hand(sweep: Sweep) -> None:
    """.7 and .9: mean .8, sd √(2 · .01) = .1414."""
    text = write_summary(sweep, command="python train.py")
    assert [" ".join(line.split()) for line in text.splitlines() if not line.startswith("--")] == [
        "bits search seeds mAP@all accuracy minutes",
        "16 binary 2 0.8000 ± 0.1414 0.8000 ± 0.1414 1.50 ± 0.00",
        "32 binary 1 0.5000 ± – 0.5000 ± – 1.50 ± –",
        "16 untrained 2 0.2500 ± 0.0000 – –",
        "32 untrained 1 0.2500 ± – – –",
        "",
        "data digits · 30 queries · 120 database items · ties expected",
        "mean ± sample standard deviation over seeds; minutes of training, without validation and evaluation",
        "3 of 4 cells complete",
        "bits=32,seed=1 failed: <b>out of memory</b>",
    ]


@pytest.mark.parametrize("ceilings", [(0.6, 0.6, 0.6), (0.6, 0.7, 1.0), (1.0, 1.0, 1.0)])
def test_what_no_ranking_can_exceed_is_told(
    sweep: Sweep, ceilings: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """12, 9 and 0 of 30 queries without a relevant item, as each seed may draw others."""
    for cell, ceiling in zip(sweep.cells, ceilings, strict=False):
        missing = round(30 * (1 - ceiling))
        limits = {"queries": 30, "without_relevant": missing, "best": {"mAP@all": ceiling}, "worst": {"mAP@all": 0.1}}
        protocol = PROTOCOL | {"without_relevant": missing}
        metrics = {"rows": [{"search": "binary", "mAP@all": 0.5}], "limits": limits, "protocol": protocol}
        (cell.folder / "metrics.json").write_text(json.dumps(metrics))
    drawn: list[str] = []

    def draw_and_note(combinations: Any, *, about: str, ceiling: str) -> Any:
        drawn.append(ceiling)
        return draw(combinations, about=about, ceiling=ceiling)

    monkeypatch.setattr(sweep_files, "draw", draw_and_note)
    lines = [line for line in write_summary(sweep, command="python train.py").splitlines() if "perfect" in line]
    if ceilings == (0.6, 0.6, 0.6):
        told = ["12 of 30 queries have no relevant item and count 0: a perfect ranking scores mAP@all 0.6000"]
    elif ceilings == (1.0, 1.0, 1.0):
        told = []
    else:
        told = [
            "0 to 12 queries of a cell have no relevant item: a perfect ranking scores mAP@all 0.6000 to 1.0000, by "
            "cell in sweep.csv"
        ]
    assert lines == told
    spans = {0.6: "0.6000", 0.7: "0.6000 to 1.0000"}
    assert drawn == [f"a perfect ranking scores mAP@all {spans[ceilings[1]]}" if told else ""]
    pages = [(sweep.folder / name).read_text() for name in ("sweep.md", "sweep.html")]
    assert all(told[0] in page if told else "perfect" not in page for page in pages)
    with (sweep.folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["perfect ranking mAP@all"]) for row in rows[:3]] == list(ceilings)
    assert [int(row["without_relevant"]) for row in rows[:3]] == [round(30 * (1 - each)) for each in ceilings]


def test_a_row_that_only_some_cells_have(sweep: Sweep) -> None:
    """As where the trainings of some cells are too long for a second one without H."""
    for cell, value in zip(sweep.cells, (0.7, 0.9, 0.5), strict=False):
        rows = [{"search": name, "mAP@all": value} for name in ("binary", "without_h")[: 2 if value == 0.7 else 1]]
        missing = {"class_index": "no classifier"} | ({} if value == 0.7 else {"without_h": f"it took {value} minutes"})
        metrics = {"rows": rows, "missing": missing, "training": {"seconds": 90}, "protocol": PROTOCOL}
        (cell.folder / "metrics.json").write_text(json.dumps(metrics))
    told = write_summary(sweep, command="python train.py").splitlines()
    line = "without_h was not made in 2 of 3 cells; bits=16,seed=1: it took 0.9 minutes"
    assert line in told
    assert not [each for each in told if "class_index" in each]  # no cell has it: it is no row of the table
    assert f"- {line}" in (sweep.folder / "sweep.md").read_text().splitlines()


def test_a_row_a_cell_in_the_csv(sweep: Sweep) -> None:
    write_summary(sweep, command="python train.py")
    with (sweep.folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "cell": "bits=16,seed=1",
        "bits": "16",
        "seed": "1",
        "state": "complete",
        "minutes": "1.5",
        "binary mAP@all": "0.9",
        "binary accuracy": "0.9",
        "untrained mAP@all": "0.25",
        "error": "",
    }
    assert [row["state"] for row in rows] == ["complete", "complete", "complete", "failed"]
    assert (rows[3]["error"], rows[3]["binary mAP@all"]) == ("<b>out of memory</b>", "")


def test_the_pages(sweep: Sweep) -> None:
    write_summary(sweep, command="python train.py 'data.root=<my>'")
    names = {path.name for path in sweep.folder.iterdir() if path.is_file()}
    assert names == {"sweep.csv", "sweep.md", "sweep.html", "sweep.svg", "sweep.png"}
    lines = (sweep.folder / "sweep.md").read_text().splitlines()
    assert lines[2] == "    python train.py 'data.root=<my>'"
    assert "| 16 | binary | 2 | 0.8000 ± 0.1414 | 0.8000 ± 0.1414 | 1.50 ± 0.00 |" in lines
    assert "![the cells](sweep.svg)" in lines
    page = (sweep.folder / "sweep.html").read_text()
    assert "data.root=&lt;my&gt;" in page
    assert "&lt;b&gt;out of memory" in page
    assert page.count("<tr>") == 1 + 4
    assert 'src="data:image/svg+xml;base64,' in page
    assert "http" not in page.replace("http-equiv", "")


def test_before_anything_is_complete(tmp_path: Path) -> None:
    sweep = plan(tmp_path, lambda _: {"bits": 48, "seed": 0}, swept={"bits": ["16", "32"]}, name="")
    sweep.folder.mkdir(parents=True)
    assert write_summary(sweep, command="python train.py").splitlines()[-1] == "0 of 2 cells complete"
    assert {path.name for path in sweep.folder.iterdir()} == {"sweep.csv", "sweep.md", "sweep.html"}


@pytest.mark.parametrize("failing", ["draw", "write_text"])
def test_pages_that_cannot_be_written_lose_no_number(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    whole = write_summary(sweep, command="")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "sweep.csv")

    monkeypatch.setattr(sweep_files, failing, fail)
    assert write_summary(sweep, command="") == whole
    (message,) = caplog.messages
    assert message.startswith("the sweep's p")
    assert message.endswith("sweep.csv: No space left on device; the work goes on without")


def test_a_sweep_of_detectors(tmp_path: Path) -> None:
    """AP@.5 of .5 and .7 is .6 on average, their deviation √(2 · .01) = .1414; nothing is searched."""
    sweep = plan(tmp_path, lambda _: {"bits": None, "seed": 0}, swept={"method.iou": ["0.5", "0.7"]}, name="ssd")
    seeds = plan(tmp_path, lambda _: {"bits": None, "seed": 0}, swept={"seed": ["0", "1"]}, name="ssd")
    for made in (sweep, seeds):
        for cell, value in zip(made.cells, (0.5, 0.7), strict=True):
            cell.folder.mkdir(parents=True)
            metrics = {
                "detection": {"ap50": value, "ap": 0.25, "ar": None},
                "proposals": {"recall": 0.75},
                "training": {"seconds": 90},
                "protocol": {"data": "shapes", "query": 6},
            }
            (cell.folder / "metrics.json").write_text(json.dumps(metrics))
    told = [" ".join(line.split()) for line in write_summary(seeds, command="").splitlines() if line[:2] != "--"]
    assert told[:2] == [
        "seeds AP@.5 AP@[.5:.95] recall minutes",
        "2 0.6000 ± 0.1414 0.2500 ± 0.0000 0.7500 ± 0.0000 1.50 ± 0.00",
    ]
    assert "recall of 100 boxes at IoU .5, all classes as one" in told
    assert not (seeds.folder / "sweep.svg").exists()  # seeds alone make no axis
    write_summary(sweep, command="")
    assert (sweep.folder / "sweep.svg").is_file()
    with (sweep.folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["boxes AP@.5"]) for row in rows] == [
        ("seed=0,method.iou=0.5", "0.5"),
        ("seed=0,method.iou=0.7", "0.7"),
    ]
