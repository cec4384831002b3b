"""What each part of the Deep Quantization Network is worth: a bottleneck on cached features, one option at a time.

    python benchmarks/dqn_ablation.py --root DIR --weights FILE      DIR/train.parquet and DIR/test.parquet of CIFAR-10

The features are those of MobileNetV2 with ImageNet weights, made once and kept in --runs. Protocol cifar10: 1,000
queries, 5,000 train, 54,000 database, 32 bits. Each variant is a run of `train.py` for each seed; what is done already
is not done again. Writes benchmarks/results/dqn_ablation.json and .md.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality import RESULTS, mean_and_sd, train, where

from dqh.data import Protocol, prepare
from dqh.data.parquet import Parquet
from dqh.evaluation.encoding import encode
from dqh.models import Encoder, HashHead, MobileNetV2
from dqh.quantizers import Threshold

COMMON = (
    *("experiment=embeddings", "method=dqn", "split.protocol=cifar10", "split.query=null"),
    *("split.validation=500", "search.timed_queries=0", "search.baselines=[pq,opq]", "optimizer.lr=0.01"),
    *("optimizer.weight_decay=0.5", "trainer.epochs=15", "trainer.batch_size=256"),
)
VARIANTS: Mapping[str, Sequence[str]] = {
    "default": (),
    "no Q (k-means after the fact)": ("method.quantization_weight=0",),
    "λ = 1e-4 (authors' release)": ("method.quantization_weight=1.0e-4",),
    "λ = 1e-3": ("method.quantization_weight=1.0e-3",),
    "λ = 1e-2": ("method.quantization_weight=1.0e-2",),
    "λ = 1e-1": ("method.quantization_weight=1.0e-1",),
    "λ = 1": ("method.quantization_weight=1",),
    "inner-product loss, z as it is": ("method.similarity=inner_product", "method.normalise=false"),
    "negative target 0": ("method.negative_target=0",),
    "negative target −1/(C−1)": ("method.negative_target=balanced",),
    "negative target −1": ("method.negative_target=-1",),
    "positive pairs weigh as negative ones": ("method.positive_weight=balanced",),
    "all pairs weigh 1": ("method.positive_weight=1",),
    "diagonal left out": ("method.diagonal=false",),
    "z as it is": ("method.normalise=false",),
    "OPQ rotation": ("method.rotation=true",),
    "straight-through codebooks": ("method.codebook=straight_through",),
    "codebooks every second epoch": ("method.refit_every=2",),
}
COLUMNS = (
    "aqd_l2",
    "aqd_ip",
    "aqd_cosine",
    "sqd_l2",
    "embedding_l2",
    "embedding_cosine",
    "pq_embedding",
    "opq_embedding",
)


def cache(folder: Path, *, root: Path, weights: Path) -> None:
    """Write features.npy and labels.npy of all 60,000 images, if they are not there."""
    if (folder / "labels.npy").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    source = Parquet(root=root, train="train.parquet", test="test.parquet", size=32, name="cifar10_jpeg")
    backbone = MobileNetV2(tap="pool", size=96, weights=str(weights))
    encoder = Encoder(backbone, HashHead(backbone.dimension, 8)).eval()
    split = Protocol("full").draw(source)
    with tempfile.TemporaryDirectory() as scratch:
        data = prepare(source, split, encoder.spec, allow_duplicates=True, skipped_file=Path(scratch) / "skipped.csv")
        rows = np.arange(len(source.ids))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        found = encode(encoder, Threshold(8), store=data.store, rows=rows, device=device, batch_size=256)
    assert np.array_equal(found.rows, rows), "every image must be usable"
    np.save(folder / "features.npy", found.features.astype(np.float16))
    np.save(folder / "labels.npy", source.labels)


def line(name: str, cells: Sequence[Mapping[str, Any]]) -> str:
    """One row of the table: mAP@all of each way of searching, mean ± standard deviation over the seeds."""
    texts = []
    for column in COLUMNS:
        values = [row["mAP@all"] for cell in cells for row in cell["rows"] if row["search"] == column]
        texts.append(mean_and_sd(values) if values else "–")
    return f"| {name} | {' | '.join(texts)} |"


def main() -> None:
    """Run what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of MobileNetV2")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="all by default")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where features and runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    cache(given.runs / "features", root=given.root, weights=given.weights)
    data = [f"data.{name}={(given.runs / 'features' / f'{name}.npy').resolve()}" for name in ("features", "labels")]
    cells = {
        name: train([*COMMON, *data, *VARIANTS[name]], bits=32, seeds=given.seeds, runs=given.runs)
        for name in given.variants
    }
    about = next(iter(cells.values()))[0]["environment"]
    command = "python benchmarks/dqn_ablation.py --root DIR --weights FILE"
    lines = [
        "# Deep Quantization Network: one option at a time\n",
        "CIFAR-10 as JPEG copies, protocol cifar10, 32 bits as 4 × 256 codewords; a bottleneck of 288 units on "
        "features of MobileNetV2 with ImageNet weights (96 pixels, pool), which stay as they are. mAP@all, mean ± "
        f"standard deviation over {len(given.seeds)} seeds. `pq_embedding` and `opq_embedding` are fitted "
        f"after the training to the same embeddings. {where(about)}.\n",
        f"    {command}\n",
        f"| variant | {' | '.join(f'`{column}`' for column in COLUMNS)} |",
        f"|---|{'---|' * len(COLUMNS)}",
        *(line(name, same) for name, same in cells.items()),
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    kept = {
        name: [{"seed": cell["protocol"]["seed"], "rows": cell["rows"]} for cell in same]
        for name, same in cells.items()
    }
    (given.out / "dqn_ablation.json").write_text(json.dumps({"command": command, "variants": kept}, indent=1) + "\n")
    (given.out / "dqn_ablation.md").write_text("\n".join(lines) + "\n")
    print((given.out / "dqn_ablation.md").read_text())


if __name__ == "__main__":
    main()
