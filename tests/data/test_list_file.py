"""How the lines of list files are read; what a source makes of them is in test_image_list."""

from pathlib import Path

import pytest

from dqh.data.list_file import read_list
from dqh.errors import DataError


def lines(tmp_path: Path, text: str, **options: object) -> list[tuple[str, ...]]:
    file = tmp_path / "list.txt"
    file.write_text(text)
    return [(line.path, *line.cells) for line in read_list(file, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("my photo.jpg", ("my photo.jpg",)),
        ("my photo", ("my photo",)),
        ("a, b.jpg", ("a, b.jpg",)),
        ("image 12", ("image 12",)),
        ("holiday 2019", ("holiday 2019",)),
        ("holiday 2019 0 1", ("holiday 2019", "0", "1")),
        ("a.jpg 3", ("a.jpg", "3")),
        ("a.jpg hat", ("a.jpg", "hat")),
        ("a.jpg of my hat", ("a.jpg of my hat",)),
        ("a.jpg,hat", ("a.jpg", "hat")),
        ("x.jpg y.jpg 1 1", ("x.jpg y.jpg", "1", "1")),
    ],
)
def test_a_path_may_stand_alone(tmp_path: Path, text: str, wanted: tuple[str, ...]) -> None:
    assert lines(tmp_path, text, bare=True) == [wanted]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("my photo 3", ("my photo", "3")),
        ("photo hat", ("photo", "hat")),
        ("photo 1 0", ("photo", "1", "0")),
        ("x.jpg\t0  1 0", ("x.jpg", "0", "1", "0")),
        ("x y.jpg\t0\thigh hat", ("x y.jpg", "0", "high hat")),
        ("photos, 2019/a.jpg 1 0", ("photos, 2019/a.jpg", "1", "0")),
    ],
)
def test_labels_stand_behind_the_path(tmp_path: Path, text: str, wanted: tuple[str, ...]) -> None:
    assert lines(tmp_path, text) == [wanted]


@pytest.mark.slow
def test_a_long_line_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    """The parts of a line are looked at once each: one of 4 MB would take hours otherwise."""
    (line,) = lines(tmp_path, "a " * 2_000_000, bare=True)
    assert len(line[0]) == 80
    assert len(lines(tmp_path, "a" + " 1" * 2_000_000)[0]) == 2_000_001


def test_paths_that_are_no_utf8_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "a list.txt"
    file.write_bytes("a.jpg 1\né.jpg 2\nè.jpg 3\n".encode("latin-1"))
    assert [line.path for line in read_list(file)] == ["a.jpg", "\udce9.jpg", "\udce8.jpg"]
    anew = f"iconv -f ISO-8859-1 -t UTF-8 '{tmp_path}/a list.txt' > '{tmp_path}/a list_utf8.txt'"
    assert caplog.messages == [
        f"{file} holds 2 paths in other bytes than UTF-8, the first in line 2; files of just these bytes are looked "
        f"for; if the disk has them in UTF-8, write the list anew: {anew}"
    ]


def test_a_header_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("path,café,thé\na.jpg,1,0\n".encode("latin-1"))
    with pytest.raises(
        DataError, match=r"a\.csv:1: the header .* is not UTF-8; .* iconv -f ISO-8859-1 -t UTF-8 .*a\.csv"
    ):
        list(read_list(tmp_path / "a.csv"))


def test_lines_that_cannot_be_used_are_told_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b'\0\npath,x,y\na.jpg,1,0\nb.jpg,1\n,1,0\n"c.jpg,1,0\nd.jpg,1,caf\xe9\n\0\ne.jpg,1,1\n'
    )
    faults = {line.where.rpartition(":")[2]: line.fault for line in read_list(tmp_path / "a.csv")}
    assert {number: fault.split(":")[0] for number, fault in faults.items()} == {
        "1": "the character NUL",
        "3": "",
        "4": "2 columns, but the header has 3",
        "5": "no path",
        "6": "no line of a CSV file (unexpected end of data)",
        "7": "the label 'caf\\udce9' is not UTF-8; write the list anew, from Latin-1 by iconv -f ISO-8859-1 -t UTF-8 "
        f"{tmp_path}/a.csv > {tmp_path}/a_utf8.csv",
        "8": "the character NUL",
        "9": "",
    }


def test_a_name_of_two_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="2 columns are called 'label'; give the number of one, 1 or 2, in the place of"
    ):
        lines(tmp_path, "path,label,label\na.jpg,cat,dog\n", label="label")
    assert lines(tmp_path, "path,label,label\na.jpg,cat,dog\n", label=2)
