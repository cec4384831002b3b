"""Table, answers and files of a study of crops, from rows that are written down here."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from dqh.discovery.crop_result import CropResult

PROTOCOL = {
    "data": "squares",
    "split": "given",
    "query": 16,
    "database": 44,
    "query_photos": 8,
    "database_photos": 22,
    "random_order": {"P@5": 0.3, "P@10": 0.31, "mAP@all": 0.35},
}


def row(query: str, database: str, form: str, distance: str, score: float, size: int, tap: str = "pool") -> dict:
    return {
        "network": "small",
        "weights": "random",
        "size": 16,
        "tap": tap,
        "query": query,
        "database": database,
        "dimension": 8,
        "form": form,
        "distance": distance,
        "mAP@all": score - 0.1,
        "P@5": score + 0.1,
        "P@10": score,
        "bytes_per_item": size,
    }


ROWS: tuple[dict[str, Any], ...] = (
    row("whole photo", "box", "raw", "L2", 0.4, 32),
    row("whole photo", "box", "> 0", "Hamming", 0.35, 1),
    row("box", "box", "raw", "L2", 0.6, 32),
    row("box", "box", "> 0", "Hamming", 0.55, 1),
    row("box", "box", "learned", "Hamming", 0.7, 2),
    row("box", "box", "raw", "L2", 0.2, 32, "early"),
)


@pytest.fixture
def result() -> CropResult:
    return CropResult(PROTOCOL, ROWS)


def test_answers_by_hand(result: CropResult) -> None:
    (_, region), (_, form) = result.answers()
    assert region == (
        "P@10 of small pool: box 0.7000 (learned codes), whole photo → box 0.4000 (raw L2); pointing at the object "
        "brings +0.3000 over the whole photo as the query"
    )
    assert form == (
        "P@10 of small pool, box: learned codes 0.7000 in 2 bytes, raw L2 0.6000 in 32 bytes, bits > 0 0.5500 in "
        "1 bytes"
    )


def test_text(result: CropResult) -> None:
    lines = result.text().splitlines()
    assert lines[0].split("  ")[0] == "network"
    assert "query shows" in lines[0]
    assert len({line.find("L2") for line in lines if "L2" in line and line.startswith("small")}) == 1  # aligned
    assert lines[-1] == (
        "data squares · split given · 16 queries · 44 database items · objects of 8 and 22 photos · a random order "
        "scores P@10 0.3100"
    )


def test_files(result: CropResult, tmp_path: Path) -> None:
    result.write(tmp_path, command="python evaluate.py study=crops", name="crops", note="A note.")
    with (tmp_path / "crops.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["P@10"] for line in lines] == [str(entry["P@10"]) for entry in ROWS]
    kept = json.loads((tmp_path / "crops.json").read_text())
    assert (kept["rows"], kept["protocol"], kept["command"]) == (
        [dict(entry) for entry in ROWS],
        PROTOCOL,
        "python evaluate.py study=crops",
    )
    page = (tmp_path / "crops.md").read_text()
    assert page.startswith("# Which part of a photo is searched best? Crops of squares\n")
    assert "A note." in page
    assert "![P@10 by region and form](crops.svg)" in page
    assert page.count("\n| small ") == len(ROWS)
    picture = (tmp_path / "crops.svg").read_text()
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    for text in ("P@10 by region and form", "bits, learned", "whole photo → box", "small pool", "bytes an object"):
        assert text in picture
    assert "raw, L1" not in picture  # no row has it
