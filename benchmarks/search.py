"""Search against faiss in the same process, against what bounds it, and against exhaustive search of a collection.

    python benchmarks/search.py --root DIR [--codes 1000000] [--rounds 9] [--parts hamming aqd …]

DIR/features_pca128_f16.npy, (100000, 128) float16, is what the parts `collection` and `engines` need; the others search
random codes. Each row is of works that take turns in this process, and tells the median of their ratios. Writes
benchmarks/results/search.json and search.md after every part.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch and faiss read it, as train.py and evaluate.py do

import faiss
import search_collection as collection
import search_kernels as kernels
import torch
from pairs import Row, Seconds, table
from quality import RESULTS, where

from dqh.environment import environment
from dqh.native.extension import extension

PARTS = {
    "hamming": "The k nearest by Hamming distance",
    "threads": "Two threads",
    "filters": "Filters",
    "aqd": "The k nearest by product-quantized codes",
    "histograms": "Histograms for mAP",
    "rerank": "Re-ranking by features",
    "sizes": "How long a query takes alone",
    "collection": "A collection of 99,000 deep features of 4,096 dimensions",
    "engines": "Approximate engines over the same collection",
}

ABOUT = {
    "collection": (
        f"{collection.EXHAUSTIVE}, against codes alone and against coarse-to-fine search of an index on disk. The "
        "features are 128 principal components of MobileNetV2 features of photos, lifted by a fixed orthonormal "
        f"matrix, float16 in the index; {collection.HELD_OUT:,} other rows are the queries. What is timed begins at "
        "the embedding of a query. Coarse-to-fine reads features from the map, in the page cache, and compares every "
        "row with its checksum; both return row numbers. Paths and labels are looked up when they are first read, "
        "which is told apart. Recall: share of the 100 rows of exhaustive search that are among the 100 returned, "
        "mean of all queries. Stages: medians of 200 queries, wall.\n"
    ),
    "engines": (
        "As they are by default; recall@100 is the share of 100 answers that are no farther by code than the 100th of "
        "the exact engine, mean of 200 queries.\n"
    ),
}


def page(parts: dict[str, Any]) -> str:
    """The results as markdown."""
    lines = [
        "# Speed of search\n",
        "Ratios are medians of turns in one process, theirs to ours, with the least and the largest; of CPU seconds, "
        "but those of several threads, which are of wall seconds. Milliseconds are medians, CPU first, then wall. One "
        "thread where none is named, for faiss as for ours. Codes are random but in the last two parts.",
    ]
    for name, part in parts.items():
        lines += [
            f"\n## {PARTS[name]}\n",
            f"{where(part['environment'])}, instruction set {part['set']}, {part['rounds_each']} turns.\n",
            f"    {part['environment']['command']}\n",
            *([ABOUT[name]] if name in ABOUT else []),
            *table([row_of(values) for values in part["rows"]]),
            *(collection.recall_lines(part["recalls"]) if "recalls" in part else []),
            *(collection.engine_lines(part["engines"]) if "engines" in part else []),
        ]
    return "\n".join([*lines, ""])


def row_of(values: dict[str, Any]) -> Row:
    """As it was before it was written."""
    return Row(**values | {side: Seconds(*values[side]) for side in ("ours", "theirs")})


def measures(arguments: argparse.Namespace, folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """What measures each part, and gives its rows and what else it says."""

    def only_rows(measure: Callable[[], list[Row]]) -> Callable[[], dict[str, Any]]:
        return lambda: {"rows": measure()}

    codes, rounds = arguments.codes, arguments.rounds
    return {
        "hamming": only_rows(partial(kernels.hamming_rows, codes, rounds)),
        "threads": only_rows(partial(kernels.thread_rows, codes, rounds)),
        "filters": only_rows(partial(kernels.filter_rows, codes, rounds)),
        "aqd": only_rows(partial(kernels.aqd_rows, codes, rounds)),
        "histograms": only_rows(partial(kernels.histogram_rows, rounds)),
        "rerank": only_rows(partial(kernels.rerank_rows, rounds)),
        "sizes": only_rows(partial(kernels.size_rows, rounds)),
        "collection": partial(collection.collection_rows, arguments.root, folder, rounds),
        "engines": partial(collection.engine_rows, arguments.root, rounds),
    }


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of features_pca128_f16.npy")
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="the rest as measured before")
    parser.add_argument("--folder", type=Path, help="where indexes go, 3.3 GB; a temporary folder by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    native = extension()
    if native is None:
        parser.error("dqh._native is not built here")
    if arguments.root is None and {"collection", "engines"} & {*arguments.parts}:
        parser.error("the parts collection and engines need --root")
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "search.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for part in arguments.parts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            measured = measures(arguments, Path(folder))[part]()
        root = " --root DIR" if part in ("collection", "engines") else ""
        results[part] = measured | {
            "rows": [row._asdict() for row in measured["rows"]],
            "rounds_each": arguments.rounds,
            "set": native.instruction_set(),
            "environment": environment(command=f"python benchmarks/search.py{root} --parts {part}", seed=0),
        }
        results = {name: results[name] for name in PARTS if name in results}
        file.write_text(json.dumps(results, indent=1) + "\n")
        file.with_suffix(".md").write_text(page(results))


if __name__ == "__main__":
    main()
