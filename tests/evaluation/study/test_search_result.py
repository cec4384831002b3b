"""Table, answers and files of a study of searches."""

import json
from pathlib import Path
from typing import Any

from dqh.evaluation.measure import Row
from dqh.evaluation.study.search_result import SearchResult, by_method, title

PROTOCOL: dict[str, Any] = {
    "data": "shoes",
    "split": "counts",
    "query": 30,
    "database": 900,
    "dimension": 16,
    "dtype": "float32",
    "answers": 100,
    "cutoffs": [1, 10, 100],
    "target": 0.9,
    "threads": 1,
    "batch": 30,
    "clock": "wall",
    "native": True,
    "made_up": 0,
    "missing": {},
}


def row(items: int, search: str, recall: float, ms: float, **more: float | str) -> Row:
    costs = {"bytes_per_item": 64, "scanned_bytes_per_item": 64, "shared_bytes": 0, "build_seconds": 1.5}
    compared = {"vectors_compared": items, "codes_compared": 0, "bytes_compared": 64 * items}
    quality = {"recall@1": 0.5, "recall@10": recall, "recall@100": 0.25}
    start: Row = {"items": items, "search": search, "codes": "", "setting": ""}
    return {**start, **quality, "query_ms": ms, "batch_ms": ms / 2, **compared, **costs, **more}


ROWS = [
    row(100, "exhaustive", 1.0, 2.0, theory_compared=100),
    row(100, "ivf_flat", 0.95, 0.5, setting="nprobe 1", vectors_compared=20, bytes_compared=1280, theory_compared=20),
    row(900, "exhaustive", 1.0, 18.0, theory_compared=900),
    row(900, "ivf_flat", 0.5, 1.0, setting="nprobe 1", vectors_compared=61, theory_compared=60, bytes_compared=3840),
    row(900, "ivf_flat", 0.92, 1.5, setting="nprobe 2", vectors_compared=93, theory_compared=90, bytes_compared=5760),
    row(900, "ivf_flat", 0.99, 3.0, setting="nprobe 4", vectors_compared=151, theory_compared=150),
    row(900, "hnsw", 0.7, 0.25, setting="efSearch 10", bytes_per_item=200.5),
    row(900, "hnsw", 0.8, 0.5, setting="efSearch 20", bytes_per_item=200.5),
    row(900, "codes", 0.3, 0.1, codes="itq", bytes_per_item=2, vectors_compared=0, codes_compared=900),
]
RESULT = SearchResult(PROTOCOL, ROWS)


def test_the_table_has_a_line_a_row_with_dashes_for_what_there_is_not() -> None:
    lines = RESULT.text().splitlines()
    assert lines[0].split("  ")[0] == "items"
    assert len({len(line.rstrip()) for line in lines[:2]}) == 1
    (line,) = (line.split() for line in lines if line.startswith("  900  hnsw") and "efSearch 20" in line)
    assert line == [
        *("900", "hnsw", "–", "efSearch", "20", "0.5000", "0.8000", "0.2500"),
        *("0.500", "0.250", "900", "0", "–", "200", "1.50"),
    ]
    assert lines[-1].startswith("data shoes · split counts · 30 queries · 900 database items · 16 dimensions, float32")


def test_the_questions_are_answered_by_the_quickest_setting_that_reaches_the_target() -> None:
    answers = dict(RESULT.answers())
    assert answers["how fast?"] == (
        "recall@10 ≥ 0.9 of 900 items: exhaustive 18.0 ms (1.0 ×), ivf_flat at nprobe 2 1.50 ms (12 ×); not reached: "
        "hnsw at efSearch 20 0.8000, codes, itq 0.3000"
    )
    assert answers["how small?"].startswith("recall@10: codes, itq 2 bytes up to 0.3000, exhaustive 64 bytes up to 1.0")
    assert "ivf_flat at nprobe 2 93 (theory 90)" in answers["how much is compared?"]
    assert answers["how much is compared?"].endswith("N·D = 14,400, √N·D = 480")
    assert answers["how does it grow?"] == (
        "9.00 × the items, √ of it 3.00: exhaustive 9.0 × the time, 9.0 × the bytes compared; ivf_flat 3.0 × the time, "
        "4.5 × the bytes compared"
    )


def test_of_one_size_nothing_grows(tmp_path: Path) -> None:
    result = SearchResult(PROTOCOL, ROWS[2:])
    assert "how does it grow?" not in dict(result.answers())
    assert [picture.file for picture in result.pictures("a")] == ["a.svg", "a_memory.svg"]


def test_files_and_pictures_that_the_page_shows(tmp_path: Path) -> None:
    RESULT.write(tmp_path, command="python x", note="Noted.")
    page = (tmp_path / "study.md").read_text()
    names = ("study.svg", "study_memory.svg", "study_growth.svg")
    assert {path.name for path in tmp_path.iterdir()} == {*names, "study.md", "study.csv", "study.json"}
    assert all(f"]({name})" in page for name in names)
    assert page.startswith("# Accuracy, speed and memory of searches of shoes\n")
    assert "Noted." in page
    assert json.loads((tmp_path / "study.json").read_text())["rows"] == ROWS


def test_what_is_left_out_and_made_up_is_said() -> None:
    result = SearchResult(
        PROTOCOL | {"missing": {"itq": "too long"}, "database": 895, "clock": "cpu", "threads": 2}, ROWS
    )
    assert result.text().endswith("\nitq is left out: too long.")
    assert "itq is left out: too long." in result.markdown(command="x")
    slow = SearchResult(PROTOCOL | {"native": False}, ROWS)
    assert slow.caption().endswith("without the kernels of dqh._native, so that codes take longer than they need")
    assert result.caption().endswith("2 threads · batches of 30 · CPU time · 5 more items made up")


def test_methods_are_told_apart_by_their_codes() -> None:
    assert [len(rows) for rows in by_method(ROWS)] == [2, 4, 2, 1]
    assert title("codes", "itq") == "codes, itq"
