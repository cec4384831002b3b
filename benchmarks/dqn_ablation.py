"""What each part of the Deep Quantization Network is worth: a bottleneck on cached features, one option at a time.

    python benchmarks/dqn_ablation.py --root DIR --weights FILE      DIR/train.parquet and DIR/test.parquet of CIFAR-10

The features are those of MobileNetV2 with ImageNet weights, made once and kept in --runs. 1,000 queries, 5,000 train,
15,000 further images as the database, drawn for each seed; 32 bits. Each variant is a run of `train.py` for each seed;
what is done already is not done again. Writes benchmarks/results/dqn_ablation.json and .md.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from features import cache
from quality import RESULTS, mean_and_sd, train, where

from dqh.data.parquet import Parquet

COMMON = (
    *("experiment=embeddings_linear", "method=dqn", "split.query=1000", "split.train=5000", "split.database=15000"),
    *("split.database_includes_train=false", "split.validation=500", "search.timed_queries=0", "optimizer.lr=0.01"),
    *("search.baselines=[]", "optimizer.weight_decay=0.5", "trainer.epochs=15", "trainer.batch_size=256"),
)
AFTERWARDS = "search.baselines=[pq,opq]"  # also of the 1,280 values of a feature, which takes most of the time
STRAIGHT = "method.codebook=straight_through"
VARIANTS: Mapping[str, Sequence[str]] = {
    "default: λ = 1e-4, as the authors' release": (AFTERWARDS,),
    "no Q (k-means after the fact)": ("method.quantization_weight=0", AFTERWARDS),
    "λ = 1e-3": ("method.quantization_weight=1.0e-3",),
    "λ = 1e-2": ("method.quantization_weight=1.0e-2",),
    "λ = 1e-1": ("method.quantization_weight=1.0e-1",),
    "λ = 1": ("method.quantization_weight=1",),
    "straight-through codebooks, λ = 1e-1": (STRAIGHT, "method.quantization_weight=1.0e-1", AFTERWARDS),
    "straight-through codebooks, λ = 1": (STRAIGHT, "method.quantization_weight=1"),
    "OPQ rotation": ("method.rotation=true", AFTERWARDS),
    "inner-product loss, z as it is": ("method.similarity=inner_product", "method.normalise=false"),
    "z as it is": ("method.normalise=false",),
    "negative target 0": ("method.negative_target=0",),
    "negative target −1/(C−1)": ("method.negative_target=balanced",),
    "positive pairs weigh as negative ones": ("method.positive_weight=balanced",),
    "diagonal left out": ("method.diagonal=false",),
    "codebooks every second epoch": ("method.refit_every=2",),
}
COLUMNS = (
    "aqd_l2",
    "aqd_ip",
    "aqd_cosine",
    "embedding_l2",
    "embedding_cosine",
    "pq_embedding",
    "opq_embedding",
)


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
    source = Parquet(root=given.root, train="train.parquet", test="test.parquet", size=32, name="cifar10_jpeg")
    cache(given.runs / "features", source, size=96, resize=96, weights=given.weights)
    data = [f"data.{name}={(given.runs / 'features' / f'{name}.npy').resolve()}" for name in ("features", "labels")]
    cells = {
        name: train([*COMMON, *data, *VARIANTS[name]], bits=32, seeds=given.seeds, runs=given.runs)
        for name in given.variants
    }
    about = next(iter(cells.values()))[0]["environment"]
    command = "python benchmarks/dqn_ablation.py --root DIR --weights FILE"
    lines = [
        "# Deep Quantization Network: one option at a time\n",
        "CIFAR-10 as JPEG copies, 1,000 queries, 5,000 train, 15,000 further images as the database, drawn for each "
        "seed; 32 bits as 4 × 256 codewords; a bottleneck of 288 units on features of MobileNetV2 with ImageNet "
        "weights (96 pixels, pool), which stay as they are. mAP@all, mean ± standard deviation over "
        f"{len(given.seeds)} seeds. `pq_embedding` and `opq_embedding` are fitted after the training to the same "
        "embeddings, and searched as the codes of the network are, by inner product where z has length 1. "
        f"{where(about)}.\n",
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
