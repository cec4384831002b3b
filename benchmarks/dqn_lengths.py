"""Other lengths of product-quantized codes without another training: quantizers refitted to a network's embeddings.

    python benchmarks/dqn_lengths.py --artifact RUN/artifact --root DIR     DIR/{train,test}.parquet of CIFAR-10

RUN is that of `python benchmarks/quality.py dqn_cifar10`. PQ and OPQ are fitted to the embeddings of its training
images, database and queries are measured with them. Writes benchmarks/results/dqn_lengths.json and .md.
"""

from pathlib import Path

from encoded_cifar10 import DEVICE, arguments, encoded, opened
from encoded_cifar10 import write as write_results
from quality import where

from dqh.environment import environment
from dqh.evaluation.references import by_codes, compare
from dqh.evaluation.retrieval import Retrieval
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer

LENGTHS = {12: (2, 64), 24: (3, 256), 32: (4, 256), 48: (6, 256)}
"""Bits: subspaces, codewords."""
PAPER = {12: 0.554, 24: 0.558, 32: 0.564, 48: 0.580}
"""mAP@all on CIFAR-10, Cao et al. 2016, Table 1: pretrained AlexNet, lossless images."""


def main() -> None:
    """Encode, fit, measure, and write the results."""
    given = arguments(__doc__)
    with opened(given) as (artifact, data):
        train, query, database = encoded(artifact, data, "train", "query", "database")
    items = len(database.labels)
    retrieval = Retrieval(map_cutoffs=(None, 1000), precision_cutoffs=(100,))

    def measured(quantizer: ProductQuantizer) -> dict[str, float]:
        coded = [side._replace(codes=quantizer.encode(side.embedding)) for side in (query, database)]
        reference = by_codes(*coded, quantizer=quantizer, device=DEVICE)
        (row,) = compare(reference, "aqd", items=items, retrieval=retrieval).rows
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
    write(given.out, cells, distance=quantizer.distance, queries=len(query.labels), items=items)


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
    content = {"command": command, "environment": about, "cells": cells}
    write_results(out, "dqn_lengths", content, lines)


if __name__ == "__main__":
    main()
