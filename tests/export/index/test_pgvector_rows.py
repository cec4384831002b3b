"""The text format of COPY, worked out by hand; that PostgreSQL reads it is in test_pgvector_form."""

from pathlib import Path

import numpy as np
import pytest

from dqh.errors import StoreError
from dqh.export.index.content import IndexContent
from dqh.export.index.pgvector_rows import array_value, bit_strings, bytes_value, copy_lines, halfvecs, text_value
from tests.export.index.conftest import EXPECTED, damaged, made


def test_a_line_by_hand(collection: IndexContent) -> None:
    """Image 1: a newline in its name is \\n in the line, and its bytes are hexadecimal behind two backslashes."""
    lines = b"".join(copy_lines(collection)).decode().splitlines()
    assert len(lines) == len(EXPECTED) == 78
    first, second = (line.split("\t") for line in lines[:2])
    assert first[:9] == [
        "0",
        r"tab\there.jpg",
        r"\\x74616209686572652e6a7067",
        r'{"a\tb"}',
        *[r"\N"] * 4,
        r"\\x0000",
    ]
    assert second[:8] == ["1", r"new\nline\r.jpg", second[2], r'{"x\ny","x\ry"}', "0.1", "0.0", "2.0", "2.0"]
    bits = "".join("01"[int(value > 0.5)] for value in EXPECTED[1].embedding)
    assert second[9] == bits
    assert [np.float16(value) for value in second[10][1:-1].split(",")] == EXPECTED[1].features.tolist()


@pytest.mark.parametrize(
    ("text", "line"), [("a", "a"), (r"\N", r"\\N"), ("\t\n\r", r"\t\n\r"), ("\\", "\\\\"), ("", ""), ("é'\"", "é'\"")]
)
def test_texts(text: str, line: str) -> None:
    assert text_value(text) == line


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        ((), "{}"),
        (("",), '{""}'),
        (("NULL", "a,b"), '{"NULL","a,b"}'),
        (('"',), r'{"\\""}'),  # " is \" in the array, whose backslash is two in the line
        (("\\",), r'{"\\\\"}'),  # \ is \\ in the array, which are four in the line
        (("a\tb",), r'{"a\tb"}'),
    ],
)
def test_arrays(texts: tuple[str, ...], line: str) -> None:
    assert array_value(texts) == line


def test_bytes_and_bits() -> None:
    assert bytes_value(b"\x00\xff\\") == r"\\x00ff5c"
    assert bit_strings(np.array([[0b10000001, 0b1], [0, 0b100]], np.uint8), 11) == ["10000001100", "00000000001"]


def test_every_half_comes_back() -> None:
    """Also by way of float32, which pgvector parses into."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    (text,) = halfvecs(finite[None])
    back = np.array([np.float32(value) for value in text[1:-1].split(",")]).astype(np.float16)
    assert (back.view(np.uint16) == finite.view(np.uint16)).all()


def test_damaged_features_are_no_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"features\.npy is damaged"):
        list(copy_lines(IndexContent(damaged(made(tmp_path / "index")))))
