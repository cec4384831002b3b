"""The same jobs by every executor, side by side: time beside one process, and whether the results are the same bytes.

    python benchmarks/scale.py index --root DIR --weights mobilenet_v2.pt --photos 10000
    python benchmarks/scale.py codes --points 10000000 --clusters 1000
    python benchmarks/scale.py vectors --points 1000000 --clusters 10000 --codewords 8192
    python benchmarks/scale.py vectors --deep DIR --clusters 1000
    python benchmarks/scale.py kills --root DIR --kills 50

index     photos, parts of the pictures below DIR, through MobileNetV2 into an index
codes     k-means of codes of 64 bits from a seed, five iterations
vectors   k-means of vectors of 128 numbers (the DKM of Avrithis et al. 2015), and IQ-means; --deep: the deep features
          in DIR, which have classes
kills     workers killed with SIGKILL at moments from a seed while codes are clustered, and while parts of the pictures
          below DIR become an index

`--engines` chooses some of plain, local, ray, spark; each has `--workers` workers on this machine. `plain` is one
process with as many threads. The start of an engine is told apart: until each worker has answered once. Writes
benchmarks/results/scale.json and .md; what other calls with the same sizes measured stays there.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import concat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from photos import Pictures, jpeg, make_artifact
from quality import RESULTS, where
from scale_kills import Job, Outcome, counts_of, indexing

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.binary_space import BinarySpace
from dqh.clustering.distinct_codes import distinct_codes
from dqh.clustering.iq_means import IQMeans
from dqh.clustering.refinement import refined
from dqh.clustering.vector_kmeans import VectorKMeans
from dqh.collection import index_images
from dqh.cores import threads
from dqh.data import Photos
from dqh.environment import environment
from dqh.errors import DqhError
from dqh.executors import Executor
from dqh.index.store import open_index
from dqh.models import MobileNetV2
from dqh.scale.choosing import Resources, executor_of
from dqh.scale.index_job import PartitionedIndexing
from dqh.scale.spread_points import SpreadPoints

ENGINES = ("plain", "local", "ray", "spark")
JOBS = ("clustering", "index")
"""Whose workers are killed."""

ITERATIONS = 5
DIMENSION = 128


@contextmanager
def engine_of(name: str, workers: int) -> Iterator[tuple[Executor, float]]:
    """An executor, and the seconds until each of its workers has answered once."""
    began = time.perf_counter()
    with executor_of(name, Resources(workers=workers)) as executor:
        for _ in executor.run(str, concat, ["a"] * workers):
            pass
        yield executor, time.perf_counter() - began


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def by_engines(given: argparse.Namespace, work: Callable[[Executor | None, Path], Any]) -> dict[str, Any]:
    """A cell of each engine; `digest` is of the bytes that `work` gives."""
    cells: dict[str, Any] = {}
    for name in given.engines:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            if name == "plain":
                result, seconds = timed(partial(work, None, Path(folder)))
                start = 0.0
            else:
                with engine_of(name, given.workers) as (executor, start):
                    result, seconds = timed(partial(work, executor, Path(folder)))
        digest = hashlib.sha256(repr(result).encode()).hexdigest()[:16]
        cells[name] = {"seconds": round(seconds, 2), "start": round(start, 2), "digest": digest}
        print(f"{name}: {cells[name]}", flush=True)
    return cells


def index(given: argparse.Namespace) -> dict[str, Any]:
    """Photos into an index."""
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        folder, pictures = Path(scratch), Pictures(Photos([given.root]))
        make_artifact(folder / "artifact", MobileNetV2(tap="pool", size=64, weights=str(given.weights)), pictures)
        (folder / "photos").mkdir()
        for number in range(given.photos):
            jpeg(folder / "photos" / f"{number:05d}.jpg", pictures.next())

        def work(executor: Executor | None, out: Path) -> list[bytes]:
            elsewhere = None if executor is None else PartitionedIndexing(executor)
            index_images(folder / "artifact", [folder / "photos"], out / "index", device="cpu", elsewhere=elsewhere)
            version = open_index(out / "index").version
            rows = np.arange(len(version))
            assert len(rows) == given.photos
            return [version.codes(rows).tobytes(), version.read_features(rows).tobytes()]

        return {"photos": given.photos, "engines": by_engines(given, work)}


def bits_of(points: int, clusters: int) -> NDArray[np.uint8]:
    """Codes of 64 bits, each bit of which is that of one of the centres but for a chance of 10 %."""
    generator = np.random.default_rng(0)
    centres = generator.integers(0, 256, (clusters, 8), dtype=np.uint8)
    codes = np.empty((points, 8), np.uint8)
    for start in range(0, points, 2**20):
        part = codes[start : start + 2**20]
        turned = np.packbits(generator.random((len(part), 64), np.float32) < 0.1, axis=1)
        part[:] = centres[generator.integers(0, clusters, len(part))] ^ turned
    return codes


def clustered(codes: NDArray[np.uint8], clusters: int, executor: Executor | None, folder: Path) -> list[Any]:
    """Centres, labels and history."""
    spread = None if executor is None else SpreadPoints(executor, folder=folder / "parts", of=folder)
    own = BinaryKMeans(clusters, start="random", iterations=ITERATIONS).fit(codes, spread=spread)
    return [own.cluster_centers_.tobytes(), own.labels_.tobytes(), own.history_]


class Watched:
    """An executor, and the seconds in which all partitions were asked for sums, a number a pass.

    They hold the way of the centres to the workers and of the sums back; the first pass reads the codes, too.
    """

    def __init__(self, own: Executor) -> None:
        self._own, self.workers, self.passes = own, own.workers, list[float]()

    def run(self, setup: Any, task: Any, partitions: Any, **how: Any) -> Iterator[Any]:
        """As of the executor."""
        began = time.perf_counter()
        yield from self._own.run(setup, task, partitions, **how)
        if partitions[0].method == "sums":
            self.passes.append(time.perf_counter() - began)


def codes(given: argparse.Namespace) -> dict[str, Any]:
    """k-means of codes, and a pass of the kernel over all of them in this process beside a pass by workers."""
    points, passes = bits_of(given.points, given.clusters), list[float]()

    def work(executor: Executor | None, folder: Path) -> list[Any]:
        watched: Any = None if executor is None else Watched(executor)
        result = clustered(points, given.clusters, watched, folder)
        if watched:
            passes.append(float(np.median(watched.passes[1:])))
        return result

    cells = by_engines(given, work)
    for name, seconds in zip([name for name in cells if name != "plain"], passes, strict=True):
        cells[name]["pass"] = round(seconds, 3)
    space = BinarySpace(distinct_codes(points), 64, "auto")
    centres = space.centres_at(np.arange(given.clusters))
    kernel = float(np.median([timed(partial(space.sums, centres))[1] for _ in range(ITERATIONS)]))
    return {"points": len(points), "clusters": given.clusters, "kernel": round(kernel, 3), "engines": cells}


def vectors_of(given: argparse.Namespace, folder: Path) -> tuple[Path, NDArray[np.int64]]:
    """A file of vectors, and their classes."""
    path = folder / "vectors.npy"
    if given.deep is not None:
        np.save(path, np.load(given.deep / "features_pca128_f16.npy").astype(np.float32))
        return path, np.load(given.deep / "labels.npy").astype(np.int64)
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((given.clusters, DIMENSION), np.float32)
    points = np.lib.format.open_memmap(path, "w+", np.float32, (given.points, DIMENSION))
    owners = np.empty(given.points, np.int64)
    for start in range(0, given.points, 2**16):
        part = points[start : start + 2**16]
        owners[start : start + len(part)] = generator.integers(0, given.clusters, len(part))
        part[:] = centres[owners[start : start + len(part)]]
        part += generator.standard_normal(part.shape, np.float32) * np.float32(0.7)
    points.flush()
    return path, owners


def vectors(given: argparse.Namespace) -> dict[str, Any]:
    """k-means of vectors, and IQ-means."""
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        path, classes = vectors_of(given, Path(scratch))
        points, opened = np.load(path, mmap_mode="r"), partial(np.load, path, mmap_mode="r")
        last: dict[str, Any] = {}

        def work(method: str, executor: Executor | None, folder: Path) -> list[Any]:
            spread = None if executor is None else SpreadPoints(executor, folder=folder / "parts", of=folder)
            if method == "kmeans":
                assigned = None if spread is None else spread.vectors(opened, len(points))
                own: Any = VectorKMeans(given.clusters, iterations=ITERATIONS).fit(points, assigned=assigned)
            else:
                cells = None if spread is None else partial(spread.cells, opened, len(points))
                own = IQMeans(given.clusters, codewords=given.codewords).fit(points, elsewhere=cells)
            last[method] = own
            return [own.cluster_centers_.tobytes(), own.labels_.tobytes()]

        found: dict[str, Any] = {"points": len(points), "clusters": given.clusters, "deep": given.deep is not None}
        found["codewords"] = given.codewords
        for method in ("kmeans", "iqmeans"):
            cells = by_engines(given, partial(work, method))
            own = last[method]
            squares = refined(points, own.labels_, own.cluster_centers_, passes=1).distortion
            found[method] = {"engines": cells, "distortion": own.distortion_, "refined": squares}
            found[method] |= {"iterations": own.n_iter_, "purity": purity(own.labels_, classes)}
        return found


def purity(labels: NDArray[np.int32], classes: NDArray[np.int64]) -> float:
    """Part of the points whose class, or drawn centre, is the most frequent one of their cluster."""
    table = np.zeros((int(labels.max()) + 1, int(classes.max()) + 1), np.int64)
    np.add.at(table, (labels, classes), 1)
    return float(table.max(axis=1).sum() / len(labels))


@contextmanager
def clustering() -> Iterator[Job]:
    """Codes into clusters, all or nothing."""
    points = bits_of(400_000, 500)
    with tempfile.TemporaryDirectory() as folder:
        wanted = clustered(points, 500, None, Path(folder))

    def run(executor: Executor, folder: Path) -> Outcome:
        try:
            return "right" if clustered(points, 500, executor, folder) == wanted else "wrong"
        except DqhError as error:
            if "partition" not in str(error):
                raise
            return "named"

    yield Job(run, pause=8.0)


def kills(given: argparse.Namespace) -> dict[str, Any]:
    """Jobs of an engine until so many workers were killed, of each kind."""
    found: dict[str, Any] = {}
    kinds = {"clustering": clustering, "index": partial(indexing, given.root)}
    for kind in given.jobs:
        found[kind] = {}
        with kinds[kind]() as job:
            for name in (name for name in given.engines if name != "plain"):
                counts = counts_of(job, partial(executor_of, name, Resources(workers=given.workers)), given.kills)
                found[kind][name] = counts
                print(f"{kind}, {name}: {counts}", flush=True)
    return found


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "index": index,
    "codes": codes,
    "vectors": vectors,
    "kills": kills,
}


def joined(before: Any, found: Any) -> Any:
    """What was found, with the engines of an earlier call with the same sizes, where this one had others."""
    sizes = ("photos", "points", "clusters", "deep")
    if any(before.get(name) != found.get(name) for name in sizes):
        return found
    both = before | found
    for name, value in found.items():
        if isinstance(value, dict) and isinstance(before.get(name), dict) and name != "plain":
            both[name] = before[name] | value if name == "engines" else joined(before[name], value)
    return both


def page(found: dict[str, Any]) -> str:
    """The results as markdown."""
    lines = ["# The same jobs by every executor", ""]
    for part in PARTS:
        cell = found.get(part)
        lines += [f"## {part}", ""]
        if cell is None:
            lines += ["Not measured.", ""]
            continue
        lines += [
            f"{where(cell['environment'])}, {cell['workers']} workers.",
            "",
            f"    {cell['environment']['command']}",
            "",
        ]
        lines += [*_tables(part, cell["found"]), ""]
    return "\n".join(lines)


def _tables(part: str, found: dict[str, Any]) -> list[str]:
    if part == "kills":
        head = "| job | engine | kills | jobs | right | ended with what failed named, all else right | wrong |"
        cells = [
            [kind, name, *map(str, counts.values())] for kind, own in found.items() for name, counts in own.items()
        ]
        return [head, "|---|---|--:|--:|--:|--:|--:|", *(f"| {' | '.join(cell)} |" for cell in cells)]
    if part == "vectors":
        what = "deep features" if found["deep"] else "vectors"
        lines = [
            f"{found['points']:,} {what} of 128 numbers, k = {found['clusters']:,}, "
            f"c = {found.get('codewords', 512):,} of IQ-means.",
            "",
        ]
        for method in ("kmeans", "iqmeans"):
            own = found[method]
            purity_of = "" if own["purity"] is None else f", purity {own['purity']:.3f}"
            text = f"**{method}**: {own['iterations']} iterations, distortion {own['distortion']:.5g}"
            lines += [f"{text}, after a pass that moves centres {own['refined']:.5g}{purity_of}.", ""]
            lines += [*_by_engine(own["engines"]), ""]
        return lines
    if part == "codes":
        about = f"{found['points']:,} codes of 64 bits, k = {found['clusters']:,}, {ITERATIONS} iterations."
        lines = [
            f"{about} A pass of the kernel over all codes takes {found['kernel']} s in this process, with as many "
            "threads as there are workers. Beside it a pass by the workers, centres sent and sums back. Medians.",
            "",
            "| engine | a pass, s | × kernel |",
            "|---|--:|--:|",
        ]
        for name, cell in found["engines"].items():
            if "pass" in cell:
                lines.append(f"| {name} | {cell['pass']:.3f} | {cell['pass'] / found['kernel']:.2f} |")
        lines.append("")
    else:
        lines = [f"{found['photos']:,} photos, MobileNetV2 at 64 px.", ""]
    lines += [
        "`local` starts its workers anew for the work of a job, and so twice here; the second time is in the job.",
        "",
    ]
    return [*lines, *_by_engine(found["engines"])]


def _by_engine(cells: dict[str, Any]) -> list[str]:
    """A line an engine, compared with the first of them."""
    digest = next(cell["digest"] for cell in cells.values())
    lines = ["| engine | start, s | job, s | × plain | same bytes |", "|---|--:|--:|--:|---|"]
    for name in ENGINES:
        if (cell := cells.get(name)) is None:
            lines.append(f"| {name} | not measured | | | |")
            continue
        times = "–" if "plain" not in cells else f"{cell['seconds'] / cells['plain']['seconds']:.2f}"
        same = "yes" if cell["digest"] == digest else "**no**"
        lines.append(f"| {name} | {cell['start']:.1f} | {cell['seconds']:.1f} | {times} | {same} |")
    return lines


def main() -> None:
    """Run one part, and write what is known of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--root", type=Path, help="index, kills: a folder of images, or a .parquet table")
    parser.add_argument("--weights", type=Path, help="index: of torchvision's mobilenet_v2")
    parser.add_argument("--photos", type=int, default=10_000, help="index: how many")
    parser.add_argument("--points", type=int, default=10_000_000, help="codes, vectors: how many")
    parser.add_argument("--clusters", type=int, default=1000, help="codes, vectors: k")
    parser.add_argument("--codewords", type=int, default=512, help="vectors: c of IQ-means, a half")
    parser.add_argument("--deep", type=Path, help="vectors: folder of features_pca128_f16.npy and labels.npy")
    parser.add_argument("--kills", type=int, default=50, help="kills: of each engine")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS), help="kills: of which workers")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--workers", type=int, default=threads())
    parser.add_argument("--folder", type=Path, help="for what is written meanwhile; a temporary one by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if given.part == "index" and (given.root is None or given.weights is None):
        parser.error("index needs --root and --weights")
    if given.part == "kills" and given.root is None:
        parser.error("kills needs --root")
    began = environment(command=_command(given), seed=0)
    found = PARTS[given.part](given)
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "scale.json"
    results = json.loads(file.read_text()) if file.is_file() else {}
    before = results.get(given.part, {}).get("found", {})
    results[given.part] = {"environment": began, "workers": given.workers, "found": joined(before, found)}
    file.write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "scale.md").write_text(page(results))
    print(page(results))


def _command(given: argparse.Namespace) -> str:
    words = {
        "index": f"--root DIR --weights mobilenet_v2.pt --photos {given.photos}",
        "codes": f"--points {given.points} --clusters {given.clusters}",
        "vectors": f"--points {given.points} --clusters {given.clusters} --codewords {given.codewords}"
        if given.deep is None
        else f"--deep DIR --clusters {given.clusters}",
        "kills": f"--root DIR --kills {given.kills}",
    }
    return f"python benchmarks/scale.py {given.part} {words[given.part]} --engines {' '.join(given.engines)}"


if __name__ == "__main__":
    main()
