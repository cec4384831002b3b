"""What is text, and where its lines end; what a line says is in test_list_file."""

import subprocess
from pathlib import Path

import pytest

from dqh.data import list_text
from dqh.data.list_text import Text, list_texts
from dqh.errors import DataError


def read(tmp_path: Path, content: bytes) -> list[Text]:
    (tmp_path / "my list.txt").write_bytes(content)
    return list(list_texts(tmp_path / "my list.txt"))


@pytest.mark.parametrize("content", [b"a\n\n b \r\nc", b"\xef\xbb\xbfa\n\n b \r\nc\n", b"a\n \nb\nc\n\n"])
def test_lines_that_are_not_blank_have_their_numbers(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == [(1, "a", ""), (3, "b", ""), (4, "c", "")]


@pytest.mark.parametrize("text", ["a.jpg 1 0\n", "a.jpg 1\n" * 20_000, "x.jpg, café\n" * 9])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
    ],
)
def test_other_encodings_are_named_first_with_the_command_that_converts(
    tmp_path: Path, text: str, encoding: str, name: str
) -> None:
    file = tmp_path / "my list.txt"
    wanted = (
        f"{file} is {name}, wanted UTF-8; write it anew: iconv -f {name} -t UTF-8 '{file}' > '{file.parent}/my list"
    )
    with pytest.raises(DataError) as error:
        read(tmp_path, text.encode(encoding))
    assert str(error.value) == wanted + "_utf8.txt'"


@pytest.mark.parametrize("content", [bytes(range(256)) * 99, b"PK\3\4\n" + bytes(200) + b"\1\xf0\2" * 99])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(
        DataError, match=r"my list\.txt is no text, and no image in a known format \(JPEG, .*AVIF\); give images"
    ):
        read(tmp_path, content)


def test_a_hole_in_a_text_is_one_line(tmp_path: Path) -> None:
    """As a disk leaves it that was cut off while it wrote."""
    texts = read(tmp_path, b"a.jpg 1\n" + bytes(300) + b"\nb.jpg 2\n")
    assert [(text.number, text.fault) for text in texts] == [(1, ""), (2, "the character NUL"), (3, "")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\nb"])
@pytest.mark.parametrize("length", [9, 10, 11, 25, 30])
def test_a_line_above_the_cap_is_one_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, end: bytes
) -> None:
    monkeypatch.setattr(list_text, "LINE_BYTES", 10)
    first, *others = read(tmp_path, b"a" * length + end)
    long = length + len(end[:1]) > 10
    assert bool(first.fault) == long
    if long:
        assert first.fault == f"a line of {length + len(end[:1])} bytes, above 10"
    assert others == ([(2, "b", "")] if end[1:] else [])


def test_a_file_above_the_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_text, "MAX_BYTES", 10)
    with pytest.raises(DataError, match=r"my list.txt has 11 bytes, above 10; is it a list of images\?"):
        read(tmp_path, b"a" * 11)


def test_lines_that_end_with_carriage_returns_alone(tmp_path: Path) -> None:
    """Not one line of everything; the command that is told mends it."""
    with pytest.raises(DataError, match="carriage returns alone, wanted line feeds; write it anew: tr") as error:
        read(tmp_path, b"a.jpg cat\rb.jpg dog\r")
    subprocess.run(str(error.value).partition("anew: ")[2], shell=True, check=True)  # our own text
    assert [text for _, text, _ in list_texts(tmp_path / "my list_lf.txt")] == ["a.jpg cat", "b.jpg dog"]
