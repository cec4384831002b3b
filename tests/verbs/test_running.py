"""How a verb runs: what becomes of help that nobody can be told."""

import subprocess
import sys
from pathlib import Path

import pytest

from dqh.verbs.running import VERBS

PROGRAM = """
import os, sys
from dqh.cli import main
full = os.open("/dev/full", os.O_WRONLY)
for words in {all_words!r}:
    os.dup2(full, 1)
    try:
        main(words)
    except SystemExit as end:
        print(end.code, file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_help_on_a_full_disk_is_an_error() -> None:
    """Of every verb, in one process."""
    words = [["--help"], ["--version"], *([each.__name__, "--help"] for each in VERBS)]
    program = PROGRAM.replace("{all_words!r}", repr(words))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    message = "stdout: No space left on device; make room there, or name a place elsewhere, and give the command again"
    assert ended.stderr.splitlines() == [message, "1"] * len(words)


def test_help_goes_to_stdout() -> None:
    ended = subprocess.run([sys.executable, "-m", "dqh.cli", "--help"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: dqh [-h] [--version] VERB ...\n")
    assert ended.stdout.endswith("130 / 143 interrupted.\n")
