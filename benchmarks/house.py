"""How large the house is, and how far one goes through it: lines, import chains, files that a run passes.

    python benchmarks/house.py [--photos DIR]

Prints the lines and files of `dqh/`; the longest chain of rooms that import each other (a room is a folder of `dqh/`;
the modules of the ground floor, files beside the folders, are one; imports within functions count); and for a training
of one epoch on digits, and one `dqh search` by its artifact over up to 20 photos of DIR, how many files of `dqh/`
run a function of theirs, and how often the running file changes from one to another.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
GROUND = "the ground floor"

PASSED = """
import runpy, sys, threading
from pathlib import Path
root, files, last, changes = Path({root!r}) / "dqh", set(), None, 0
def passed(frame, event, argument):
    global last, changes
    if event == "call" and frame.f_code.co_name != "<module>":
        file = frame.f_code.co_filename
        if file.startswith(str(root)):
            files.add(file)
            changes += file != last
            last = file
sys.argv = {argv!r}
threading.setprofile(passed)
sys.setprofile(passed)
try:
    {run}
except SystemExit as end:
    if end.code: raise
finally:
    sys.setprofile(None)
    print(len(files), changes, file=sys.stderr)
"""


def main(arguments: list[str] | None = None) -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder of photos for the search; without it there is none")
    given = parser.parse_args(arguments)
    files = sorted((ROOT / "dqh").rglob("*.py"))
    lines = sum(len(file.read_text().splitlines()) for file in files)
    print(f"dqh/: {lines:,} lines in {len(files)} files")
    chain = longest_chain(room_imports())
    print(f"longest import chain: {len(chain)} rooms: {' > '.join(chain)}")
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        small = ["data=digits", "split.query=40", "split.validation=40", "trainer.epochs=1", "without_h=none"]
        train = f'runpy.run_path({str(ROOT / "train.py")!r}, run_name="__main__")'
        _tell("training of one epoch", ["train.py", *small, f"runs={runs}"], train)
        if given.photos is not None:
            some = Path(folder) / "photos"
            some.mkdir()
            for photo in sorted(given.photos.rglob("*.jpg"))[:20]:
                (some / photo.name).symlink_to(photo.resolve())
            artifact, index = runs / "latest" / "artifact", Path(folder) / "index"
            cli = "from dqh.cli import main; main(sys.argv[1:])"
            make = ["index", str(artifact), str(some), "--out", str(index)]
            subprocess.run(
                [sys.executable, "-c", f"import sys; {cli}", *make], check=True, capture_output=True, cwd=ROOT
            )
            _tell("dqh search of one photo", ["dqh", "search", str(index), str(next(some.iterdir()))], cli)


def _tell(what: str, argv: list[str], run: str) -> None:
    program = PASSED.format(root=str(ROOT), argv=argv, run=run)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    last = done.stderr.strip().splitlines()[-1].split()
    if done.returncode or len(last) != 2 or not all(map(str.isdigit, last)):
        sys.exit(f"{what} failed:\n{done.stderr}")
    print(f"{what}: passes {last[0]} files of dqh/, changes file {int(last[1]):,} times")


def room_imports() -> dict[str, set[str]]:
    """Room → rooms that its files import."""
    graph = grimp.build_graph("dqh")
    rooms = {name.name for name in (ROOT / "dqh").iterdir() if name.is_dir()}

    def room(module: str) -> str:
        first = module.split(".")[1] if "." in module else ""
        return first if first in rooms else GROUND

    imports: dict[str, set[str]] = {}
    for module in graph.modules:
        own = imports.setdefault(room(module), set())
        own |= {room(other) for other in graph.find_modules_directly_imported_by(module)} - {room(module)}
    imports[GROUND] = set()  # `cli.py` lies beside the folders and imports verbs; it is the door, not a floor
    return imports


def longest_chain(imports: dict[str, set[str]]) -> list[str]:
    """The longest way down, no room twice."""

    @cache
    def below(room: str) -> tuple[str, ...]:
        return max(((room, *below(other)) for other in imports.get(room, ())), key=len, default=(room,))

    return list(max(map(below, _names(imports)), key=len))


def _names(imports: dict[str, set[str]]) -> Iterable[str]:
    return sorted(imports)


if __name__ == "__main__":
    main()
