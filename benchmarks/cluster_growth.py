"""What the steps of IQ-means take by the number of codes: read, start, one assignment, update, labels.

    OMP_NUM_THREADS=2 python benchmarks/cluster_growth.py --work DIR --points 25000000 50000000 100000000

DIR holds the codes that `cluster.py codes --work DIR` wrote; of these the first so many are clustered. A line through
what was measured says what a step takes of more of them (`--of`), where it takes longer with more codes. Writes
benchmarks/results/cluster_growth.json and .md.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from cluster_data import Data, loaded, set_threads
from quality import RESULTS, where

from dqh.clustering.cell_assignment import assign_inverted, labels_of
from dqh.clustering.cell_points import Points, Space, points_of_codes
from dqh.clustering.cell_starts import spread_cells
from dqh.cores import threads
from dqh.environment import environment
from dqh.native import cell_kernels
from dqh.native.cell_kernels import NOBODY

WINDOW, TARGET = 256, 20
STEPS = {
    "read": "codes read, and the histogram of their cells",
    "start": "the centres chosen",
    "assign": "one assignment of cells by walks",
    "label": "labels of the points from those of their cells",
}


def measured(data: Data, points: int, clusters: int) -> dict[str, Any]:
    """Processor seconds of each step with the first codes, and what there was."""
    assert data.quantizer is not None
    native, cell = cell_kernels.kernels(), {"points": points}
    space = Space(data.quantizer)
    grid: Points = _timed(cell, "read", lambda: points_of_codes(data.points[:points], space))
    generator = np.random.default_rng(0)
    places = _timed(
        cell, "start", lambda: spread_cells(grid, clusters, window=WINDOW, generator=generator, native=native)
    )
    centres = space.middles(grid.grid.numbers[places])
    keys = np.full(len(grid.grid.numbers), NOBODY, np.uint64)
    target = TARGET * points // clusters
    _timed(
        cell,
        "assign",
        lambda: assign_inverted(
            space, grid.grid, centres, window=WINDOW, target=target, keys=keys, steps=0, native=native
        ),
    )
    unvisited = grid.grid.populations[keys == NOBODY].sum(dtype=np.int64) / points
    _timed(cell, "label", lambda: grid.labels(labels_of(keys)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return cell | {"cells": len(keys), "unvisited": float(unvisited), "memory_mib": memory}


def _timed(cell: dict[str, Any], name: str, work: Callable[[], Any]) -> Any:
    used, wall = time.process_time(), time.perf_counter()
    result = work()
    cell[name], cell[f"{name}_wall"] = time.process_time() - used, time.perf_counter() - wall
    return result


def line(cells: list[dict[str, Any]], name: str, points: int) -> float:
    """What a line through the measured values says of so many points, at least the last of them."""
    slope, height = np.polyfit([cell["points"] for cell in cells], [cell[name] for cell in cells], 1)
    return max(float(slope * points + height), cells[-1][name])


def main() -> None:
    """Measure the sizes one after another, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of codes, as cluster.py writes it")
    parser.add_argument("--clusters", type=int, default=85_000)
    parser.add_argument("--points", type=int, nargs="+", default=[25_000_000, 50_000_000, 100_000_000])
    parser.add_argument("--of", type=int, default=10**9, help="points that the lines are drawn to")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if len(given.points) < 2:
        parser.error(f"--points must be at least two sizes, for a line, got {given.points}")
    set_threads(threads())
    data = loaded(given.work)
    if max(given.points) > len(data.points):
        parser.error(f"--points must be at most {len(data.points):,}, the codes of {given.work}, got {given.points}")
    cells = []
    for points in sorted(given.points):
        cells.append(measured(data, points, given.clusters))
        print(cells[-1], flush=True)
    command = f"OMP_NUM_THREADS={threads()} python benchmarks/cluster_growth.py --work DIR --clusters {given.clusters}"
    command += " --points " + " ".join(str(points) for points in sorted(given.points))
    sizes = {"clusters": given.clusters, "of": given.of, "window": WINDOW, "target": TARGET, "threads": threads()}
    drawn = {name: line(cells, name, given.of) for name in STEPS}
    content = {"command": command, "environment": environment(seed=0, command=command), "sizes": sizes}
    content |= {"cells": cells, "line": drawn}
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "cluster_growth.json"
    file.write_text(json.dumps(content, indent=1) + "\n")
    file.with_suffix(".md").write_text("\n".join(page(content)) + "\n")
    print(file.with_suffix(".md").read_text())


def page(content: Mapping[str, Any]) -> list[str]:
    """The lines of the table."""
    sizes = content["sizes"]
    lines = [
        "# Steps of IQ-means by the number of codes\n",
        f"{where(content['environment'])}. `{content['command']}`\n",
        f"{sizes['clusters']:,} clusters, window {sizes['window']}, target {sizes['target']}, {sizes['threads']}",
        "threads; seconds of the processor, of all threads, and in brackets of the clock. Of more codes than were",
        "measured: a line through the measured ones, at least the last.\n",
        "| codes | cells with points | " + " | ".join(STEPS) + " | unvisited | MiB, packages included |",
        "|---|---|" + "---|" * (len(STEPS) + 2),
    ]
    for cell in content["cells"]:
        seconds = " | ".join(f"{cell[name]:.1f} ({cell[f'{name}_wall']:.1f})" for name in STEPS)
        ends = f"{cell['unvisited']:.1%} | {cell['memory_mib']:,.0f}"
        lines.append(f"| {cell['points']:,} | {cell['cells']:,} | {seconds} | {ends} |")
    drawn = " | ".join(f"{content['line'][name]:.0f}" for name in STEPS)
    lines.append(f"| {sizes['of']:,}, not measured | | {drawn} | | |\n")
    lines += [f"- {name}: {told}" for name, told in STEPS.items()]
    return lines


if __name__ == "__main__":
    main()
