"""Jobs whose workers are killed, for `scale.py`: how many end right, how many with what failed named, how many wrong.

Workers of an engine are killed with SIGKILL at moments from a seed while its jobs run, one job after another, until
there were so many kills.
"""

import csv
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from photos import Pictures, jpeg, make_artifact

from dqh.collection import index_images
from dqh.data import Photos
from dqh.executors import Executor
from dqh.index.store import open_index
from dqh.index.store.manifest import FAILED
from dqh.models import SmallResNet
from dqh.scale.index_job import PartitionedIndexing

Outcome = Literal["right", "named", "wrong"]
"""`named`: it said which partitions failed, and all else is right."""

PHOTOS, PARTITIONS = 320, 10
OF_WORKERS = ("multiprocessing.spawn", "ray::_Actor", "pyspark.daemon")
"""What the command line of a worker has, and that of no other process of an engine that this one has begun."""


class Job(NamedTuple):
    """What is run by an executor, in a folder of its own, and the most seconds between two kills."""

    run: Callable[[Executor, Path], Outcome]
    pause: float


def counts_of(job: Job, engine: Callable[[], AbstractContextManager[Executor]], kills: int) -> dict[str, int]:
    """Kills, jobs, and their outcomes."""
    counts = {"kills": 0, "jobs": 0, "right": 0, "named": 0, "wrong": 0}
    generator = np.random.default_rng(1)
    while counts["kills"] < kills:
        with TemporaryDirectory() as folder, engine() as executor:
            ended = threading.Event()
            killer = threading.Thread(target=_kill, args=(counts, kills, job.pause, ended, generator))
            killer.start()
            try:
                outcome = job.run(executor, Path(folder))
            finally:
                ended.set()
                killer.join()
        counts["jobs"] += 1
        counts[outcome] += 1
    return counts


def _kill(
    counts: dict[str, int], most: int, pause: float, ended: threading.Event, generator: np.random.Generator
) -> None:
    while counts["kills"] < most and not ended.wait(generator.uniform(0.05, pause)):
        if numbers := worker_ids():
            with suppress(ProcessLookupError):
                os.kill(int(generator.choice(numbers)), signal.SIGKILL)
                counts["kills"] += 1


def worker_ids() -> list[int]:
    """Processes that this one has begun, or these, and that are workers."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            number = int(entry.name)
            parents[number] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            names[number] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")

    def is_ours(number: int) -> bool:
        while number in parents and number != os.getpid():
            number = parents[number]
        return number == os.getpid()

    ours = [number for number in parents if number != os.getpid() and is_ours(number)]
    return [number for number in ours if any(word in names[number] for word in OF_WORKERS)]


@contextmanager
def indexing(root: Path) -> Iterator[Job]:
    """An index of photos that are parts of the pictures below `root`; its network was not trained."""
    with TemporaryDirectory() as scratch:
        folder, pictures = Path(scratch), Pictures(Photos([root]))
        torch.manual_seed(0)
        make_artifact(folder / "artifact", SmallResNet(), pictures)
        (folder / "photos").mkdir()
        for number in range(PHOTOS):
            jpeg(folder / "photos" / f"{number:05d}.jpg", pictures.next())

        def index(out: Path, elsewhere: PartitionedIndexing | None) -> dict[str, bytes]:
            given = {"device": "cpu", "batch_size": 16, "max_bad_fraction": 1.0}
            index_images(folder / "artifact", [folder / "photos"], out, elsewhere=elsewhere, **given)
            return rows_of(out)

        wanted = index(folder / "index", None)
        assert len(wanted) == PHOTOS

        def run(executor: Executor, out: Path) -> Outcome:
            found = index(out / "index", PartitionedIndexing(executor, partitions=PARTITIONS))
            return judged(found, wanted, failed_in(out / "index" / FAILED))

        yield Job(run, pause=8.0)


def rows_of(index: Path) -> dict[str, bytes]:
    """What an index has of each photo, by its path: code and features."""
    version = open_index(index).version
    numbers = np.arange(len(version))
    codes, features = version.codes(numbers), version.read_features(numbers)
    return {row.path: _bytes(codes[at], features[at]) for at, row in enumerate(version.rows(numbers))}


def _bytes(code: NDArray[np.uint8], features: NDArray[np.floating]) -> bytes:
    return code.tobytes() + features.tobytes()


def failed_in(file: Path) -> Sequence[tuple[str, str]]:
    """First and last photo of the partitions that a `failed.csv` names."""
    if not file.is_file():
        return ()
    with file.open(newline="", errors="surrogateescape") as lines:
        return [(Path(row["first"]).name, Path(row["last"]).name) for row in csv.DictReader(lines)]


def judged(found: dict[str, bytes], wanted: dict[str, bytes], failed: Sequence[tuple[str, str]]) -> Outcome:
    """Whether an index has the photos as they are wanted, but for all of partitions that are named."""
    named = {name for name in wanted if any(first <= Path(name).name <= last for first, last in failed)}
    right = {name: content for name, content in wanted.items() if name not in named}
    if found != right:
        return "wrong"
    return "named" if named else "right"
