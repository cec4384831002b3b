"""The text of list files: lines in UTF-8, in which bytes that are not are kept as lone surrogates.

Files that are no such text are refused with the command that mends them; single lines that are not are the reader's.
"""

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dqh.commands import command
from dqh.data.data_file import Location, is_remote, open_data
from dqh.data.pixels import FORMATS
from dqh.errors import DataError
from dqh.urls import name_of

MAX_BYTES = 2**30
"""Cap on the size of a list file."""

LINE_BYTES = 2**22
"""Cap on a line; what is longer is a fault of its own."""

_HEAD_BYTES = 2**16
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # that of UTF-32 begins with that of UTF-16
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]+")
_FEW = 8


class Text(NamedTuple):
    """A line that is not blank: number from 1, text, cut where it is too long, and why it is of no use, or ""."""

    number: int
    text: str
    fault: str = ""


def list_texts(file: Location) -> Iterator[Text]:
    """The lines of a list file that are not blank.

    Raises:
        DataError: the file cannot be read, is no text, is in UTF-16 or UTF-32, or is larger than `MAX_BYTES`.
    """
    with open_data(file, kind="list file", advice="give a list of images, a path a line") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if size > MAX_BYTES:
            raise DataError(f"{file} has {size} bytes, above {MAX_BYTES}; is it a list of images? Cut it into several")
        head = stream.read(_HEAD_BYTES)
        _require_text(head, file)
        stream.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        number = 0
        while line := stream.readline(LINE_BYTES):
            number += 1
            length = len(line)
            while not line.endswith(b"\n") and (rest := stream.readline(LINE_BYTES)):
                line, length = line[:LINE_BYTES] + rest[-1:], length + len(rest)
            text = line.decode("utf-8", "surrogateescape").strip()
            if length > LINE_BYTES:
                yield Text(number, text[:80], f"a line of {length} bytes, above {LINE_BYTES}")
            elif "\0" in text:
                yield Text(number, text, "the character NUL")
            elif text:
                yield Text(number, text)


def as_utf8(file: Location, encoding: str) -> str:
    """The command that writes a file anew in UTF-8, beside it; a copy of it here where it lies in a store."""
    own = _here(file)
    return f"{command('iconv', '-f', encoding, '-t', 'UTF-8', own)} > {command(own.with_stem(own.stem + '_utf8'))}"


def _here(file: Location) -> Path:
    """A file as a command names it; where it lies in a store, a copy of it in the folder where one is."""
    return Path(name_of(file) if is_remote(file) else file)


def is_utf8(text: str) -> bool:
    """Whether the bytes of a text were UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_text(head: bytes, file: Location) -> None:
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if encoding is None and len(head) > 3:
        even, odd = (head[start::2].count(0) * 4 >= len(head) for start in (0, 1))  # half of every other byte
        encoding = "UTF-16LE" if odd and not even else "UTF-16BE" if even and not odd else None
    if encoding is not None:
        raise DataError(f"{file} is {encoding}, wanted UTF-8; write it anew: {as_utf8(file, encoding)}")
    controls = sum(1 for _ in _CONTROL.finditer(head))
    if controls >= _FEW and controls * 100 > len(head):
        raise DataError(
            f"{file} is no text, and no image in a known format ({', '.join(FORMATS)}); give images, or a list "
            "of their paths"
        )
    if b"\r" in head.strip() and b"\n" not in head:
        own = _here(file)
        anew = own.with_stem(f"{own.stem}_lf")
        raise DataError(
            f"{file} ends its lines with carriage returns alone, wanted line feeds; write it anew: "
            f"tr '\\r' '\\n' < {command(own)} > {command(anew)}"
        )
