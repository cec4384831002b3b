"""Seconds from ready-made vectors to an artifact of 64 bits, for a trained hash and for shallow ones in closed form.

    python benchmarks/time_to_hash.py --vectors DIR

--vectors has features_pca128_f16.npy and labels.npy, MobileNetV2 features of Tiny-ImageNet after PCA; the vectors of
768 values are made from a seed, below --runs. Each row is a `train.py` of its own, whose messages are timed as they
come. Writes benchmarks/results/time_to_hash.json and .md; --sets and --methods take some, the others stay.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from quality import RESULTS, ROOT, where

BITS = 64
LINEAR = "experiment=embeddings_linear"
METHODS = {
    "trained": ("supervised", ()),
    "linear": ("supervised", (LINEAR,)),
    "itq_cca": ("supervised", ("method=itq_cca",)),
    "itq": ("unsupervised", ("method=itq",)),
    "pca_rr": ("unsupervised", ("method=pca_rr",)),
}
"""Whether labels are read, and the arguments beside `experiment=embeddings`, or in its place."""

WITHOUT_TARGET = ("pca_rr",)
"""Rows that show what is lost by less: `itq` without its iterations."""

LOST = -0.002
"""What an unsupervised hash may have less than the row `itq`, mAP@all."""

CLASSES, CLUSTERS, SUBSPACE = 200, 4, 64
"""Of the vectors that are made: classes, Gaussian clusters a class, and dimensions in which the classes differ."""


class Set(NamedTuple):
    """Vectors with the seconds that are wanted for them, by whether labels are read."""

    title: str
    target: Mapping[str, float]


SETS = {
    "deepfeatures": Set("100,000 × 128: MobileNetV2 features, 200 classes", {"supervised": 15.0, "unsupervised": 20.0}),
    "clusters": Set(
        f"100,000 × 768: made from a seed, {CLASSES} classes of {CLUSTERS} Gaussian clusters each, in {SUBSPACE} "
        "dimensions of falling variance, with noise in all",
        {"supervised": 60.0, "unsupervised": 20.0},
    ),
}


def make_clusters(folder: Path, *, rows: int = 100_000, dimension: int = 768, seed: int = 0) -> None:
    """Write features.npy, float16, and labels.npy, if they are not there.

    In an orthonormal basis of a random subspace, direction k has standard deviation ∝ k^(−1/2) in everything: class
    centres and those of clusters around them 1, vectors around theirs 1; noise of .05 in all dimensions.
    """
    if (folder / "labels.npy").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    basis = np.linalg.qr(draws.standard_normal((dimension, SUBSPACE)))[0].T.astype(np.float32)
    classes = draws.standard_normal((CLASSES, 1, SUBSPACE))
    centres = classes + draws.standard_normal((CLASSES, CLUSTERS, SUBSPACE))
    labels = np.arange(rows) % CLASSES
    inner = centres[labels, draws.integers(CLUSTERS, size=rows)] + draws.standard_normal((rows, SUBSPACE))
    inner *= np.arange(1, SUBSPACE + 1) ** -0.5
    noise = draws.standard_normal((rows, dimension), dtype=np.float32)
    np.save(folder / "features.npy", (inner.astype(np.float32) @ basis + np.float32(0.05) * noise).astype(np.float16))
    np.save(folder / "labels.npy", labels)


def files_of(name: str, vectors: Path, runs: Path) -> tuple[Path, Path]:
    """Features and labels of a set."""
    if name == "deepfeatures":
        return vectors / "features_pca128_f16.npy", vectors / "labels.npy"
    folder = runs / "time_to_hash_data"
    make_clusters(folder)
    return folder / "features.npy", folder / "labels.npy"


def timed(features: Path, labels: Path, arguments: tuple[str, ...], *, runs: Path) -> dict[str, Any]:
    """One run: seconds of its parts, and what `metrics.json` says of its codes."""
    recipe = () if LINEAR in arguments else ("experiment=embeddings",)
    command = [sys.executable, str(ROOT / "train.py"), *recipe, *arguments, f"bits={BITS}"]
    command += [f"data.features={features.resolve()}", f"data.labels={labels.resolve()}", f"runs={runs.resolve()}"]
    command.append("search.baselines=[itq,itq_cca]")
    began, folder, read, written = time.perf_counter(), None, 0.0, 0.0
    before = work_of_others()
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for text in process.stderr:
            line = text.strip()
            print(line, file=sys.stderr)
            if line.startswith("run folder "):  # labels are read and the split is drawn, no vector is read yet
                folder, read = Path(line.removeprefix("run folder ")), time.perf_counter()
            elif folder is not None and line == f"wrote {folder / 'artifact'}":
                written = time.perf_counter()
    ended = time.perf_counter()
    others = (work_of_others() - before) / (ended - began)
    if process.returncode or folder is None:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    cell = json.loads((folder / "metrics.json").read_text())
    pairs = {(pair["search"], pair["against"]): pair for pair in cell["intervals"]["pairs"]}
    return {
        "seconds": {
            "start": read - began,
            "to_artifact": written - read,
            "training": cell["training"]["wall_seconds"],
            "evaluation": ended - written,
            "whole": ended - began,
        },
        "others": others,
        "mAP@all": {row["search"]: row["mAP@all"] for row in cell["rows"] if "mAP@all" in row},
        "against_itq": {name: pairs["binary", "itq"][name] for name in ("value", "low", "high")},
        "protocol": {name: cell["protocol"][name] for name in ("query", "database", "train", "validation")},
        "environment": cell["environment"],
    }


def work_of_others() -> float:
    """Seconds for which cores of this machine were at work since it started, without ended children; Linux."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - own.ru_utime - own.ru_stime


def row_line(name: str, row: Mapping[str, Any], wanted: Mapping[str, float]) -> str:
    """A row of the table."""
    kind, arguments = METHODS[name]
    seconds, against = row["seconds"], row["against_itq"]
    bound = 0.0 if kind == "supervised" else LOST
    kept = seconds["to_artifact"] <= wanted[kind] and against["value"] >= bound
    target = f"≤ {wanted[kind]:.0f} s, " + ("above `itq`" if kind == "supervised" else "at `itq` − .002 or better")
    verdict = "–" if name in WITHOUT_TARGET else f"{target}: {'kept' if kept else 'missed'}"
    others = f"{row['others']:.1f}" if "others" in row else "–"
    parts = (seconds[part] for part in ("to_artifact", "training", "start", "evaluation", "whole"))
    return (
        f"| `{' '.join(arguments) or 'method=dlbhc'}` | {kind} | {' | '.join(f'{part:.1f}' for part in parts)} "
        f"| {row['mAP@all']['binary']:.4f} | {against['value']:+.4f} [{against['low']:+.4f}, {against['high']:+.4f}] "
        f"| {verdict} | {others} | {row['cpu']} |"
    )


def page(cells: Mapping[str, Mapping[str, Any]], about: Mapping[str, Any], command: str) -> str:
    """The results as markdown."""
    lines = [
        "# Seconds from ready-made vectors to a hash\n",
        f"`train.py experiment=embeddings`, {BITS} bits, one seed. {where(about)}.\n",
        f"    {command}\n",
        "*To the artifact*: from before the first vector is read to the artifact on disk: reading and checking the "
        "vectors, the artifact of the network before training, training or fit, the artifact. *Training*: "
        "`training.wall_seconds`, of the epochs with validation, or of features and fit. *Start*: imports, labels and "
        "split. *Evaluation*: all that comes after the artifact, with baselines, intervals and report. The difference "
        "is that of mAP@all to the row `itq` of the same run, with its 95 % interval, paired over the queries: "
        "`method=itq` is that row. *Others*: cores that other work kept busy meanwhile, in the mean; where there is a "
        "dash, some did.\n",
    ]
    for name, rows in cells.items():
        first = next(iter(rows.values()))
        reached, protocol = first["mAP@all"], first["protocol"]
        lines += [
            f"## {SETS[name].title}\n",
            f"{protocol['query']:,} queries, {protocol['database']:,} database vectors, {protocol['train']:,} of them "
            f"trained on. mAP@all of the floats {reached['exhaustive']:.4f}, of `itq` {reached['itq']:.4f}, of "
            f"`itq_cca` {reached['itq_cca']:.4f}.\n",
            "| `experiment=embeddings` with | labels | to the artifact, s | training | start | evaluation | whole run "
            "| mAP@all | − `itq` | target | others | CPU |",
            f"|{'---|' * 12}",
            *(row_line(method, row, SETS[name].target) for method, row in rows.items()),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Run every row, and write the results after each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, help="folder of the deep features")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where made vectors and runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results, which are added to")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    command, file = "python benchmarks/time_to_hash.py --vectors DIR", given.out / "time_to_hash.json"
    before = json.loads(file.read_text()) if file.is_file() else {"cells": {}}
    cells, about = before["cells"], before.get("environment")
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        files = files_of(name, given.vectors, given.runs)
        rows = dict(cells.get(name, {}))
        for method in given.methods:
            rows[method] = timed(*files, METHODS[method][1], runs=given.runs / "time_to_hash")
            about = {**rows[method].pop("environment"), "command": command}
            rows[method]["cpu"] = about["machine"]["cpu"]
        assert about is not None
        cells[name] = {method: rows[method] for method in METHODS if method in rows}
        ordered = {known: cells[known] for known in SETS if known in cells}
        file.write_text(json.dumps({"command": command, "environment": about, "cells": ordered}, indent=1) + "\n")
        (given.out / "time_to_hash.md").write_text(page(ordered, about, command))
    print((given.out / "time_to_hash.md").read_text())


if __name__ == "__main__":
    main()
