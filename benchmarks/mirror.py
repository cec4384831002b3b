"""What features of an image and of its mirror image bring over those of the image alone, on the same weights.

    python benchmarks/mirror.py --artifact RUN/artifact --root DIR     DIR/{train,test}.parquet of CIFAR-10

RUN is that of `python benchmarks/quality.py cifar10`. Writes benchmarks/results/mirror.json and .md.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from encoded_cifar10 import DEVICE, arguments, encoded, opened
from encoded_cifar10 import write as write_results
from quality import where

from dqh.environment import environment
from dqh.evaluation.metrics import average_precision
from dqh.evaluation.references import accuracy
from dqh.index.ways import main_way

CUTOFF = 1000
COMMAND = "python benchmarks/mirror.py --artifact RUN/artifact --root DIR"


def main() -> None:
    """Encode both ways, measure, and write the results."""
    given = arguments(__doc__)
    cells = []
    with opened(given) as (artifact, data):
        for mirror in (False, True):
            artifact.encoder.spec = replace(artifact.encoder.spec, mirror=mirror)
            query, database = encoded(artifact, data, "query", "database")
            order = main_way(artifact.quantizer).order(query, database, artifact.quantizer, device=DEVICE)
            precisions = torch.cat(
                [
                    torch.stack([average_precision(buckets), average_precision(buckets, cutoff=CUTOFF)])
                    for buckets in order.buckets()
                ],
                dim=1,
            )
            cells.append(
                {
                    "mirror": mirror,
                    "mAP@all": float(precisions[0].mean()),
                    f"mAP@{CUTOFF}": float(precisions[1].mean()),
                    "accuracy": accuracy(artifact, query, data.source.class_names),
                    "average_precisions": precisions[0].tolist(),
                }
            )
            print({name: value for name, value in cells[-1].items() if name != "average_precisions"}, flush=True)
        bits = artifact.quantizer.bits
    write(given.out, cells, queries=len(query.labels), items=len(database.labels), bits=bits)


def write(out: Path, cells: list[dict[str, object]], *, queries: int, items: int, bits: int) -> None:
    """Write the two files."""
    about = environment(seed=0, command=COMMAND)
    alone, both = (np.array(cell.pop("average_precisions")) for cell in cells)
    draws = np.random.default_rng(0).integers(0, queries, (1000, queries))
    low, high = np.quantile((both - alone)[draws].mean(1), [0.025, 0.975])
    lines = [
        "# Features of an image and its mirror image\n",
        f"The network of cifar10.md, {bits} bits, with and without `backbone.mirror`: {queries:,} queries, {items:,} "
        f"database images (JPEG copies), all trained on. {where(about)}.\n",
        f"    {COMMAND}\n",
        "| features of | mAP@all | mAP@1000 | accuracy |",
        "|---|---|---|---|",
    ]
    for cell in cells:
        name = "both, their mean" if cell["mirror"] else "the image alone"
        numbers = " | ".join(f"{cell[name]:.4f}" for name in ("mAP@all", f"mAP@{CUTOFF}", "accuracy"))
        lines.append(f"| {name} | {numbers} |")
    difference = float((both - alone).mean())
    lines.append(
        f"\nmAP@all of both less that of the image alone: {difference:+.4f} ({low:+.4f} … {high:+.4f}, paired "
        "bootstrap over the queries, 95 %)."
    )
    content = {"command": COMMAND, "environment": about, "cells": cells, "difference": [difference, low, high]}
    write_results(out, "mirror", content, lines)


if __name__ == "__main__":
    main()
