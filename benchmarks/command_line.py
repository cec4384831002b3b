"""Kills of `dqh index` over a collection that grows, changes and gets other labels between them.

Each kill hits a process forked from this one, which has its modules in memory, so that it spends its time at work. What
an image is follows from its number and edition, and images are encoded one at a time, so that codes and features are
the same bits in every run. `faults.py` runs this.
"""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from growing import Collection, Noise, labels, picture, png
from photos import make_artifact

from dqh import cli
from dqh.data.source import content_hash
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import NoStoreError
from dqh.index.store import check, compact, open_index
from dqh.index.store.faults import Step, watched
from dqh.index.store.place import at_newest, newest_version
from dqh.index.store.version import Version
from dqh.models import SmallResNet

PORTION = 9
"""Images a commit."""

COMPACTION = 10
"""Runs after which the index is compacted, as somebody would who adds so little at a time."""

SIGNALS = 10
"""Of each kind."""

EXPECTED = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit statuses."""


class Command:
    """`dqh index` of a collection.

    Args:
        artifact: of the encoder.
        collection: of images.
    """

    def __init__(self, artifact: Path, collection: Collection) -> None:
        self._given = [str(artifact), str(collection.list_file), "--max-bad-fraction", "1", "--workers", "0"]

    def arguments(self, index: Path, *, portion: int = PORTION) -> list[str]:
        """After `dqh`."""
        return ["index", *self._given, "--batch-size", "1", "--portion", str(portion), "--out", str(index)]

    def run(self, index: Path, *, watch: Callable[[Step, Path], None], after: float | None = None) -> int:
        """Run it in a process of its own; killed after so many seconds where they are given.

        Returns:
            Its exit status; negative where it was killed.
        """
        process = os.fork()
        if process == 0:
            status = 1
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.dup2(nowhere, 2)
                with watched(watch):
                    status = cli.main(self.arguments(index))
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                os._exit(status)
        if after is not None:
            time.sleep(after)
            os.kill(process, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def stopping(at: int, number: signal.Signals, log: Path) -> Callable[[Step, Path], None]:
    """A watcher that sends its process a signal at one step, and notes which it was."""
    count = 0

    def watch(step: Step, file: Path) -> None:
        nonlocal count
        count += 1
        if count == at + 1:
            log.write_text(step.value)
            os.kill(os.getpid(), number)

    return watch


def dry(command: Command, index: Path, folder: Path) -> tuple[int, float]:
    """Steps and seconds of a run that is not stopped, on a copy of the index."""
    copy, log = folder / "dry", folder / "steps"
    if index.exists():
        shutil.copytree(index, copy)
    log.write_bytes(b"")
    with log.open("ab", buffering=0) as file:
        began = time.monotonic()
        assert command.run(copy, watch=lambda step, path: file.write(b".") and None) == 0
        seconds = time.monotonic() - began
    shutil.rmtree(copy)
    return log.stat().st_size, seconds


def rows_of(index: Path) -> Iterator[tuple[int, str, tuple[str, ...], bytes, bytes, bytes]]:
    """Id, path, labels, hash, code and features of all rows, each feature row checked."""
    version = at_newest(index, lambda manifest: Version(index, manifest))
    for batch in version.batches(1024):
        for row, code, features in zip(*batch, strict=True):
            yield row.id, row.path, row.labels, row.content_hash, code.tobytes(), features.tobytes()


class Judge:
    """Knows what an index may hold, and what it held when it was looked at last.

    Args:
        artifact: of the encoder.
        collection: of images.
    """

    def __init__(self, artifact: Path, collection: Collection) -> None:
        self._encoder = load_encoder(artifact, device="cpu")
        self._collection = collection
        self._kept: dict[tuple[int, int], tuple[bytes, bytes, bytes]] = {}
        self._seen: dict[int, int] = {}

    def faults(self, index: Path) -> list[str]:
        """What no run can have written: rows lost or mixed up, or of an older edition than they were before."""
        try:
            rows = list(rows_of(index))
        except NoStoreError:
            return ["no index any more"] * bool(self._seen)
        found = [problem.what for problem in check(index, engines=()).problems]
        usable = [number for number in range(len(self._collection.images)) if number % 17]
        if not len(self._seen) <= len(rows) <= len(usable):
            found.append(f"{len(rows)} rows, {len(self._seen)} before")
        for place, (number, row) in enumerate(zip(usable, rows, strict=False)):
            given, path, own, *content = row
            editions = self._collection.images[number]
            fits = [
                edition
                for edition in range(self._seen.get(number, 0), len(editions))
                if (*self._of(number, editions[edition][0]), labels(number, editions[edition][1])) == (*content, own)
            ]
            if (given, path) != (place, f"{number:05d}.png") or not fits:
                found.append(f"row {given}, {path}")
            self._seen[number] = max(fits, default=0)
        return found

    def _of(self, number: int, edition: int) -> tuple[bytes, bytes, bytes]:
        """Hash, code and features."""
        if (number, edition) not in self._kept:
            content = png(number, edition)
            encoded = self._encoder.encode([content])
            features = encoded.features.astype(np.float16)
            self._kept[number, edition] = content_hash(content), encoded.codes.tobytes(), features.tobytes()
        return self._kept[number, edition]


def answers(index: Path, artifact: Path) -> list[list[tuple[Any, ...]]]:
    """What queries find that are no rows."""
    queries = load_encoder(artifact, device="cpu").encode([picture(2**21 + number, 0) for number in range(20)])
    found = open_index(index).search(queries, k=10, pool=100)
    return [[(hit.id, hit.path, hit.labels, hit.code_distance, hit.distance) for hit in hits] for hits in found.hits]


def skipped(index: Path) -> list[list[str]]:
    """Lines of the list of unusable images."""
    with (index / "skipped.csv").open(newline="") as file:
        return list(csv.reader(file))


def from_outside(command: Command, folder: Path) -> tuple[dict[str, int], list[str]]:
    """Exit statuses of a new Python that gets a signal at work, and what is wrong with them and the index it leaves."""
    statuses, problems = {}, []
    for sent, wanted in EXPECTED.items():
        index = folder / f"outside_{sent.name}"
        arguments = [sys.executable, "-m", "dqh.cli", *command.arguments(index, portion=1)]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and (not index.exists() or (newest_version(index) or 0) < 10):
                time.sleep(0.01)
            process.send_signal(sent)
        statuses[sent.name] = process.returncode
        found = [each.what for each in check(index, engines=()).problems]
        found += [f"exit status {process.returncode}"] * (process.returncode != wanted)
        problems += [f"{sent.name} from outside: {each}" for each in found]
    return statuses, problems


def kills(folder: Path, *, count: int) -> dict[str, Any]:
    """Kill, signal, look, and compare with a run that was never stopped; all of it in a new folder."""
    folder.mkdir()
    artifact, index, log = folder / "artifact", folder / "grown", folder / "step"
    make_artifact(artifact, SmallResNet(width=4, size=16).eval(), Noise())
    collection = Collection(folder / "photos")
    command, judge = Command(artifact, collection), Judge(artifact, collection)
    generator = random.Random(0)
    ends, at_steps, statuses, problems = Counter[str](), Counter[str](), Counter[str](), []
    plan = [signal.SIGKILL] * count + [signal.SIGINT] * SIGNALS + [signal.SIGTERM] * SIGNALS
    generator.shuffle(plan)
    turn = Counter[signal.Signals]()
    collection.grow()
    _, seconds = dry(command, index, folder)
    for number, sent in enumerate(plan):
        collection.grow()
        if number % COMPACTION == COMPACTION - 1:
            compact(index)
        place, turn[sent] = turn[sent], turn[sent] + 1
        log.write_text("after the last step")
        if sent is signal.SIGKILL and place % 2:
            status = command.run(index, watch=lambda step, path: None, after=generator.uniform(0, seconds))
        else:
            steps, seconds = dry(command, index, folder)
            every = count if sent is signal.SIGKILL else SIGNALS
            share = (place % every + 0.5) / every
            status = command.run(index, watch=stopping(int(share * steps), sent, log))
            at_steps[log.read_text()] += 1
        if sent is signal.SIGKILL:
            ends["killed" if status == -signal.SIGKILL else "ended before"] += 1
            plan += [sent] * (status != -signal.SIGKILL)  # a random moment may come late
        else:
            statuses[f"{sent.name}: {status}"] += 1
            problems += [f"{sent.name} {place}: exit status {status}"] * (status != EXPECTED[sent])
        problems += [f"{sent.name} {place}: {each}" for each in judge.faults(index)]
    outside, wrong = from_outside(command, folder)
    for each in (index, folder / "straight_grown"):
        assert command.run(each, watch=lambda step, path: None) == 0
    problems += wrong + compared(index, folder / "straight_grown", artifact)
    return {
        "kills": count,
        "ends": dict(ends),
        "at_steps": dict(at_steps),
        "statuses": dict(sorted(statuses.items())),
        "from_outside": outside,
        "images": len(collection.images),
        "rows": sum(1 for _ in rows_of(index)),
        "problems": problems,
    }


def compared(grown: Path, straight: Path, artifact: Path) -> list[str]:
    """What distinguishes two indexes, and what is wrong with the first."""
    report = check(grown, engines=())
    found = [problem.what for problem in report.problems] + [f"left over: {each}" for each in report.leftovers]
    found += [f"left over: {each.name}" for each in grown.glob(".*")]
    for name, same in (
        ("rows", list(rows_of(grown)) == list(rows_of(straight))),
        ("skipped.csv", skipped(grown) == skipped(straight)),
        ("answers", answers(grown, artifact) == answers(straight, artifact)),
    ):
        found += [f"{name} are not those of a straight run"] * (not same)
    return found
