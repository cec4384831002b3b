"""How a verb runs: help that nobody can be told, what is loaded, one file a verb."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dqh import verbs
from dqh.native.extension import extension
from dqh.verbs.running import VERBS

BUILT = extension() is not None
"""Whether codes are searched by our own kernels, which want no faiss."""

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
print([name for name in ("torch", "pyarrow", "matplotlib") if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_help_on_a_full_disk_is_an_error_and_loads_little() -> None:
    """Of every verb, in one process."""
    words = [["--help"], ["--version"], *([verb.__name__.rpartition(".")[2], "--help"] for verb in VERBS)]
    program = PROGRAM.replace("{all_words!r}", repr(words))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    message = "stdout: No space left on device; make room there, or name a place elsewhere, and give the command again"
    assert ended.stderr.splitlines() == [*[message, "1"] * len(words), "[]"]


def test_help_goes_to_stdout() -> None:
    ended = subprocess.run([sys.executable, "-m", "dqh.cli", "--help"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: dqh [-h] [--version] VERB ...\n")
    assert ended.stdout.endswith("130 / 143 interrupted.\n")


@pytest.mark.parametrize(
    ("verb", "absent"),
    [
        (["info"], ["torch", "faiss", "fsspec"]),
        (["check"], ["torch", "fsspec"]),
        (["remove", "--where", "path = 'nobody'"], ["torch", "faiss"]),
        (["compact"], ["torch", "faiss"]),
        pytest.param(
            ["search"],
            ["torch._dynamo", "torchvision", "matplotlib", "dqh.evaluation", "scipy", "fsspec", *["faiss"] * BUILT],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_a_verb_loads(
    verb: list[str], absent: list[str], index: Path, artifact: Path, folder: Callable[[int], Path]
) -> None:
    """In a process of its own; with torch `info` took twenty times as long."""
    arguments = [verb[0], str(index), *verb[1:]]
    arguments += [str(folder(1) / "a" / "0.png"), "--artifact", str(artifact)] if verb == ["search"] else []
    program = f"import sys; from dqh.cli import main; status = main({arguments}); print('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint(absent)
    assert "dqh.cli" in loaded


def test_each_file_is_a_verb_of_its_name(dqh: Callable) -> None:
    files = {path.stem for path in Path(verbs.__file__).parent.glob("*.py")} - {
        "__init__",
        "engines",
        "running",
        "verb",
    }
    assert {verb.__name__ for verb in VERBS} == {f"dqh.verbs.{name}" for name in files}
    for name in files:
        assert dqh(name, "--help")[1].startswith(f"usage: dqh {name} ")
