"""Other lengths of product-quantized codes without another training: quantizers refitted to a network's embeddings.

    python benchmarks/dqn_lengths.py --artifact RUN/artifact --root DIR     DIR/{train,test}.parquet of CIFAR-10

RUN is that of `python benchmarks/quality.py dqn_cifar10`. PQ and OPQ are fitted to the embeddings of its training
images, database and queries are measured with them. Writes benchmarks/results/dqn_lengths.json and .md.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from quality import where

from dqh.artifact import load_artifact
from dqh.data import prepare
from dqh.data.parquet import Parquet
from dqh.encoding.encode import encode
from dqh.environment import environment
from dqh.evaluation.references import by_codes, compare
from dqh.evaluation.retrieval import Retrieval
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer
from dqh.ranking.side import Side

RESULTS = Path(__file__).resolve().parent / "results"
LENGTHS = {12: (2, 64), 24: (3, 256), 32: (4, 256), 48: (6, 256)}
"""Bits: subspaces, codewords."""
PAPER = {12: 0.554, 24: 0.558, 32: 0.564, 48: 0.580}
"""mAP@all on CIFAR-10, Cao et al. 2016, Table 1: pretrained AlexNet, lossless images."""


def main() -> None:
    """Encode, fit, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True, help="folder of the artifact")
    parser.add_argument("--root", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    artifact = load_artifact(given.artifact)
    source = Parquet(root=given.root, train="train.parquet", test="test.parquet", name="cifar10_jpeg")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        data = prepare(
            source,
            artifact.split,
            artifact.encoder.spec,
            allow_duplicates=True,
            skipped_file=Path(scratch) / "skipped.csv",
        )
        train, query, database = (
            encode(artifact.encoder, artifact.quantizer, store=data.store, rows=rows, device=device, batch_size=256)
            for rows in (data.roles.train, data.roles.query, data.roles.database)
        )
    sides = [Side(each.codes, each.embedding, each.features, source.labels[each.rows]) for each in (query, database)]
    retrieval = Retrieval(map_cutoffs=(None, 1000), precision_cutoffs=(100,))

    def measured(quantizer: ProductQuantizer) -> dict[str, float]:
        coded = [side._replace(codes=quantizer.encode(side.embedding)) for side in sides]
        reference = by_codes(*coded, quantizer=quantizer, device=device)
        (row,) = compare(reference, "aqd", items=len(database.rows), retrieval=retrieval).rows
        return {name: float(row[name]) for name in ("mAP@all", "mAP@1000", "P@100")}

    quantizer = artifact.quantizer
    assert isinstance(quantizer, ProductQuantizer), "the artifact must have product-quantized codes"
    cells = []
    for bits, (subspaces, codewords) in LENGTHS.items():
        for kind in (ProductQuantizer, OptimizedProductQuantizer):
            fitted = kind(subspaces, codewords, seed=0).fit(train.embedding)
            fitted.distance = quantizer.distance
            found = measured(fitted)
            name = "opq" if kind is OptimizedProductQuantizer else "pq"
            cells.append({"bits": bits, "subspaces": subspaces, "codewords": codewords, "codebooks": name} | found)
            print(cells[-1], flush=True)
    size = {"bits": quantizer.bits, "subspaces": quantizer.subspaces, "codewords": quantizer.codewords}
    cells.append(size | {"codebooks": "learned"} | measured(quantizer))
    write(given.out, cells, distance=quantizer.distance, queries=len(query.rows), items=len(database.rows))


def write(out: Path, cells: list[dict[str, object]], *, distance: str, queries: int, items: int) -> None:
    """Write the two files."""
    command = "python benchmarks/dqn_lengths.py --artifact RUN/artifact --root DIR"
    about = environment(seed=0, command=command)
    by = "squared L2" if distance == "l2" else "inner product"
    lines = [
        "# Deep Quantization Network: other lengths by refitting quantizers\n",
        "The network of dqn_cifar10.md, trained once at 32 bits; PQ and OPQ fitted to the embeddings of its training "
        f"images. AQD by {by}, {queries:,} queries, {items:,} database images (JPEG copies). Paper: Cao et al. "
        f"2016, pretrained AlexNet, lossless images, trained for each length. {where(about)}.\n",
        f"    {command}\n",
        "| bits | M × K | codebooks | mAP@all | mAP@1000 | P@100 | paper, mAP@all |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in sorted(cells, key=lambda cell: cell["bits"]):
        numbers = " | ".join(f"{cell[name]:.4f}" for name in ("mAP@all", "mAP@1000", "P@100"))
        size = f"{cell['subspaces']} × {cell['codewords']}"
        lines.append(f"| {cell['bits']} | {size} | {cell['codebooks']} | {numbers} | {PAPER[cell['bits']]:.3f} |")
    out.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "environment": about, "cells": cells}
    (out / "dqn_lengths.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "dqn_lengths.md").write_text("\n".join(lines) + "\n")
    print((out / "dqn_lengths.md").read_text())


if __name__ == "__main__":
    main()
