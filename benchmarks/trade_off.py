"""Accuracy, speed and memory of searches of real deep features, at 10,000, 99,000 and 1,000,000 of them.

    python benchmarks/trade_off.py --root DIR    DIR/features_pca128_f16.npy, (100000, 128) float16, and labels.npy

A run of `evaluate.py study=search`, by one thread and its own clock; the features beyond the 99,000 are made up. Writes
benchmarks/results/trade_off.md, .csv, .json and its pictures.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dqh.environment import environment
from dqh.evaluation.study.search_result import SearchResult

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SETTINGS = (
    *("study.sizes=[10000,99000,1000000]", "study.grow=true", "study.codes=[itq,pq]", "study.bits=128"),
    *(
        "split.query=1000",
        "split.allow_duplicates=true",
        "study.queries=500",
        "study.timed_queries=50",
        "study.clock=cpu",
    ),
)
NAME = "trade_off"


def run(root: Path, runs: Path) -> dict[str, Any]:
    """The study; what its `study.json` says."""
    data = [f"data.features={root / 'features_pca128_f16.npy'}", f"data.labels={root / 'labels.npy'}"]
    command = [sys.executable, str(ROOT / "evaluate.py"), "study=search", "data=features", *data, *SETTINGS]
    command += ["data.name=deepfeatures", f"runs={runs}"]
    one = os.environ | {"OMP_NUM_THREADS": "1"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=one).stdout
    page = next(line.split(maxsplit=1)[1] for line in printed.splitlines() if line.startswith("study "))
    return json.loads(Path(page).with_name("study.json").read_text())


def note(about: dict[str, Any], more: str) -> str:
    """What must be known to read the numbers, and where they were made."""
    machine, versions = about["machine"], about["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("dqh", "torch", "numpy", "faiss-cpu"))
    return (
        "Features of MobileNetV2 of photos, 128 principal components, of 200 classes; those beyond 99,000 mix two of "
        "one cell of k-means, and have no labels. What is timed begins at the features of a query. "
        f"{machine['cpu']}, Python {machine['python']}, {packages}, {about['date'][:10]}. {more}".rstrip()
    )


def main() -> None:
    """Run the study, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--root", type=Path, help="folder of the features and their labels")
    source.add_argument("--study", type=Path, help="study.json of a run that is there already, with these settings")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the run goes")
    parser.add_argument("--note", default="", help="a sentence more about the machine")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    found = json.loads(given.study.read_text()) if given.study else run(given.root.resolve(), given.runs.resolve())
    command = "python benchmarks/trade_off.py --root DIR"
    about = environment(command=command, seed=0)
    given.out.mkdir(parents=True, exist_ok=True)
    result = SearchResult(found["protocol"] | {"environment": about}, found["rows"])
    result.write(given.out, command=command, name=NAME, note=note(about, given.note))
    print((given.out / f"{NAME}.md").read_text())


if __name__ == "__main__":
    main()
