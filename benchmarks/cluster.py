"""Clusterings of one data set side by side: time of preparing, encoding, clustering, memory, distortion, purity.

    OMP_NUM_THREADS=1 python benchmarks/cluster.py deepfeatures --data DIR
    OMP_NUM_THREADS=2 python benchmarks/cluster.py vectors --points 10000000 --clusters 10000
    OMP_NUM_THREADS=2 python benchmarks/cluster.py codes --points 100000000 --clusters 85000 --codewords 8192
    OMP_NUM_THREADS=2 python benchmarks/cluster.py bits --points 10000000 --clusters 10000

deepfeatures   DIR/deepfeatures has features_pca128_f16.npy and labels.npy: 100,000 vectors of 128 numbers
vectors        points of 128 numbers around centres, from a seed
codes          codes alone of a product quantizer of two subspaces, of such points
bits           codes of 64 bits around centres, each bit turned with a chance of 10 %, from a seed

Data is written once, and every method maps it in a process of its own, one after another; cluster_data.py and
cluster_methods.py have both. Memory is the most that was resident beside the packages, so much of the data as was read
included. `--methods` chooses some. Writes benchmarks/results/cluster_PART….json and .md; what was measured by other
calls with the same sizes stays there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import torch
from cluster_data import CHUNK, Data, about, loaded, rows_of, set_threads, written
from cluster_methods import METHODS, Result
from numpy.typing import NDArray
from quality import RESULTS, where

from dqh.clustering.cluster_numbers import cluster_numbers
from dqh.cores import threads
from dqh.data.point_labels import PointLabels
from dqh.environment import environment
from dqh.quantizers.kmeans import nearest

LOOKED_AT = 2**17
"""Vectors, from a seed, whose distances are measured."""


def measured(given: argparse.Namespace, method: str) -> dict[str, Any]:
    """One method in this process."""
    set_threads(threads())
    faiss.omp_set_num_threads(threads())
    data = loaded(given.work)
    before = _most_memory()
    result = METHODS[given.part][method](data, given.clusters)
    memory = _most_memory() - before
    cell: dict[str, Any] = {"method": method, "memory_mib": memory, "note": result.note, "own": result.own}
    for name in ("prepare", "encode", "cluster"):
        cell[name], cell[f"{name}_wall"] = getattr(result, name)
    if data.points.dtype != np.uint8:
        cell |= distortions(data, result)
    if data.labels is not None:
        cell["purity"] = purity(result.labels, data.labels)
    return cell


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def distortions(data: Data, result: Result) -> dict[str, float]:
    """Mean squared distance to the nearest centre, and to that of the label; means of vectors where there is none."""
    centres, labels = result.centres, result.labels
    if centres is None:
        filled = np.flatnonzero(np.bincount(labels))
        labels = np.searchsorted(filled, labels)
        centres = means(data.points, labels, len(filled))
    rows = rows_of(len(labels), LOOKED_AT)
    vectors = np.asarray(data.points[rows], np.float32)
    near = nearest(torch.from_numpy(vectors), torch.from_numpy(np.ascontiguousarray(centres, np.float32)))[1]
    by_label = ((vectors - centres[labels[rows]]) ** 2).sum(axis=1, dtype=np.float64)
    return {"nearest": float(near.double().mean()), "label": float(by_label.mean())}


def means(points: NDArray[Any], labels: NDArray[np.integer[Any]], clusters: int) -> NDArray[np.float32]:
    """Means of the points of each cluster; all have some."""
    sums = np.zeros((clusters, points.shape[1]))
    for start in range(0, len(points), CHUNK):
        order = np.argsort(labels[start : start + CHUNK], kind="stable")
        own, begins = np.unique(labels[start : start + CHUNK][order], return_index=True)
        sums[own] += np.add.reduceat(np.asarray(points[start : start + CHUNK], np.float64)[order], begins, axis=0)
    centres: NDArray[np.float32] = (sums / np.bincount(labels)[:, None]).astype(np.float32)
    return centres


def purity(labels: NDArray[np.int32], classes: NDArray[np.int64]) -> float:
    """Part of the points that are of the most frequent class of their cluster."""
    names = tuple(str(name) for name in range(int(classes.max()) + 1))
    known = PointLabels(np.arange(len(classes)), classes, names)
    share = cluster_numbers(labels, np.zeros(len(labels), np.float32), int(labels.max()) + 1, known).purity
    assert share is not None
    return share


def main() -> None:
    """Run the methods that are asked for, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=METHODS)
    parser.add_argument("--data", type=Path, help="folder of the data sets, for deepfeatures")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--codewords", type=int, default=8192, help="a half, of codes")
    parser.add_argument("--methods", nargs="+", help="which of them; else all of the part")
    parser.add_argument("--work", type=Path, help="folder of the data, which stays there; else a temporary one")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if given.part == "deepfeatures" and given.data is None:
        parser.error("deepfeatures needs --data DIR")
    if unknown := set(given.methods or ()) - set(METHODS[given.part]):
        parser.error(f"--methods must be of {', '.join(METHODS[given.part])}, got {', '.join(sorted(unknown))}")
    if given.cell:
        print(json.dumps(measured(given, given.cell) if given.cell != "data" else written(given.work, given)))
        return
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        work = given.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "points.npy").is_file():
            _child("data", work)
        told = about(work)
        cells = []
        for method in given.methods or METHODS[given.part]:
            cells.append(_child(method, work))
            print(cells[-1], flush=True)
    write(given, cells, told)


def _child(method: str, work: Path) -> dict[str, Any]:
    """What one method measures in a process of its own, or why it did not."""
    command = [sys.executable, __file__, *sys.argv[1:], "--work", str(work), "--cell", method]
    ended = subprocess.run(command, capture_output=True, text=True, check=method == "data")
    if ended.returncode:
        return {"method": method, "failed": (ended.stderr.strip().splitlines() or ["ended"])[-1]}
    cell: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return cell


def write(given: argparse.Namespace, cells: list[dict[str, Any]], told: Mapping[str, Any]) -> None:
    """Write the two files, with what other calls measured on the same data."""
    name = given.part if given.part == "deepfeatures" else f"{given.part}_{given.points}_{given.clusters}"
    file = given.out / f"cluster_{name}.json"
    sizes = {"points": given.points, "clusters": given.clusters, "codewords": given.codewords, "threads": threads()}
    command = f"OMP_NUM_THREADS={threads()} python benchmarks/cluster.py {given.part}"
    command += " --data DIR" * (given.part == "deepfeatures")
    command += f" --points {given.points} --clusters {given.clusters}"
    command += f" --codewords {given.codewords}" * (given.part == "codes")
    now = environment(seed=0, command=command)
    for cell in cells:
        cell["date"], cell["commit"] = now["date"], now["versions"]["commit"]
        cell["cpu"] = now["machine"]["cpu"]
    if file.is_file() and (old := json.loads(file.read_text()))["sizes"] == sizes:
        new, cpu = {cell["method"] for cell in cells}, old["environment"]["machine"]["cpu"]
        cells = [{"cpu": cpu, **cell} for cell in old["cells"] if cell["method"] not in new] + cells
    order = list(METHODS[given.part])
    cells = sorted((cell for cell in cells if cell["method"] in order), key=lambda cell: order.index(cell["method"]))
    given.out.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "environment": now, "sizes": sizes, "data": dict(told), "cells": cells}
    file.write_text(json.dumps(content, indent=1) + "\n")
    file.with_suffix(".md").write_text("\n".join(page(given, content)) + "\n")
    print(file.with_suffix(".md").read_text())


def page(given: argparse.Namespace, content: Mapping[str, Any]) -> list[str]:
    """The lines of the table."""
    told = "".join(f", {value:,} {name}" for name, value in content["data"].items())
    lines = [
        f"# Clusterings of {given.points:,} {given.part}, {given.clusters:,} clusters\n",
        f"{where(content['environment'])}. `{content['command']}`\n",
        f"{given.points:,} points{told}, {threads()} threads. Seconds are those of the processor, of all threads, and",
        "in brackets those of the clock. Assignment of all vectors after training stands under encoding, as does the",
        "histogram of codes. Distortion: mean squared distance of the vectors to the nearest centre, and to the centre",
        f"of their own label, of {min(LOOKED_AT, given.points):,} of them; where centres are codes, to the mean of the",
        "vectors of a cluster; without vectors the method's own, of codes. MiB are the most that was resident beside",
        "the packages, so much of the data as was read included.\n",
        "| method | prepare | encode | cluster | MiB | nearest | label | purity | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in content["cells"]:
        if "failed" in cell:
            lines.append(f"| {cell['method']} | | | | | | | | not measured: {cell['failed']} |")
            continue
        times = [(cell[name], cell[f"{name}_wall"]) for name in ("prepare", "encode", "cluster")]
        seconds = " | ".join(f"{used:.2f} ({wall:.2f})" if used else "" for used, wall in times)
        own = f"{cell['own']:.3f}" if cell["own"] is not None and "nearest" not in cell else ""
        digits = 1 if cell.get("nearest", 0) > 100 else 4
        values = [f"{cell[name]:.{digits}f}" if name in cell else own for name in ("nearest", "label")]
        pure = f"{cell['purity']:.3f}" if "purity" in cell else ""
        memory, note = f"{cell['memory_mib']:,.0f}", cell["note"]
        if cell["cpu"] != content["environment"]["machine"]["cpu"]:
            note = "; ".join(filter(None, [note, f"measured before on {cell['cpu']}"]))
        lines.append(f"| {cell['method']} | {seconds} | {memory} | {' | '.join(values)} | {pure} | {note} |")
    return lines


if __name__ == "__main__":
    main()
