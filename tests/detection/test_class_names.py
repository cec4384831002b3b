"""Names of classes from a file."""

from pathlib import Path

import pytest

from dqh.detection.class_names import name_problem, read_class_names
from dqh.errors import DataError


def test_coco() -> None:
    """80 different names in the order of the categories, the first, one with a blank, and the last among them."""
    names = read_class_names("coco")
    assert (len(names), len(set(names))) == (80, 80)
    assert (names[0], names[3], names[9], names[14], names[79]) == (
        *("person", "motorcycle", "traffic light", "bird", "toothbrush"),
    )


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("\ufefflamp\r\n  chair \nétagère\n\n\n".encode())
    assert read_class_names(tmp_path / "names.txt") == ("lamp", "chair", "étagère")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lamp\n\nchair\n", "line 2 is empty; give one name a line"),
        (b"", "line 1 is empty"),
        (b"lamp\nchair\nlamp\n", "line 3 names 'lamp', as line 1 does"),
        (b"lamp\n\x1b[2J\n", "line 2 is no name of at most 200 letters that can be shown"),
        (b"x" * 201, "line 1 is no name of at most 200 letters"),
        (b"lamp\xff", "it is no UTF-8; give a text file with one name a line"),
    ],
)
def test_what_is_no_list_of_names(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_class_names(tmp_path / "names.txt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no class names in .*none.txt: No such file .*; give a text file .*, or coco"):
        read_class_names(tmp_path / "none.txt")
    with pytest.raises(DataError, match=r"no class names in .*: Is a directory"):
        read_class_names(tmp_path)


def test_too_many_names() -> None:
    assert name_problem([str(number) for number in range(10_001)]) == "it has 10,001 names, wanted 1 … 10,000"
