"""Tables of tags as somebody writes them: texts and Parquet, lines that cannot be read told apart."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.data.tag_table import TagLine, read_tag_table
from dqh.errors import DataError
from tests.data.damage import damage


def lines_of(tmp_path: Path, text: str | bytes) -> list[TagLine]:
    file = tmp_path / "tags.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_tag_table(file))


def told(lines: list[TagLine]) -> list[tuple[str, str, float]]:
    assert all(not line.fault for line in lines)
    return [(line.file, line.tag, line.weight) for line in lines]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("file,tag,weight\na.jpg,sofa,0.5\n\nb.jpg,lamp,\n", [("a.jpg", "sofa", 0.5), ("b.jpg", "lamp", 1.0)]),
        ("a.jpg,sofa,0.5\na.jpg,lamp\n", [("a.jpg", "sofa", 0.5), ("a.jpg", "lamp", 1.0)]),
        ("weight;Tag;Path\n.25;red sofa;a.jpg\n", [("a.jpg", "red sofa", 0.25)]),
        ("tag\timage\nsofa\ta, b.jpg\n", [("a, b.jpg", "sofa", 1.0)]),
        ('"a, b.jpg","a ""quoted"" sofa", 1e-1\n', [("a, b.jpg", 'a "quoted" sofa', 0.1)]),
        ("\ufeffkeyword,filename,extra\nsofa,a.jpg,anything\n", [("a.jpg", "sofa", 1.0)]),
        ("file,tag\n", []),
        ("file,tag\na.jpg,<b>bold</b>\n", [("a.jpg", "<b>bold</b>", 1.0)]),
    ],
)
def test_what_is_written(text: str, wanted: list[tuple[str, str, float]], tmp_path: Path) -> None:
    assert told(lines_of(tmp_path, text)) == wanted


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    ((file, tag, _),) = told(lines_of(tmp_path, b"caf\xe9.jpg,sofa\n"))
    assert (file, tag) == ("caf\udce9.jpg", "sofa")


def test_lines_that_cannot_be_read_cost_themselves(tmp_path: Path) -> None:
    lines = lines_of(
        tmp_path, 'file,tag,weight\na.jpg\n,sofa,1\na.jpg,,1\na.jpg,sofa,much\na.jpg,"sofa,1\nb.jpg,sofa,1\n'
    )
    assert [(line.where.rpartition(":")[2], line.fault.partition(":")[0]) for line in lines] == [
        ("2", "1 columns, but the header has 3"),
        ("3", "no file"),
        ("4", "no tag"),
        ("5", "a weight must be a number, got 'much'"),
        ("6", "no line of a CSV file (unexpected end of data)"),
        ("7", ""),
    ]
    assert lines_of(tmp_path, "a.jpg,x\na.jpg,x,1,2\n")[1].fault.startswith("4 columns, wanted 2 or 3: 'a.jpg,x,1,2'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a line is FILE,TAG or FILE,TAG,WEIGHT; .* A header alone takes all tags off"),
        ("a.jpg\n", r"tags.csv:1: no columns; a line is FILE,TAG"),
        ("name,what,how,more\n", "4 columns, and none is called file, or none tag"),
        (b"\xff\xfea\0,\0b\0", "is UTF-16, wanted UTF-8"),
    ],
)
def test_what_is_no_table(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        lines_of(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        list(read_tag_table(tmp_path / "none.csv"))


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "tag": pa.array(["sofa", None, "lamp", " "]).dictionary_encode(),
            "path": ["a.jpg", "a.jpg", None, "b.jpg"],
            "score": pa.array([0.5, None, 1.0, 1.0], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    lines = list(read_tag_table(tmp_path / "t.parquet"))
    assert lines[0] == ("a.jpg", "sofa", 0.5, f"{tmp_path / 't.parquet'}#0", "")
    assert [line.fault for line in lines] == ["", "no tag", "no file", "no tag"]


def test_parquet_without_weights(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file": ["a.jpg"], "tag": pa.array([7])}), tmp_path / "t.PARQUET")
    assert told(list(read_tag_table(tmp_path / "t.PARQUET"))) == [("a.jpg", "7", 1.0)]


def test_a_damaged_row_group_costs_its_rows(tmp_path: Path) -> None:
    table = pa.table({"file": list("abcd"), "tag": list("wxyz"), "weight": [0.1, 0.2, 0.3, 0.4]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    damage(tmp_path / "t.parquet", column="weight", group=1)
    lines = list(read_tag_table(tmp_path / "t.parquet"))
    assert told(lines[:2]) == [("a", "w", 0.1), ("b", "x", 0.2)]
    assert all("row group 1 (rows 2 … 3) cannot be read" in line.fault for line in lines[2:])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"file": ["a"], "weight": [1.0]}, "has the columns file, weight; wanted file and tag, and perhaps weight"),
        ({"file": ["a"], "tag": ["x"], "weight": ["much"]}, "'weight' must hold numbers, got string"),
        ({"file": ["a"], "tag": [["x"]]}, "'tag' must hold integers or texts"),
    ],
)
def test_other_parquet_files(columns: dict, message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        list(read_tag_table(tmp_path / "t.parquet"))
