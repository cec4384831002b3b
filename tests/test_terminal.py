"""Names in print, streams that are closed, full or of another encoding, pipes whose reader has gone."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dqh.terminal import Messages, cut, piped, shown, width


@pytest.mark.parametrize(
    ("text", "on_terminal", "in_pipe"),
    [
        ("plain name.jpg", "plain name.jpg", "plain name.jpg"),
        ("Straße 日本.jpg", "Straße 日本.jpg", "Straße 日本.jpg"),
        ("a\nb\r\x85\u2028c", r"a\nb\r\x85\u2028c", r"a\nb\r\x85\u2028c"),
        ("\x1b[2J\x07\x9b", r"\x1b[2J\x07\x9b", r"\x1b[2J\x07\x9b"),
        ("caf\udce9", r"caf\xe9", "caf\udce9"),
        ("gpj\u202eexe", r"gpj\u202eexe", "gpj\u202eexe"),
        ("a\\nb", "a\\nb", "a\\nb"),
    ],
)
def test_no_name_breaks_a_line_or_steers_a_terminal(text: str, on_terminal: str, in_pipe: str) -> None:
    assert (shown(text), piped(text)) == (on_terminal, in_pipe)
    assert shown(shown(text)) == shown(text)


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("hat", 3, "hat"),
        ("hats", 3, "ha…"),
        ("日本語", 4, "日…"),
        ("日本", 4, "日本"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
    ],
)
def test_cut(text: str, columns: int, expected: str) -> None:
    assert cut(text, columns) == expected
    assert width(expected) <= columns


@pytest.mark.parametrize(
    ("message", "arguments", "expected"),
    [
        ("%s is gone", ("a\nb\x1b[2J",), r"a\nb\x1b[2J is gone"),
        ("%s, %d, %.1f", (Path("a\nb"), 3, 0.25), r"a\nb, 3, 0.2"),
        ("two\nlines", (), "two\nlines"),
        ("%s: %s", ("x", ValueError("y\nz")), r"x: y\nz"),
        ("100 %", (), "100 %"),
        ("%(name)s", ({"name": "a\tb"},), r"a\tb"),
    ],
)
def test_messages(message: str, arguments: tuple[object, ...], expected: str) -> None:
    record = logging.LogRecord("dqh", logging.INFO, "", 0, message, arguments, None)
    assert Messages().format(record) == expected
    assert record.args == (arguments[0] if arguments and isinstance(arguments[0], dict) else arguments)


def ran(program: str, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A program that says something, as a shell starts it."""
    text = f"from dqh.terminal import flush_stdout, open_streams, say\nopen_streams()\n{program}"
    line = f'"$0" -c "$1" {redirection}'
    return subprocess.run(
        ["bash", "-c", line, sys.executable, text], capture_output=True, env=os.environ | environment, check=False
    )


@pytest.mark.parametrize(
    ("encoding", "wanted"),
    [
        ("utf-8", "a→b ".encode() + b"\xe9 \\ud800"),
        ("latin-1", b"a\\u2192b \xe9 \\ud800"),
        ("ascii", b"a\\u2192b \xe9 \\ud800"),
    ],
)
def test_stdout_of_any_encoding_takes_every_name(encoding: str, wanted: bytes) -> None:
    """An arrow, the byte E9 as Python keeps it in a file name, and half a pair of UTF-16, which is no byte."""
    answer = ran("say('a\\u2192b \\udce9 \\ud800')", PYTHONIOENCODING=encoding)
    assert (answer.returncode, answer.stdout.rstrip()) == (0, wanted)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_nobodys_file(closed: str, tmp_path: Path) -> None:
    """Else the first file that is opened gets its number, and what is printed goes into it."""
    file = tmp_path / "file"
    program = f"""
import os
with open({str(file)!r}, 'w') as opened:
    say('a result'); os.write(1, b'of a library in C')
    print(opened.fileno() > 2, file=opened)
"""
    answer = ran(program, closed)
    assert answer.returncode == 0
    assert file.read_text() == "True\n"
    assert answer.stdout == (b"" if ">&-" in closed.split() else b"a result\nof a library in C")
    told = b"stdout is closed: results go nowhere; write > FILE to keep them, or > /dev/null to go without\n"
    assert answer.stderr == (told if closed == ">&-" else b"")


def test_a_reader_that_has_gone_ends_nothing() -> None:
    program = "import sys\nfor number in range(100_000): say(str(number))\nprint('done', file=sys.stderr)"
    answer = ran(program, "| head -1; exit ${PIPESTATUS[0]}")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"0\n", b"done\n")


def test_what_others_have_printed_is_flushed_in_silence_too() -> None:
    program = "import sys\nprint('x' * 9)\nsys.stdin.read()\nprint(flush_stdout(), file=sys.stderr)"
    answer = ran(program, "< <(sleep 0.1) | true; exit ${PIPESTATUS[0]}", PYTHONUNBUFFERED="")
    assert (answer.returncode, answer.stderr) == (0, b"False\n")


def test_a_pipe_that_broke_is_that_of_stdout_if_its_reader_has_gone() -> None:
    """Whatever printed, as hydra does for --help, with a buffer or without."""
    program = """
from dqh.config import exit_status
import sys
with exit_status():
    while True: print('x')
"""
    for unbuffered in ("", "1"):
        answer = ran(program, "| head -1; exit ${PIPESTATUS[0]}", PYTHONUNBUFFERED=unbuffered)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"x\n", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_an_error_that_names_it() -> None:
    answer = ran("from dqh.config import exit_status\nwith exit_status(): say('a')", "> /dev/full")
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"stdout: No space left on device; make room there")
    assert answer.stderr.count(b"\n") == 1
