"""Kills of a writer, and damage to the files of an index.

    python benchmarks/faults.py

600 times a forked writer, which has its modules and the versions before in memory, kills itself (SIGKILL) at one of the
steps of its commits, each step in turn; 300 times it is killed from outside, at a random moment. The index must open as
the version before or the new one, and go on to the same rows, ids and answers as one that was never stopped. Then
1,000 bits are flipped and 1,000 files truncated, all files of an index in turn: each must be found by `check`, and no
read may give a wrong answer. Last, 100 kills and some signals hit `dqh index` over a collection that grows, see
`command_line.py`. Writes benchmarks/results/index_faults.json and .md.
"""

import argparse
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import command_line
import faiss
import numpy as np
import pyarrow
import torch
from collection import Plan, go_on, queries, row_of
from quality import RESULTS, where

from dqh.environment import environment
from dqh.errors import StoreError
from dqh.index.store import check, open_index
from dqh.index.store.faults import Step, watched
from dqh.index.store.place import at_newest
from dqh.index.store.version import Version

ROWS, CHANGES = 120, 20
BEFORE, LAST = 4, 7
"""The version that a writer begins with, and the last one that it makes."""

QUERIES = queries(np.arange(5), 0)
K, POOL = 5, 30

BAD = ("not_found_by_check", "wrong_answers", "crashes")
"""What no damage may lead to."""


def plan() -> Plan:
    """A new one."""
    return Plan(ROWS, CHANGES)


def differences(version: Version, wanted: Plan) -> list[str]:
    """Where rows, codes or features are not those of a plan."""
    if version.ids.tolist() != wanted.live.tolist():
        return ["other ids"]
    found = []
    for batch in version.batches(64):
        ids = np.array([row.id for row in batch.rows])
        for row in batch.rows:
            if tuple(row)[1:] != tuple(row_of(row.id, int(wanted.written[row.id]))):
                found.append(f"row {row.id}")
        for name, values, kept in (("codes", batch.codes, wanted.codes), ("features", batch.features, wanted.features)):
            if not np.array_equal(values, kept[ids]):
                found.append(f"{name} among rows {ids[0]} to {ids[-1]}")
    return found


def answers(path: Path, *, engine: str = "auto") -> list[list[tuple[Any, ...]]]:
    """What a search finds."""
    found = open_index(path, engine=engine).search(QUERIES, k=K, pool=POOL)
    return [[(hit.id, hit.path, hit.labels, hit.code_distance) for hit in hits] for hits in found.hits]


def wrong_answers(path: Path, wanted: Plan) -> bool:
    """Whether an exact search finds anything but what a plan says."""
    return answers(path) != wanted.answers(QUERIES, k=K, pool=POOL)


def steps_of(base: Path, folder: Path) -> list[Step]:
    """The steps of a writer that is not stopped."""
    shutil.copytree(base, folder / "dry")
    steps: list[Step] = []
    with watched(lambda step, path: steps.append(step)):
        go_on(folder / "dry", plan(), LAST)
    return steps


def killed(path: Path, *, at: int | None, after: float) -> None:
    """Run a writer in a process of its own that ends by SIGKILL at step `at`, or after so many seconds."""
    process = os.fork()
    if process == 0:
        count = 0

        def watch(step: Step, file: Path) -> None:
            nonlocal count
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

        with contextlib.suppress(BaseException), watched(watch):
            go_on(path, plan(), LAST)
        os._exit(0)
    if at is None:
        time.sleep(after)
        os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def kills(folder: Path, *, own: int, random_ones: int) -> dict[str, Any]:
    """Kill and look."""
    base = folder / "base"
    go_on(base, plan(), BEFORE)
    steps = steps_of(base, folder)
    shutil.copytree(base, folder / "straight")
    began = time.monotonic()
    go_on(folder / "straight", plan(), LAST)
    duration = time.monotonic() - began
    published = np.cumsum([step is Step.LINKED for step in steps])
    plans = {version: plan().to(version) for version in range(BEFORE, LAST + 1)}
    opened, problems = Counter[int](), []
    generator = random.Random(0)
    for number in range(own + random_ones):
        path = folder / "killed"
        shutil.copytree(base, path)
        at = number % len(steps) if number < own else None
        killed(path, at=at, after=generator.uniform(0, 1.2 * duration))
        version = at_newest(path, lambda manifest, path=path: Version(path, manifest))
        reached = version.manifest.version
        opened[reached] += 1
        found = differences(version, plans[reached])
        if at is not None and reached != BEFORE + published[at]:
            found.append(f"version {reached} at step {at}")
        if wrong_answers(path, plans[reached]):
            found.append("answers")
        go_on(path, plan(), LAST)
        found += differences(at_newest(path, lambda manifest, path=path: Version(path, manifest)), plans[LAST])
        report = check(path)
        if wrong_answers(path, plans[LAST]) or report.problems or report.leftovers:
            found.append("after going on")
        problems += [f"kill {number}: {each}" for each in found]
        shutil.rmtree(path)
    return {
        "steps": len(steps),
        "kinds_of_steps": dict(Counter(step.value for step in steps)),
        "kills_at_steps": own,
        "kills_at_random": random_ones,
        "opened_as": {f"version {version}": count for version, count in sorted(opened.items())},
        "problems": problems,
    }


def damage(folder: Path, *, kind: str, count: int) -> dict[str, Any]:
    """Damage a file, look, and mend it again."""
    path = folder / f"index_{kind}"
    go_on(path, plan(), BEFORE)
    wanted = plan().to(BEFORE)
    assert not wrong_answers(path, wanted)
    approximate = answers(path, engine="binary_hnsw")  # an engine that is kept beside the index
    files = sorted(each for each in path.rglob("*") if each.is_file() and each.stat().st_size)
    generator = random.Random(1)
    missed, wrong, crashed, refused, harmless = [], [], [], Counter[str](), 0
    for number in range(count):
        file = files[number % len(files)]
        whole = file.read_bytes()
        place, bit = generator.randrange(len(whole)), generator.randrange(8)
        if kind == "flip":
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        else:
            file.write_bytes(whole[:place])
        what = f"{file.relative_to(path)}, byte {place}, bit {bit}"
        try:
            if not check(path, engines=()).problems:
                missed.append(what)
            try:
                if wrong_answers(path, wanted) or answers(path, engine="binary_hnsw") != approximate:
                    wrong.append(what)
                if differences(at_newest(path, lambda manifest: Version(path, manifest)), wanted):
                    wrong.append(f"{what}: rows")
                harmless += 1
            except StoreError:
                refused[file.name if file.parent.name != "cache" else "cache"] += 1
        except Exception as error:  # what a reader may not do
            crashed.append(f"{what}: {error!r}")
        for each in (path / "cache").iterdir():  # a damaged one was built anew
            if each not in files:
                each.unlink()
        file.write_bytes(whole)
    return {
        "count": count,
        "files": len(files),
        "refused_by_reading": dict(sorted(refused.items())),
        "read_rightly": harmless,
        "not_found_by_check": missed,
        "wrong_answers": wrong,
        "crashes": crashed,
    }


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    killing = results["kills"]
    lines = [
        "# Faults of the index on disk\n",
        f"{where(results['environment'])}, pyarrow {pyarrow.__version__}.\n",
        f"    {results['environment']['command']}\n",
        "## Kills of a writer\n",
        f"A writer makes versions {BEFORE + 1} to {LAST} of an index (rows added, replaced, deleted, a compaction) in "
        f"{killing['steps']} steps. {killing['kills_at_steps']} kills at a step, each step in turn, and "
        f"{killing['kills_at_random']} at a random moment, by SIGKILL.\n",
        "| the index opened as | kills |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in killing["opened_as"].items()),
        "",
        f"Not the version before or the new one, other rows, ids or answers, also after going on: "
        f"**{len(killing['problems'])}**.\n",
        "## Damaged files\n",
        "| damage | count | files | not found by `check` | wrong answers | crashes | refused by reading | read right |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, kind in (("one bit flipped", "flip"), ("truncated", "truncation")):
        each = results[kind]
        lines.append(
            f"| {name} | {each['count']:,} | {each['files']} | **{len(each['not_found_by_check'])}** "
            f"| **{len(each['wrong_answers'])}** | **{len(each['crashes'])}** "
            f"| {sum(each['refused_by_reading'].values())} | {each['read_rightly']} |"
        )
    lines += [
        "\nReading is opening, two searches with re-ranking, and all rows. It is right in spite of damage where this "
        "is in features of rows that are deleted, or in the copy of a coarse engine, which is built anew.\n",
        *commands_page(results["commands"]),
    ]
    return "\n".join(lines)


def commands_page(found: dict[str, Any]) -> list[str]:
    """The part about `dqh index`."""
    ends = ", ".join(f"{count} {end}" for end, count in found["ends"].items())
    steps = ", ".join(f"{count} {step}" for step, count in found["at_steps"].items())
    statuses = ", ".join(f"{count} × {name}" for name, count in found["statuses"].items())
    outside = ", ".join(f"{name}: {status}" for name, status in found["from_outside"].items())
    return [
        "## The command line\n",
        f"`dqh index` over a collection that grows to {found['images']:,} images ({found['rows']:,} usable), with "
        f"other content and other labels in between: {found['kills']} kills by SIGKILL, every other one at a "
        f"step, the others at a random moment (runs: {ends}), and signals at a step, exit status behind them "
        f"({statuses}). Each next run goes on with the index. Steps: {steps}. Signals to a new Python at work: "
        f"{outside}.\n",
        "Rows that no run can have written, exit statuses other than 130 and 143, damage, leftovers, and rows, ids, "
        "codes, features, `skipped.csv` or answers at the end that are not those of one run that was never stopped: "
        f"**{len(found['problems'])}**.\n",
    ]


def main() -> int:
    """Run all, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=900, help="a third of them at random moments")
    parser.add_argument("--damages", type=int, default=1000, help="of each kind")
    parser.add_argument("--commands", type=int, default=100, help="kills of dqh index")
    parser.add_argument("--folder", type=Path, help="where the indexes go; a temporary folder by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    logging.getLogger("dqh").setLevel(logging.ERROR)  # each damaged engine is a warning
    torch.set_num_threads(1)  # a forked process has none of the threads of its parent
    faiss.omp_set_num_threads(1)
    command = f"python benchmarks/faults.py --kills {given.kills} --damages {given.damages} --commands {given.commands}"
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        results = {
            "environment": environment(command=command, seed=0),
            "kills": kills(Path(folder), own=given.kills - given.kills // 3, random_ones=given.kills // 3),
            "flip": damage(Path(folder), kind="flip", count=given.damages),
            "truncation": damage(Path(folder), kind="truncation", count=given.damages),
            "commands": command_line.kills(Path(folder) / "commands", count=given.commands),
        }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "index_faults.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "index_faults.md").write_text(page(results))
    print(page(results))
    damages = [results[kind][name] for kind in ("flip", "truncation") for name in BAD]
    return int(any([results["kills"]["problems"], results["commands"]["problems"], *damages]))


if __name__ == "__main__":
    raise SystemExit(main())
