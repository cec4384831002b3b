"""Attacks on the folder of an index: what others keep there, links, pipes and devices, numbers at their limits.

    python benchmarks/attacks_index.py

Every attack is made on an index of its own, or on a folder that is none yet, and every verb is run on it: a writer that
makes or goes on with it, `remove`, `compact`, a search, `check`. An attack is survived where each of them ends
within ten seconds with what it says it does, or with an error of this package, and where no byte of what is not the
index's has changed, inside the folder or behind a link. Writes benchmarks/results/attacks_index.json and .md.
"""

import argparse
import itertools
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from collection import HEADER, Plan, go_on, payload, queries, row_of
from quality import RESULTS, where

from dqh.environment import environment
from dqh.errors import DqhError
from dqh.index.store import Header, Writer, check, compact, open_index, remove
from dqh.index.store.manifest import SKIPPED
from dqh.sealed import seal, unseal

SECONDS = 10
NAMES = (
    "thesis.txt",
    "cache/thesis.txt",
    "cache/hnsw-v1-0123456789abcdef.faiss",
    "deleted/thesis.txt",
    "deleted/1.bitmap",
    "deleted/3.bitmap",
    "segments/thesis.txt",
    "segments/000000001-000009/codes.npy",
    "segments/000000003-000000/codes.npy",
    ".v3.json.new",
    ".intent-1.json",
    ".skipped.csv.mine",
    ".skipped.csv.new",
    "v1.json",
    "v1.json.bak",
    "quantizer.safetensors.bak",
)
FIRST = ("quantizer.safetensors", "LOCK", "encoder.json", "skipped.csv", "segments/000000001-000000/rows.parquet")
KINDS = ("link", "broken link", "pipe", "socket", "device", "folder")
FIELDS: dict[str, tuple[Any, ...]] = {
    "version": (999_999_999, 10**9, 0, 4.0),
    "next_id": (2**62 - 1, 2**62, 0, -1, 1e9),
    "bits": (64.0, 0, 2**20 + 1, True, 48),
    "feature_size": (64.0, 65, 2**62),
    "code_kind": ("pq", "class_index", "sha", 1),
    "code_distance": ("l2", "", None),
    "encoder_id": ("", 1, None),
    "root": (None, "a\0b"),
    "segments": ({}, [], [[]], "x"),
    "deleted_rows": (2**41, -1, 0.0),
    "deleted": ([], {"sha256": "0" * 64, "size": 1}),
    "format_version": (True, 2, "1"),
}


def state(path: Path) -> dict[str, bytes | str]:
    """All that lies below a folder: files with their content, what else there is by its kind."""
    return {
        str(each.relative_to(path)): each.read_bytes()
        if each.is_file() and not each.is_symlink()
        else oct(each.lstat().st_mode)
        for each in path.rglob("*")
    }


def grow(path: Path) -> None:
    """Add ten rows that are new."""
    with Writer(path, HEADER) as writer:
        start = writer.manifest.next_id if writer.manifest else 0
        numbers = np.arange(10) + start % 2**40
        embedding, features = payload(numbers, np.zeros(10, np.int64))
        writer.add([row_of(int(number), 99) for number in numbers], HEADER.quantizer.encode(embedding), features)
        writer.commit(beside={"skipped.csv": b"path,reason\n"})


VERBS: dict[str, Callable[[Path], Any]] = {
    "check": lambda path: check(path, engines=()),
    "search": lambda path: open_index(path, engine="binary_hnsw").search(queries(np.arange(2), 0), k=3, pool=10),
    "remove": lambda path: remove(path, where="id = 3"),
    "index": grow,
    "compact": compact,
}


def attempt(verb: Callable[[Path], Any], path: Path) -> str:
    """How a verb ends, within some seconds: `done`, `refused`, or what it should not do."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        verb(path)
    except (DqhError, ValueError):
        return "refused"
    except BaseException as error:  # what no verb may do
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return "done"


def put(kind: str, place: Path, elsewhere: Path) -> None:
    """Something that is no regular file, in a place; a link leads to what was there, moved elsewhere."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        place.rename(elsewhere / "moved")
    if kind == "link":
        (elsewhere / "moved").touch() if not (elsewhere / "moved").exists() else None
        place.symlink_to(elsewhere / "moved")
    elif kind == "broken link":
        place.symlink_to(elsewhere / "nowhere")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            here = Path.cwd()
            os.chdir(place.parent)  # the name of a socket must be short
            bound.bind(place.name)
            os.chdir(here)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("mine")


class Attacks:
    """Attacks on copies of one index, and what became of them.

    Attributes:
        tried: by what they are.
        problems: of those that were not survived.

    Args:
        folder: where copies go.
        base: the index.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        self.tried = Counter[str]()
        self.ends = Counter[str]()
        self.problems: list[str] = []
        self._folder, self._base = folder, base

    def on(self, what: str, name: str, act: Callable[[Path, Path], None], *, whole: bool = True) -> None:
        """Attack one index a verb.

        Args:
            what: kind of the attack.
            name: of the place.
            act: does it, to the folder of the index and one elsewhere.
            whole: whether the folder is an index before; else it is empty.
        """
        for verb, run in VERBS.items():
            if not whole and verb != "index":
                continue
            path, elsewhere = self._folder / "index", self._folder / "elsewhere"
            elsewhere.mkdir()
            shutil.copytree(self._base, path) if whole else path.mkdir()
            own = set(state(path))
            act(path, elsewhere)
            own.add(SKIPPED)  # which a run replaces by a rename, whatever is there; nothing behind it changes
            alien = {name: value for name, value in state(path).items() if name not in own}
            if not whole:
                alien = state(path)
            outside = state(elsewhere)
            end = attempt(run, path)
            self.tried[what] += 1
            self.ends[end if end in ("done", "refused") else "neither"] += 1
            after = state(path)
            lost = [name for name, value in alien.items() if after.get(name) != value]
            if end not in ("done", "refused") or lost or state(elsewhere) != outside:
                self.problems.append(f"{what}, {name}, {verb}: {end}; changed: {lost or 'elsewhere'}")
            elif end == "done" and verb != "search":
                self._look(path, f"{what}, {name}, {verb}")
            shutil.rmtree(path)
            shutil.rmtree(elsewhere)

    def _look(self, path: Path, what: str) -> None:
        """What was done must be readable."""
        if attempt(lambda path: open_index(path), path) != "done" and not check(path, engines=()).problems:
            self.problems.append(f"{what}: not readable afterwards, and check finds nothing")


def manifest_of(path: Path) -> Path:
    """The newest."""
    return max(path.glob("v*.json"), key=lambda file: int(file.stem[1:]))


def rewritten(path: Path, field: str, value: Any) -> None:
    """The manifest with another value under its own hash."""
    file = manifest_of(path)
    fields = unseal(file.read_bytes()) | {field: value}
    file.unlink()
    number = value if field == "version" and isinstance(value, int) and value > 0 else int(file.stem[1:])
    (path / f"v{number}.json").write_bytes(seal(fields))


def run(folder: Path) -> Attacks:
    """All of them."""
    base = folder / "base"
    go_on(base, Plan(40, 8), 2)
    open_index(base, engine="binary_hnsw").search(queries(np.arange(1), 0), k=1, pool=5)
    attacks = Attacks(folder, base)

    def write(place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("mine")

    for name in NAMES:
        if not (base / name).exists():
            attacks.on("a file of others in an index", name, lambda path, _, name=name: write(path / name))
    for name in (*NAMES, *FIRST):
        attacks.on("a file of others in no index", name, lambda path, _, name=name: write(path / name), whole=False)
    own = sorted(str(each.relative_to(base)) for each in base.rglob("*"))
    for name, kind in itertools.product([*own, "skipped.csv", "encoder.json"], KINDS):
        attacks.on(f"a {kind} in its place", name, lambda path, there, n=name, k=kind: put(k, path / n, there))
    for name, kind in itertools.product((*NAMES, *FIRST), KINDS):
        attacks.on(
            f"a {kind} in no index", name, lambda path, there, n=name, k=kind: put(k, path / n, there), whole=False
        )
    for field, values in FIELDS.items():
        for value in values:
            name = f"{field} = {value!r}"
            attacks.on("another manifest", name, lambda path, _, f=field, v=value: rewritten(path, f, v))
    for fields in ({"creates": ["thesis.txt"]}, {"creates": ["../elsewhere/a"]}, {"creates": ["segments/"]}, {}):
        content = seal({"format_version": 1, **fields})
        for note in (".intent-1.json", ".intent-77.json"):

            def forge(path: Path, there: Path, note: str = note, content: bytes = content) -> None:
                (path / note).write_bytes(content)
                (path / "thesis.txt").write_text("mine")
                (there / "a").write_text("mine")

            attacks.on("a forged note", f"{note} {fields}", forge)
    return attacks


def headers(folder: Path) -> list[str]:
    """Headers that no index may have, and are taken all the same."""
    wrong: list[Header] = [
        HEADER._replace(encoder_id=""),
        HEADER._replace(feature_size=0),
        HEADER._replace(feature_size=2**21),
        HEADER._replace(root="\0"),
        HEADER._replace(precision=""),
    ]
    return [
        f"header {header[2:]}"
        for number, header in enumerate(wrong)
        if attempt(lambda path, header=header: Writer(path, header).close(), folder / f"header{number}") != "refused"
    ]


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    tried = results["tried"]
    return "\n".join(
        [
            "# Attacks on the folder of an index\n",
            f"{where(results['environment'])}.\n",
            f"    {results['environment']['command']}\n",
            f"{sum(tried.values()):,} attacks, each with one verb ({', '.join(VERBS)}) behind it: "
            f"{results['ends'].get('done', 0):,} times it did its work, {results['ends'].get('refused', 0):,} times it "
            "refused with a message.\n",
            "| attack | tried |",
            "|---|---|",
            *(f"| {name} | {count} |" for name, count in tried.items()),
            "",
            "Tracebacks, hangs beyond ten seconds, files of others changed or lost, files behind links changed, or an "
            f"index that cannot be read afterwards: **{len(results['problems'])}**.\n",
            *(f"- {each}" for each in results["problems"]),
        ]
    )


def main() -> int:
    """Run all, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the indexes go; a temporary folder by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    logging.getLogger("dqh").setLevel(logging.ERROR)  # whatever is alien is told
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        attacks = run(Path(name))
        problems = [*attacks.problems, *headers(Path(name))]
    results = {
        "environment": environment(command="python benchmarks/attacks_index.py", seed=0),
        "tried": dict(attacks.tried),
        "ends": dict(attacks.ends),
        "problems": problems,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "attacks_index.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "attacks_index.md").write_text(page(results))
    print(page(results))
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
