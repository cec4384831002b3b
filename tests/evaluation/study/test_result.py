"""Table, answers and files of a feature study."""

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dqh.evaluation.measure import Row
from dqh.evaluation.report.plots import COLOURS
from dqh.evaluation.study.result import StudyResult, dot_plot

PROTOCOL = {
    "data": "shoes",
    "split": "given",
    "query": 30,
    "database": 1200,
    "ties": "expected",
    "random_order": {"mAP@all": 0.125, "P@5": 0.12},
}


def tap_rows(network: str, tap: str, *scores: float, width: int = 16) -> list[Row]:
    """Rows of a tap whose mAP by L2, by L1, of bits above 0 and above the median are the scores."""
    forms = (("raw", "L2"), ("raw", "L1"), ("> 0", "Hamming"), ("> median", "Hamming"))
    return [
        {
            "network": network,
            "weights": "random",
            "size": 64,
            "tap": tap,
            "dimension": width,
            "form": form,
            "distance": distance,
            "mAP@all": score,
            "P@5": 0.5,
            "bytes_per_item": 4 * width if form == "raw" else width // 8,
            "query_ms": 0.01234,
            "image_ms": 12.345,
        }
        for (form, distance), score in zip(forms, scores, strict=True)
    ]


RESULT = StudyResult(
    PROTOCOL,
    [
        *tap_rows("alexnet", "fc7", 0.5, 0.6, 0.3, 0.4, width=4096),
        *tap_rows("alexnet", "fc8", 0.45, 0.4, 0.2, 0.55),
        *tap_rows("resnet18", "fc", 0.3, 0.3, 0.1, 0.2),
    ],
)


def test_the_table_has_a_line_a_row_in_the_order_of_the_questions() -> None:
    lines = RESULT.text().splitlines()
    assert lines[0].split() == [
        *("network", "weights", "size", "tap", "F", "form", "distance"),
        *("P@5", "mAP@all", "bytes/image", "ms/image", "ms/query"),
    ]
    assert re.sub(" +", " ", lines[3]) == "alexnet random 64 fc7 4,096 raw L1 0.5000 0.6000 16,384 12.3 0.0123"
    assert len({len(line) for line in lines[:14]}) == 1  # aligned
    assert lines[-1].startswith("data shoes · split given · 30 queries · 1,200 database items")
    assert lines[-1].endswith("a random order scores mAP@all 0.1250")


def test_the_three_questions_are_answered_where_the_best_row_stands() -> None:
    """L1 is ahead by .1 at fc7 and behind by .05 at fc8: 1 of 2, on average by .025."""
    assert dict(RESULT.answers()) == {
        "which layer?": "mAP@all of alexnet: fc7 0.6000 (raw L1), fc8 0.5500 (bits > median)",
        "raw or binarised?": (
            "mAP@all of alexnet fc7: raw L1 0.6000 in 16,384 bytes, bits > median 0.4000 in 512 bytes, "
            "bits > 0 0.3000 in 512 bytes"
        ),
        "L1 or L2?": (
            "mAP@all of alexnet fc7, raw: L2 0.5000, L1 0.6000; L1 is ahead at 1 of 2 taps of the network, on average "
            "by +0.0250"
        ),
    }


def test_one_network_under_two_weights_is_two() -> None:
    trained = [row | {"weights": "trained.pt", "mAP@all": float(row["mAP@all"]) + 0.1} for row in RESULT.rows[:4]]
    (_, layers), *_ = StudyResult(PROTOCOL, [*RESULT.rows, *trained]).answers()
    assert layers == "mAP@all of alexnet: fc7 0.7000 (raw L1)"


def test_files(tmp_path: Path) -> None:
    RESULT.write(tmp_path, command="python evaluate.py study=features", note="On two cores.")
    assert {path.name for path in tmp_path.iterdir()} == {"study.csv", "study.json", "study.md", "study.svg"}
    with (tmp_path / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert [float(row["mAP@all"]) for row in rows] == [row["mAP@all"] for row in RESULT.rows]
    content = json.loads((tmp_path / "study.json").read_text())
    assert content == {"command": "python evaluate.py study=features", "protocol": PROTOCOL, "rows": RESULT.rows}
    page = (tmp_path / "study.md").read_text()
    assert page.startswith("# Feature study on shoes\n\ndata shoes · ")
    assert "0.1250. On two cores.\n\n    python evaluate.py study=features\n\n![" in page
    assert "(study.svg)" in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 14
    assert {line.count("|") for line in table} == {13}
    assert table[3] == "| alexnet | random | 64 | fc7 | 4,096 | raw | L1 | 0.5000 | 0.6000 | 16,384 | 12.3 | 0.0123 |"


@pytest.mark.parametrize("absent", ["query_ms", "P@5"])
def test_a_column_that_was_not_measured_is_left_out(absent: str, tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != absent} for row in RESULT.rows]
    result = StudyResult(PROTOCOL, rows)
    assert {"query_ms": "ms/query"}.get(absent, absent) not in result.text().splitlines()[0]
    result.write(tmp_path, command="", name="other")
    assert absent not in (tmp_path / "other.csv").read_text()


SVG = "{http://www.w3.org/2000/svg}"
FORMS = (("raw", "L2"), ("raw", "L1"), ("> 0", "Hamming"), ("> median", "Hamming"))


def rows(**networks: dict[str, tuple[float, ...]]) -> list[Row]:
    return [
        {
            "network": network,
            "weights": "none" if network == "colour_histogram" else "random",
            "tap": tap,
            "form": form,
            "distance": distance,
            "mAP@all": score,
            "bytes_per_item": 4000 if form == "raw" else 125,
        }
        for network, taps in networks.items()
        for tap, scores in taps.items()
        for (form, distance), score in zip(FORMS, scores, strict=True)
    ]


ROWS = rows(
    alexnet={"fc7": (0.1, 0.2, 0.3, 0.4), "fc8": (0.2, 0.2, 0.2, 0.2)},
    colour_histogram={"rgb512": (0.3, 0.3, 0.3, 0.3)},
)


def picture() -> str:
    return dot_plot(ROWS, metric="mAP@all", random_order=0.1, about="data <shoes>")


def test_a_file_of_its_own_light_and_dark_without_scripts_or_addresses() -> None:
    root = ElementTree.fromstring(picture())
    assert root.tag == f"{SVG}svg"
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    assert root.find(f"{SVG}rect").get("fill") == "var(--paper)"
    assert not {f"{SVG}script", f"{SVG}image"} & {element.tag for element in root.iter()}
    assert re.findall(r"https?://[^\"]*", picture()) == ["http://www.w3.org/2000/svg"]
    assert picture() == picture()


def test_every_network_tap_form_and_cost_is_named() -> None:
    shown = ["".join(element.itertext()) for element in ElementTree.fromstring(picture()).iter(f"{SVG}text")]
    for text in ("alexnet, random weights", "fc7", "fc8", "colour_histogram", "rgb512", "mAP@all by layer and form"):
        assert shown.count(text) == 1
    assert shown.count("4,000 → 125") == 3
    assert {"raw, L2", "raw, L1", "bits, > 0", "bits, > median", "random order", "data <shoes>"} <= set(shown)
    assert [text for text in shown if re.fullmatch(r"0\.\d{4}", text)] == ["0.4000"]  # the best


@pytest.mark.parametrize(("place", "scores"), [(0, [0.1, 0.2, 0.3]), (3, [0.4, 0.2, 0.3])])
def test_marks_stand_at_their_values(place: int, scores: list[float]) -> None:
    """Three marks of a form, one a tap; distances along x are as those of the values."""
    uses = re.findall(
        rf'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)" style="fill: var\(--series-{place + 1}, ', picture()
    )
    assert COLOURS[place] in picture()
    points = [(float(x), float(y)) for x, y in uses[:3]]
    assert len(points) == 3
    assert [y for _, y in points] == sorted(y for _, y in points)
    steps = [points[k + 1][0] - points[k][0] for k in range(2)]
    wanted = [scores[k + 1] - scores[k] for k in range(2)]
    assert steps[0] * wanted[1] == pytest.approx(steps[1] * wanted[0], abs=1e-3)
