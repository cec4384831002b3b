"""What a study shows, whatever it is about."""

import csv
import json
from pathlib import Path

import pytest

from dqh.evaluation.study.study_files import Picture, StudyTable, write_study

TABLE = StudyTable(["tap", "dimension"], [["fc7", "4,096"], ["pool", "512"]], heads={"dimension": "F"})
PICTURE = Picture("s.svg", "a picture", lambda: "<svg/>")
ANSWERS = [("which?", "fc7"), ("why, then?", "it is longer")]


def test_names_to_the_left_numbers_to_the_right_questions_below() -> None:
    assert TABLE.text(ANSWERS, "data photos").splitlines() == [
        *("tap       F", "----  -----", "fc7   4,096", "pool    512", ""),
        *("which?      fc7", "why, then?  it is longer", "", "data photos"),
    ]
    page = TABLE.page(ANSWERS, "data photos", title="T", command="python x", pictures=[PICTURE], note="N")
    assert page.startswith("# T\n\ndata photos. N\n\n    python x\n\n![a picture](s.svg)\n\n- **which?** fc7\n")
    assert page.endswith("\n\n| tap | F |\n|---|--:|\n| fc7 | 4,096 |\n| pool | 512 |\n")


def test_rows_may_have_other_columns_and_a_picture_that_fails_costs_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise ValueError("no room to draw")

    rows = [{"tap": "fc7"}, {"tap": "pool", "query_ms": 0.5}]
    pictures = [Picture("study.svg", "nothing", fail), PICTURE]
    write_study(tmp_path, "study", command="x", protocol={"data": "d"}, rows=rows, pictures=pictures, page="P\n")
    assert {path.name for path in tmp_path.iterdir()} == {"study.csv", "study.json", "study.md", "s.svg"}
    with (tmp_path / "study.csv").open() as file:
        assert [row["query_ms"] for row in csv.DictReader(file)] == ["", "0.5"]
    assert json.loads((tmp_path / "study.json").read_text())["rows"] == rows
    assert "no room to draw" in caplog.text
