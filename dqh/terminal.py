r"""What a program prints: results by `say`, messages by logging with `Messages`; no name breaks a line.

Names come from others: they may hold letters that steer a terminal, ends of lines, and bytes that are not UTF-8. On a
terminal, and in messages, all of these show as escapes. In a pipe or a file bytes stay as they are, so that another
program finds the file, and what would break a line or steer the terminal behind the pipe is escaped; `--json` has every
name whole.
"""

import codecs
import io
import logging
import os
import select
import sys
import unicodedata
from numbers import Number
from typing import Any

_STEERING = {"Cc", "Zl", "Zp"}
"""Categories of letters that steer a terminal or end a line."""

_UNSEEN = _STEERING | {"Cf", "Cs"}
"""And those that a terminal does not show."""


def shown(text: str) -> str:
    r"""A text for people, on one line: letters that would steer a terminal, or are no letters, as escapes.

    Example:
        >>> shown("a\x1b[2J\udce9.jpg")
        'a\\x1b[2J\\xe9.jpg'
    """
    return _without(text, _UNSEEN)


def piped(text: str) -> str:
    r"""A text for programs, on one line: as it is, but for letters that steer a terminal or end a line.

    Example:
        >>> piped("two\nlines.jpg")
        'two\\nlines.jpg'
    """
    return _without(text, _STEERING)


def say(*lines: str) -> None:
    """Print lines on stdout, each on one line whatever it holds, and flush.

    Where the reader has gone (`| head -1`), the rest goes nowhere, in silence: the work and its exit status stand.

    Raises:
        OSError: stdout cannot be written.
    """
    escape = shown if sys.stdout.isatty() else piped
    try:
        for line in lines:
            sys.stdout.write(f"{escape(line)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    except OSError as error:
        raise of_stdout(error) from None


def flush_stdout() -> bool:
    """Write what is left for stdout; whether its reader is still there. `OSError` where it cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        return False
    except OSError as error:
        raise of_stdout(error) from None
    return not _reader_is_gone()


def of_stdout(error: OSError) -> OSError:
    """The error of stdout with its name; what stdout holds is given up, or the interpreter would try again."""
    _abandon_stdout()
    error.filename = "stdout"
    return error


def cut(text: str, columns: int) -> str:
    """A text that takes at most so many columns of a terminal, its end as … where it is longer.

    Example:
        >>> cut("dresses", 6), cut("hat", 6)
        ('dress…', 'hat')
    """
    if width(text) <= columns:
        return text
    while width(text) >= columns:
        text = text[:-1]
    return f"{text}…"


def width(text: str) -> int:
    """Columns that a text without escapes takes on a terminal: wide letters count twice, accents apart not at all."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.category(letter) in ("Mn", "Me") for letter in text)


class Messages(logging.Formatter):
    """Messages on one line each, with what they tell of escaped; the words around that are ours, and may be lines."""

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The message, and a traceback where it has one."""
        plain = logging.makeLogRecord(record.__dict__)
        if isinstance(record.args, tuple):
            plain.args = tuple(
                argument if isinstance(argument, Number) else shown(str(argument)) for argument in record.args
            )
        return "\n".join(map(shown, super().format(plain).split("\n")))


def log_to_stderr(level: int) -> None:
    """Send messages to stderr, if nobody else has taken them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Messages())
    logging.basicConfig(level=level, handlers=[handler])


def open_streams() -> None:
    """Make stdout, stderr and stdin fit to be used, whatever the process was started with.

    A stream that was closed (`>&-`) leads nowhere, so that no file opened later gets its number; a message says so of
    stdout. Stdout takes every text, whatever its encoding.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for number in closed:
        nowhere = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        os.set_inheritable(nowhere, True)
        name = ("stdin", "stdout", "stderr")[number]
        setattr(sys, name, os.fdopen(nowhere, "w" if number else "r", encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("names", written)
        sys.stdout.reconfigure(errors="names")
    if 1 in closed:
        print(
            "stdout is closed: results go nowhere; write > FILE to keep them, or > /dev/null to go without",
            file=sys.stderr,
        )


def written(error: UnicodeError) -> tuple[bytes, int]:
    """An error handler of stdout: file names that are no UTF-8 come out as they are, what it cannot hold as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = [
        letter.encode("ascii", "surrogateescape" if "\udc80" <= letter <= "\udcff" else "backslashreplace")
        for letter in error.object[error.start : error.end]
    ]
    return b"".join(parts), error.end


def _without(text: str, categories: set[str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) if unicodedata.category(letter) in categories else letter for letter in text)


def _escaped(letter: str) -> str:
    is_byte = "\udc80" <= letter <= "\udcff"  # of a name that is no UTF-8
    return f"\\x{ord(letter) - 0xDC00:02x}" if is_byte else ascii(letter)[1:-1]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _reader_is_gone() -> bool:
    """Of the pipe that stdout is, if it is one; nothing may be left to be written."""
    try:
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # no such call, or stdout is no file
        return False
    return any(event & select.POLLERR for _, event in pipe.poll(0))


def _abandon_stdout() -> None:
    """Lead stdout nowhere, with what it still holds."""
    nowhere: Any = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
        sys.stdout.flush()
    finally:
        os.close(nowhere)
