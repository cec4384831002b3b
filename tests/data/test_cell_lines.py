"""Lines of cells, and which column is which."""

from pathlib import Path

import pytest

from dqh.data.cell_lines import CellLine, cell_lines, columns_of


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_the_first_line_says_what_separates(tmp_path: Path, sign: str) -> None:
    (file := tmp_path / "table.csv").write_text(f'a{sign} b\n\n"c{sign}d"{sign}é \n')
    assert list(cell_lines(file)) == [
        CellLine(f"{file}:1", f"a{sign} b", ("a", "b")),
        CellLine(f"{file}:3", f'"c{sign}d"{sign}é', (f"c{sign}d", "é")),
    ]


def test_a_line_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (file := tmp_path / "table.csv").write_bytes(b'a,b\n"c,d\ne\0,f\n')
    _, quote, nul = cell_lines(file)
    assert (quote.cells, nul.cells) == ((), ())
    assert "no line of a CSV file" in quote.fault
    assert nul.fault == "the character NUL"


def test_one_column(tmp_path: Path) -> None:
    (file := tmp_path / "table.csv").write_text("a b\nc\n")
    assert [line.cells for line in cell_lines(file)] == [("a b",), ("c",)]


def test_the_first_of_several_names_counts() -> None:
    assert columns_of(["Image", "file", "x"], {"path": {"file", "image"}, "tag": {"tag"}}) == {"path": 0}
