"""How long a look takes: `dqh.discovery.flashlight` over an index of 100,000 objects, warm, and `dqh look`, cold.

    python benchmarks/look.py --data DIR --model yolox_nano.onnx --weights mobilenet_v2.pt --runs DIR

DIR of --data holds `annotations.json`, `query.txt` and `database.txt`: the photos of the former are looked at, the
index is made of the latter. --weights is MobileNetV2 with ImageNet weights, frozen, under `method=itq`; --model a YOLOX
with the classes of COCO. Made once and kept in --runs: the artifact (`train.py`), the index of the database's photos
and the objects that the detector sees in them (`dqh index --objects`), what is fitted to the query photos (`dqh look
--fit`), and the large index, which repeats the rows of the small one: each copy has another path, code bits turned over
with the probability --flip, and features with normal noise of as many standard deviations, from a seed.

Warm: every query photo once to begin with, then --repeats times, at most five objects a photo. Cold: `dqh look` in a
process of its own, of one photo, --cold times. Seconds of the wall, and of the CPU of all processes. Writes
benchmarks/results/look.json and look.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from neighbours import busy_cores, in_words
from quality import RESULTS, ROOT, where

from dqh.cores import threads, usable_cores
from dqh.data.box_place import boxes_at
from dqh.data.json_boxes import JSONBoxes
from dqh.detection.opening import open_detector
from dqh.detection.writing import save_detector
from dqh.discovery.fitting import fit_look
from dqh.discovery.flashlight import STAGES, Flashlight, open_flashlight
from dqh.environment import environment
from dqh.index.store import Header, Row, Writer, info, open_index

COMMAND = "python benchmarks/look.py --data DIR --model yolox_nano.onnx --weights mobilenet_v2.pt --runs DIR"
MOST, K = 5, 10
"""Objects of a photo, and answers of each."""

BITS = 128
PORTION = 2**14
TARGET = 300.0
"""Milliseconds, 95th percentile, warm."""


def dqh(*arguments: str | Path) -> list[str]:
    """The command of a verb."""
    return [sys.executable, "-m", "dqh.cli", *map(str, arguments)]


def artifact_of(given: argparse.Namespace, runs: Path) -> Path:
    """The encoder, trained once."""
    if done := sorted(runs.glob("encoder/*/*/artifact/artifact.json")):
        return done[-1].parent
    data = given.data.resolve()
    command = [sys.executable, str(ROOT / "train.py"), "method=itq", f"bits={BITS}", "data=image_list"]
    command += [f"data.root={data}", "data.query=query.txt", "data.database=database.txt", "data.train=train.txt"]
    command += ["split.protocol=given", "backbone=mobilenet_v2", f"backbone.weights={given.weights.resolve()}"]
    command += ["without_h=none", "search.baselines=[]", "search.untrained_images=20", f"runs={runs / 'encoder'}"]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return sorted(runs.glob("encoder/*/*/artifact/artifact.json"))[-1].parent


def small_index(given: argparse.Namespace, runs: Path, artifact: Path) -> Path:
    """The photos of the database and their objects."""
    detector, index = runs / "detector", runs / "small.index"
    if not detector.exists():
        save_detector(given.model, detector)
    if not index.exists():
        photos = JSONBoxes(root=given.data, database="database.txt")
        names = runs / "database.txt"
        names.write_text("".join(f"{given.data.resolve() / name}\n" for name in photos.ids))
        command = dqh("index", artifact, names, "--out", index, "--objects", detector, "--runtime", "onnx")
        subprocess.run(command, check=True)
    return index


def large_index(given: argparse.Namespace, runs: Path, small: Path) -> Path:
    """The rows of an index again and again, until there are enough objects."""
    index = runs / f"{given.objects}.index"
    if index.exists():
        return index
    version = open_index(small).version
    rows = np.arange(len(version))
    stored, codes, features = version.rows(rows), version.codes(rows), version.read_features(rows).astype(np.float32)
    generator, spread = np.random.default_rng(0), features.std(axis=0)
    header = Header.of(small, version.manifest)
    seen, copy = 0, 0
    with Writer(index, header) as writer:
        while seen < given.objects:
            turned = np.packbits(generator.random((len(rows), BITS)) < given.flip, axis=1, bitorder="little")
            noisy = features + given.flip * spread * generator.standard_normal(features.shape, np.float32)
            chosen = rows[: _enough(version.objects, given.objects - seen)]
            copies = [
                Row(f"{copy}/{row.path}", row.labels, row.box, bytes([copy]) + row.content_hash, row.object, row.score)
                for row in (stored[place] for place in chosen.tolist())
            ]
            writer.add(copies, (codes ^ turned)[chosen], noisy[chosen])
            seen, copy = seen + int(version.objects[chosen].sum()), copy + 1
        writer.commit(beside={"encoder.json": (small / "encoder.json").read_bytes()})
    return index


def _enough(objects: np.ndarray[Any, np.dtype[np.bool_]], wanted: int) -> int:
    """Rows of a copy that have so many objects, or all."""
    return int(np.searchsorted(objects.cumsum(), wanted, side="left")) + 1 if objects.sum() > wanted else len(objects)


def fitted(given: argparse.Namespace, runs: Path, small: Path) -> Path:
    """The annotator and the filter of dots, fitted to the query photos by the small index."""
    folder = runs / "look"
    if not folder.exists():
        names = runs / "classes.csv"
        names.write_text("motorbike,motorcycle\n")
        photos = boxes_at(given.data, listed=given.data / "query.txt", class_map=names)
        fit_look(open_flashlight(small, detector=runs / "detector", runtime="onnx"), photos).save(folder)
    return folder


def looks(flashlight: Flashlight, paths: Sequence[str], repeats: int) -> dict[str, Any]:
    """Milliseconds of every stage of every look, and how many objects there were."""
    for path in paths:
        flashlight.look(path, k=K, most=MOST)  # engines and pages of the index come into memory
    stages: dict[str, list[float]] = {name: [] for name in (*STAGES, "all")}
    objects, cpu, clock = [], _cpu(), time.perf_counter()
    for _ in range(repeats):
        for path in paths:
            began = time.perf_counter()
            sight = flashlight.look(path, k=K, most=MOST)
            stages["all"].append(1000 * (time.perf_counter() - began))
            objects.append(len(sight.spots))
            for name, seconds in sight.seconds.items():
                stages[name].append(1000 * seconds)
    wall, used = time.perf_counter() - clock, _cpu() - cpu
    return {
        "looks": len(objects),
        "rank": flashlight.rank,
        "objects": {"mean": round(float(np.mean(objects)), 2), "most": max(objects)},
        "milliseconds": {name: _percentiles(values) for name, values in stages.items()},
        "of_five_objects": _percentiles([t for t, many in zip(stages["all"], objects, strict=True) if many == MOST]),
        "cpu_ms_a_look": round(1000 * used / len(objects), 1),
        "wall_ms_a_look": round(1000 * wall / len(objects), 1),
    }


def _cpu() -> float:
    """Seconds of this process and of those that it waited for, and of the one of the detector as far as is known."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, others)) + _children()


def _children() -> float:
    """Seconds of the CPU of the processes of this one that run."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"p50": float("nan"), "p95": float("nan"), "most": float("nan")}
    return {"p50": round(float(np.median(values)), 2), "p95": round(float(np.percentile(values, 95)), 2)} | {
        "most": round(max(values), 2)
    }


def cold(index: Path, folder: Path, paths: Sequence[str], times: int, runtime: str) -> dict[str, Any]:
    """Seconds of `dqh look`, the start of the process included; one before them compiles what is imported."""
    walls, cpus = [], []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for path in [paths[0], *paths[:times]]:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = dqh("look", index, path, "--filter", folder, "-k", str(K), "--most", str(MOST), "--runtime", runtime)
        subprocess.run(command, check=True, capture_output=True, env=environment)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"runs": times, "wall_s": _percentiles(walls[1:]), "cpu_s": _percentiles(cpus[1:])}


def main() -> None:
    """Make what is missing, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE.pt")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--flip", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cold", type=int, default=10)
    parser.add_argument("--runtimes", nargs="+", default=["torch", "onnx"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    runs, busy = given.runs.resolve() / "look", busy_cores()
    runs.mkdir(parents=True, exist_ok=True)
    artifact = artifact_of(given, runs)
    if not (artifact / "encoder.onnx").exists():
        subprocess.run(dqh("export", artifact, "--to", "onnx"), check=True)
    small = small_index(given, runs, artifact)
    index, folder = large_index(given, runs, small), fitted(given, runs, small)
    photos = JSONBoxes(root=given.data, query="query.txt")
    paths = [str(given.data.resolve() / name) for name in photos.ids]
    warm = {}
    for runtime in given.runtimes:
        with open_detector(runs / "detector") as detector:
            flashlight = open_flashlight(index, detector=detector, fitted=folder, runtime=runtime, device="cpu")
            warm[runtime] = looks(flashlight, paths, given.repeats)
            print(runtime, warm[runtime], flush=True)
    started = {runtime: cold(index, folder, paths, given.cold, runtime) for runtime in given.runtimes}
    write(given, index, warm, started, busy)


def write(
    given: argparse.Namespace, index: Path, warm: dict[str, Any], started: dict[str, Any], busy: float | None
) -> None:
    """Write the two files."""
    about, stored = environment(command=COMMAND, seed=0), info(index)
    objects = given.objects
    photos = next(iter(warm.values()))["looks"] // given.repeats
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    lines = [
        "# How long a look takes\n",
        f"{photos} photos looked at, {given.repeats} times each, at most {MOST} objects a photo, {K} answers of each. "
        f"The index has {stored.rows:,} rows, {objects:,} of them objects, which are searched: {stored.bits} bits "
        f"(`itq`) and {stored.feature_size:,} features of MobileNetV2 at 224 pixels. It repeats the rows of 812 photos "
        f"and of what YOLOX-nano sees in them; each copy has code bits turned over with probability "
        f"{given.flip:g} and features with noise of {given.flip:g} standard deviations. "
        f"{in_words(busy)[0].upper()}{in_words(busy)[1:]}, of "
        f"{usable_cores()}, and this ran on {threads()} threads at niceness {niceness}. {where(about)}.\n",
        f"    {COMMAND}\n",
        f"A warm library call, milliseconds; the target of all together is {TARGET:g} at the 95th percentile:\n",
        "| stage | "
        + " | ".join(f"{runtime}: median | 95th percentile | most" for runtime in warm)
        + " |\n|---|"
        + "--:|" * (3 * len(warm)),
        *(
            f"| {name} | " + " | ".join(_cells(row["milliseconds"][name]) for row in warm.values()) + " |"
            for name in (*STAGES, "all")
        ),
        "| all, of photos with five objects | "
        + " | ".join(_cells(row["of_five_objects"]) for row in warm.values())
        + " |",
        "",
        *(
            f"By {runtime}: answers in the order of {'features' if row['rank'] == 'fine' else 'codes'}; "
            f"{row['objects']['mean']} objects a photo on average; {row['cpu_ms_a_look']:g} ms of CPU a "
            f"look, {row['wall_ms_a_look']:g} ms of the wall."
            for runtime, row in warm.items()
        ),
        f"\n`dqh look` of one photo in a process of its own, {given.cold} times: the start of Python, the encoder, the "
        "detector and the index included, but not the first one, which compiles Python's sources. Seconds:\n",
        "| encoder by | wall, median | wall, most | CPU, median |\n|---|--:|--:|--:|",
        *(
            f"| {runtime} | {row['wall_s']['p50']:.2f} | {row['wall_s']['most']:.2f} | {row['cpu_s']['p50']:.2f} |"
            for runtime, row in started.items()
        ),
    ]
    content = {
        "command": COMMAND,
        "environment": about,
        "objects": objects,
        "rows": stored.rows,
        "bits": stored.bits,
        "flip": given.flip,
        "repeats": given.repeats,
        "busy_cores_before": busy,
        "niceness": niceness,
        "warm": warm,
        "cold": started,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "look.json").write_text(json.dumps(content, indent=1) + "\n")
    (given.out / "look.md").write_text("\n".join(lines) + "\n")
    print((given.out / "look.md").read_text())


def _cells(times: dict[str, float]) -> str:
    return " | ".join(f"{times[name]:.1f}" for name in ("p50", "p95", "most"))


if __name__ == "__main__":
    main()
