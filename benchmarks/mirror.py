"""What features of an image and of its mirror image bring over those of the image alone, on the same weights.

    python benchmarks/mirror.py --artifact RUN/artifact --root DIR     DIR/{train,test}.parquet of CIFAR-10

RUN is that of `python benchmarks/quality.py cifar10`. Writes benchmarks/results/mirror.json and .md.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from quality import RESULTS, where

from dqh.artifact import load_artifact
from dqh.data import prepare
from dqh.data.parquet import Parquet
from dqh.encoding.encode import encode
from dqh.environment import environment
from dqh.evaluation.metrics import average_precision
from dqh.evaluation.references import accuracy
from dqh.index.ways import main_way
from dqh.ranking.side import Side

CUTOFF = 1000
COMMAND = "python benchmarks/mirror.py --artifact RUN/artifact --root DIR"


def main() -> None:
    """Encode both ways, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True, help="folder of the artifact")
    parser.add_argument("--root", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    artifact = load_artifact(given.artifact)
    source = Parquet(root=given.root, train="train.parquet", test="test.parquet", name="cifar10_jpeg")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cells = []
    with tempfile.TemporaryDirectory() as scratch:
        data = prepare(
            source,
            artifact.split,
            artifact.encoder.spec,
            allow_duplicates=True,
            skipped_file=Path(scratch) / "skipped.csv",
        )
        for mirror in (False, True):
            artifact.encoder.spec = replace(artifact.encoder.spec, mirror=mirror)
            query, database = (
                encode(artifact.encoder, artifact.quantizer, store=data.store, rows=rows, device=device, batch_size=256)
                for rows in (data.roles.query, data.roles.database)
            )
            sides = [
                Side(side.codes, side.embedding, side.features, source.labels[side.rows]) for side in (query, database)
            ]
            order = main_way(artifact.quantizer).order(*sides, artifact.quantizer, device=device)
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
                    "accuracy": accuracy(artifact, sides[0], source.class_names),
                    "average_precisions": precisions[0].tolist(),
                }
            )
            print({name: value for name, value in cells[-1].items() if name != "average_precisions"}, flush=True)
    write(given.out, cells, queries=len(query.rows), items=len(database.rows), bits=artifact.quantizer.bits)


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
    out.mkdir(parents=True, exist_ok=True)
    content = {"command": COMMAND, "environment": about, "cells": cells, "difference": [difference, low, high]}
    (out / "mirror.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "mirror.md").write_text("\n".join(lines) + "\n")
    print((out / "mirror.md").read_text())


if __name__ == "__main__":
    main()
