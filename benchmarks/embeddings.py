"""Codes by H alone: `train.py experiment=embeddings_linear` on deep features, and on features of clothing photos.

    python benchmarks/embeddings.py --vectors DIR --root DIR --weights FILE

--vectors has features_pca128_f16.npy and labels.npy, MobileNetV2 features of Tiny-ImageNet after PCA; --root has the
photos DIR/{train,test,validation}/<class>/*.jpg, whose features are made once and kept in --runs. Writes
benchmarks/results/embeddings.json and .md.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from features import cache
from quality import RESULTS, rows_table, train, where

from dqh.data import ImageFolder

CLOTHING = ("split.query=372", "split.validation=341", "search.pool=100")
COLUMNS = ("mAP@all", "P@10", "P@100")


def main() -> None:
    """Run what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, help="folder of the deep features")
    parser.add_argument("--root", type=Path, required=True, help="folder of the clothing photos")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of MobileNetV2")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where features and runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    photos = given.runs / "clothing_features"
    roles = {"query": "test", "database": "train", "validation": "validation"}
    cache(photos, ImageFolder(root=given.root, roles=roles), size=128, resize=144, weights=given.weights)
    cells = {}
    for bits in (32, 64, 128):
        vectors = (given.vectors / "features_pca128_f16.npy", given.vectors / "labels.npy")
        title = f"100,000 vectors of 128 values, 200 classes, {bits} bits"
        cells[title] = embed(*vectors, (), bits=bits, runs=given.runs)
    vectors = (photos / "features.npy", photos / "labels.npy")
    cells["3,781 vectors of 1,280 values, ten kinds of clothing, 64 bits"] = embed(
        *vectors, CLOTHING, bits=64, runs=given.runs
    )
    command = "python benchmarks/embeddings.py --vectors DIR --root DIR --weights FILE"
    about = {**next(iter(cells.values()))["environment"], "command": command}
    lines = [
        "# Codes for ready-made vectors by H alone\n",
        f"`experiment=embeddings_linear`. {where(about)}.\n",
        f"    {command}\n",
    ]
    for title, cell in cells.items():
        protocol = cell["protocol"]
        lines += [
            f"## {title}\n",
            f"{protocol['query']:,} queries, {protocol['database']:,} database vectors, {protocol['train']:,} trained "
            f"on, {cell['training']['wall_seconds']:.0f} s of training with validation.\n",
            *rows_table([cell], COLUMNS),
            "",
        ]
    given.out.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "environment": about, "cells": cells}
    for cell in cells.values():
        cell["environment"]["command"] = command
    (given.out / "embeddings.json").write_text(json.dumps(content, indent=1) + "\n")
    (given.out / "embeddings.md").write_text("\n".join(lines).rstrip() + "\n")
    print((given.out / "embeddings.md").read_text())


def embed(features: Path, labels: Path, more: tuple[str, ...], *, bits: int, runs: Path) -> dict[str, Any]:
    """Train and evaluate one length; what `metrics.json` says."""
    data = [f"data.features={features.resolve()}", f"data.labels={labels.resolve()}"]
    (cell,) = train(["experiment=embeddings_linear", *data, *more], bits=bits, seeds=[0], runs=runs)
    return cell


if __name__ == "__main__":
    main()
