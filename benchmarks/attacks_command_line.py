"""Attacks on the command line: names that steer shells and terminals, stdout that is no file, signals at any moment.

    python benchmarks/attacks_command_line.py

Every attack is a process of its own. One is survived where it ends with the exit status that `dqh` documents, without a
traceback, where nothing that it prints steers a terminal, and where the index it worked on can be read afterwards.
Signals come at random moments of the first seconds, most of them while modules are loaded; one that comes before the
program's first line is the interpreter's. Writes benchmarks/results/attacks_command_line.json and .md.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from growing import Noise, png
from photos import make_artifact
from quality import RESULTS, where

from dqh.collection import index_images
from dqh.commands import command
from dqh.environment import environment
from dqh.index.store import check
from dqh.models import SmallResNet

NAMES = (
    "my photos (1), é=x",
    'it\'s "quoted" $(touch pwned) `touch pwned`',
    "two\nlines\tand\ra tab",
    "\x1b[2J\x1b]0;title\x07\u202eabc",
    "-rf --out",
    "caf\udce9 日本 ${bits} \\",
)
VERBS = ("index", "check", "search", "info", "remove")
STREAMS = ("closed", "head -1", "ascii", "full")
SIGNALS = 36
SECONDS = 120
PROGRAM = (sys.executable, "-m", "dqh.cli")


class End(NamedTuple):
    """How a process ended."""

    status: int
    out: str
    err: str


def run(words: Sequence[str | Path], *, to: str = "", after: float | None = None, number: int = 0) -> End:
    """One process, through bash as somebody would give it.

    Args:
        words: of the command behind the program.
        to: what is done with stdout, one of `STREAMS`, or "" for a pipe that is read whole.
        after: seconds after which a signal is sent.
        number: of the signal.
    """
    line = f"exec {command(*PROGRAM, *words)}"
    shell = {
        "closed": f"{line} >&-",
        "head -1": f"({line}) | head -1; exit ${{PIPESTATUS[0]}}",
        "full": f"{line} > /dev/full",
    }.get(to, line)
    more = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"} if to == "ascii" else {}
    pipe = subprocess.PIPE
    process = subprocess.Popen(["bash", "-c", os.fsencode(shell)], stdout=pipe, stderr=pipe, env=os.environ | more)
    if after is not None:
        try:
            out, err = process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return End(-signal.SIGKILL, "", f"no end within {SECONDS} s")
    return End(process.returncode, os.fsdecode(out), os.fsdecode(err))


def problem(end: End, *, statuses: Sequence[int]) -> str:
    """What should not be; nothing where the attack was survived."""
    if re.search(r'File ".*(dqh/|site-packages/)', end.err) or (end.status not in statuses and "Traceback" in end.err):
        return f"a traceback: {end.err[-200:]!r}"
    if end.status not in statuses:
        return f"exit status {end.status}: {end.err[-200:]!r}"
    steering = {letter for letter in end.out + end.err if unicodedata.category(letter) == "Cc" and letter != "\n"}
    return f"letters {steering} in what is printed" if steering else ""


class Attacks:
    """Attacks, and what became of them.

    Attributes:
        counts: `<kind>, tried` and `<kind>, survived`.
        ends: by exit status.
        problems: of those that were not survived.

    Args:
        folder: where all of it goes.
    """

    def __init__(self, folder: Path) -> None:
        self.counts, self.ends = Counter[str](), Counter[str]()
        self.problems: list[str] = []
        self._folder = folder
        self._artifact = folder / "artifact"
        make_artifact(self._artifact, SmallResNet(width=8, size=16), Noise())

    def _photos(self, name: str) -> Path:
        """A folder of that name, with an image of that name in a class of that name."""
        root = self._folder / name
        (root / name).mkdir(parents=True)
        for number in range(1, 5):
            (root / name / f"{number}{name}.png").write_bytes(png(number, 0))
        return root

    def _note(self, what: str, name: str, end: End, found: str) -> None:
        self.counts[f"{what}, tried"] += 1
        self.counts[f"{what}, survived"] += not found
        self.ends[str(end.status)] += 1
        if found:
            self.problems.append(f"{what}, {name!r}: {found}")

    def names(self, name: str) -> None:
        """Every verb on an index, photos, a class and images that are all called so."""
        root = self._photos(name)
        index, image = root / f"index{name}", root / name / f"1{name}.png"
        words: dict[str, tuple[str | Path, ...]] = {
            "index": ("index", self._artifact, root / name, "--out", index, "--device", "cpu"),
            "check": ("check", index),
            "search": ("search", index, image, "--device", "cpu", "-k", "2", "--plot", root / "plot.png"),
            "info": ("info", index),
            "remove": ("remove", index, image),
        }
        for verb in VERBS:
            end = run(words[verb])
            found = problem(end, statuses=(0,))
            if Path("pwned").exists():
                found = "a name was run"
            self._note("a name", f"{name}, {verb}", end, found)

    def stdout(self, to: str) -> None:
        """Results that nobody can get."""
        root = self._photos(f"é {to}")
        index = root / "index"
        index_images(self._artifact, [root], index, device="cpu")
        image = next(root.rglob("2*.png"))
        for words in (("check", index), ("info", index), ("search", index, image, "--device", "cpu"), ("--help",)):
            end = run(words, to=to)
            self._note(f"stdout: {to}", str(words[0]), end, problem(end, statuses=(1, 2, 3) if to == "full" else (0,)))

    def signal(self, attempt: int) -> None:
        """Ctrl-C or SIGTERM while `dqh index` begins; afterwards it is run to its end."""
        moment = random.Random(attempt)
        number = moment.choice((signal.SIGINT, signal.SIGTERM))
        root = self._photos(f"signal {attempt}")
        index, after = root / "index", moment.uniform(0.1, 4)
        words = ("index", self._artifact, root, "--out", index, "--device", "cpu")
        end = run(words, after=after, number=number)
        early = -number if "dqh/" not in end.err else 0  # before the program's first line
        found = problem(end, statuses=(0, 128 + number, early, *((1,) if early else ()) * ("Traceback" in end.err)))
        if not found and index.exists() and any(index.glob("v*.json")):
            found = "; ".join(each.what for each in check(index, engines=()).problems)
        self._note(signal.Signals(number).name, f"after {after:.2f} s", end, found)


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    counts = results["counts"]
    kinds = sorted(key.removesuffix(", tried") for key in counts if key.endswith(", tried"))
    return "\n".join(
        [
            f"# Attacks on the command line\n\n{where(results['environment'])}.\n\n    {results['command']}\n",
            "| kind | tried | survived |\n|---|---|---|",
            *(f"| {kind} | {counts[f'{kind}, tried']} | {counts[f'{kind}, survived']} |" for kind in kinds),
            f"\nNames are those of folder, class, image and index, with each of {', '.join(VERBS)}. Exit statuses: "
            + ", ".join(f"{status} {count} times" for status, count in sorted(results["ends"].items()))
            + ".",
            *(f"- {line.encode('ascii', 'backslashreplace').decode()}" for line in results["problems"]),
            "",
        ]
    )


def main() -> int:
    """Run all, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=SIGNALS, help="how many are sent")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(3) as threads:
        attacks = Attacks(Path(folder))
        for to in STREAMS:
            attacks.stdout(to)
        list(threads.map(attacks.names, NAMES))
        list(threads.map(attacks.signal, range(given.signals)))
    command_line = f"python benchmarks/attacks_command_line.py --signals {given.signals}"
    results = {
        "command": command_line,
        "environment": environment(command=command_line, seed=0),
        "counts": dict(attacks.counts),
        "ends": dict(attacks.ends),
        "problems": attacks.problems,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "attacks_command_line.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "attacks_command_line.md").write_text(page(results))
    print(page(results))
    return int(bool(attacks.problems))


if __name__ == "__main__":
    raise SystemExit(main())
