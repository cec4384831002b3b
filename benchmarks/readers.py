"""Readers that search an index, with re-ranking, while a writer appends, replaces, deletes and compacts.

    python benchmarks/readers.py

Every row of the index follows from its id and the version that wrote it, so that each reader computes what the version
that it has open must answer, and compares. It opens the newest version again and again, and repeats a search on the one
that it had open before. Writes benchmarks/results/index_readers.json and .md.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow
import torch
from collection import COMPACTION, HEADER, KINDS, Plan, go_on, queries
from neighbours import busy_cores, in_words
from quality import RESULTS, where

from dqh.encoded import Encoded
from dqh.environment import environment
from dqh.index.store import Found, Writer, check, info, open_index

ROWS, CHANGES, SEGMENT = 2000, 40, 512
K, POOL, SEARCHES = 10, 100, 5
REOPENED = 25
"""Versions that one writer makes before the next one takes over."""


def given(found: Found) -> list[list[tuple[Any, ...]]]:
    """An answer as a plan has it."""
    return [[(hit.id, hit.path, hit.labels, hit.code_distance) for hit in hits] for hits in found.hits]


class Reader:
    """What one process does, and what it found.

    Attributes:
        opening: seconds of each opening, coarse engine included.
        searching: seconds of each search of one query.
        versions: that it has seen.
        errors: whatever was raised.
        mixtures: answers that no version gives, or versions that go back.
    """

    def __init__(self, number: int, path: Path) -> None:
        self.opening: list[float] = []
        self.searching: list[float] = []
        self.versions: set[int] = set()
        self.errors: list[str] = []
        self.mixtures: list[str] = []
        self._number = number
        self._path = path
        self._plan = Plan(ROWS, CHANGES)
        self._asked = 0
        self._held: tuple[Any, Encoded, list[list[tuple[Any, ...]]]] | None = None

    def run(self, until: float) -> None:
        """Read until then."""
        while time.monotonic() < until:
            try:
                self._read()
            except Exception as error:  # each is counted, none is expected
                self.errors.append(repr(error))

    def _read(self) -> None:
        began = time.perf_counter()
        snapshot = open_index(self._path)
        asked = self._query()
        snapshot.search(asked, k=K, pool=POOL)  # builds the coarse engine
        self.opening.append(time.perf_counter() - began)
        version = snapshot.version.manifest.version
        if version < self._plan.version:
            self.mixtures.append(f"version {version} after version {self._plan.version}")
            return
        self.versions.add(version)
        self._plan.to(version)
        for number in range(SEARCHES):
            kind = None if number else int(self._asked % KINDS)
            wanted = None if kind is None else f"label = 'class {kind}'"
            asked = self._query()
            began = time.perf_counter()
            found = snapshot.search(asked, k=K, pool=POOL, where=wanted)
            self.searching.append(time.perf_counter() - began)
            if given(found) != self._plan.answers(asked, k=K, pool=POOL, kind=kind):
                self.mixtures.append(f"version {version}, where {wanted}")
        if self._held is not None:
            before, again, answers = self._held
            if given(before.search(again, k=K, pool=POOL)) != answers:
                self.mixtures.append(f"version {before.version.manifest.version}, held open until version {version}")
        self._held = (snapshot, asked, self._plan.answers(asked, k=K, pool=POOL))

    def _query(self) -> Encoded:
        self._asked += 1
        return queries(np.array([self._number]), self._asked)


def start(number: int, path: Path, until: float) -> int:
    """A process that reads; it leaves what it found in a file."""
    process = os.fork()
    if process == 0:
        os.nice(4)  # 20 processes that never wait would leave the writer nothing
        reader = Reader(number, path)
        reader.run(until)
        kept = {name: value for name, value in vars(reader).items() if not name.startswith("_")}
        (path.parent / f"reader{number}.json").write_text(json.dumps(kept | {"versions": sorted(reader.versions)}))
        os._exit(0)
    return process


def write(path: Path, until: float) -> Plan:
    """Make versions until then."""
    plan = Plan(ROWS, CHANGES).to(1)
    while time.monotonic() < until:
        with Writer(path, HEADER, segment_rows=SEGMENT) as writer:
            for _ in range(REOPENED):
                plan.make(writer)
                if time.monotonic() >= until:
                    break
    return plan


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and longest."""
    median, high, longest = np.percentile(seconds, (50, 99, 100)) * 1000
    return {"p50_ms": round(median, 2), "p99_ms": round(high, 2), "max_ms": round(longest, 2)}


def measure(folder: Path, *, readers: int, seconds: float) -> dict[str, Any]:
    """Run them all at once."""
    path = folder / "index"
    go_on(path, Plan(ROWS, CHANGES), 1, segment_rows=SEGMENT)
    busy = busy_cores()
    until = time.monotonic() + seconds
    processes = [start(number, path, until) for number in range(readers)]
    plan = write(path, until)
    lost = [process for process in processes if os.waitpid(process, 0)[1]]
    found = [json.loads((folder / f"reader{number}.json").read_text()) for number in range(readers)]
    report, last = check(path), info(path)
    if given(open_index(path).search(queries(np.arange(20), 0), k=K, pool=POOL)) != plan.answers(
        queries(np.arange(20), 0), k=K, pool=POOL
    ):
        found[0]["mixtures"].append("at the end")
    return {
        "readers": readers,
        "seconds": seconds,
        "busy_cores_before": busy,
        "versions_written": last.version - 1,
        "compactions": last.version // COMPACTION,
        "rows_at_the_end": last.rows,
        "versions_read": len(set().union(*(each["versions"] for each in found))),
        "openings": sum(len(each["opening"]) for each in found),
        "searches": sum(len(each["searching"]) for each in found),
        "errors": [error for each in found for error in each["errors"]] + [f"process {number}" for number in lost],
        "mixtures": [mixture for each in found for mixture in each["mixtures"]],
        "problems_at_the_end": [problem.what for problem in report.problems],
        "opening": milliseconds([value for each in found for value in each["opening"]]),
        "search": milliseconds([value for each in found for value in each["searching"]]),
    }


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    found = results["readers"]
    opening, search = found["opening"], found["search"]
    return "\n".join(
        [
            "# Readers of an index that is being written\n",
            f"{where(results['environment'])}, pyarrow {pyarrow.__version__}.\n",
            f"    {results['environment']['command']}\n",
            f"{found['readers']} reader processes that never pause and one writer of a little higher priority for "
            f"{found['seconds']:g} s; {in_words(found['busy_cores_before'])}. So many readers share the cores that "
            f"times are those of a crowd: they tell that nobody waits for the writer. {ROWS:,} rows at first, "
            f"{found['rows_at_the_end']:,} at the end; a version adds {CHANGES} rows, replaces {CHANGES // 2} and "
            f"deletes {CHANGES // 2}, every {COMPACTION}th is a compaction. Searches: k = {K}, pool {POOL}, one in "
            f"{SEARCHES} with a filter.\n",
            "| what | value |",
            "|---|---|",
            f"| versions written, compactions among them | {found['versions_written']:,}, {found['compactions']:,} |",
            f"| versions read | {found['versions_read']:,} |",
            f"| openings, searches | {found['openings']:,}, {found['searches']:,} |",
            f"| errors | **{len(found['errors'])}** |",
            f"| answers that are not those of the version | **{len(found['mixtures'])}** |",
            f"| problems that `check` finds at the end | **{len(found['problems_at_the_end'])}** |",
            f"| opening with every check, ms: median, p99 | {opening['p50_ms']}, {opening['p99_ms']} |",
            f"| a search, ms: median, p99 | {search['p50_ms']}, {search['p99_ms']} |",
            "",
        ]
    )


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--folder", type=Path, help="where the index goes; a temporary folder by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a forked process has none of the threads of its parent
    faiss.omp_set_num_threads(1)
    command = f"python benchmarks/readers.py --readers {arguments.readers} --seconds {arguments.seconds:g}"
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = {
            "environment": environment(command=command, seed=0),
            "readers": measure(Path(folder), readers=arguments.readers, seconds=arguments.seconds),
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "index_readers.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.out / "index_readers.md").write_text(page(results))
    print(page(results))


if __name__ == "__main__":
    main()
