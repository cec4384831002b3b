"""Every method on the same data: digits and MNIST from scratch, 32 bits, with shallow quantizers on the same features.

    python benchmarks/networks.py digits
    python benchmarks/networks.py mnist --root DIR        DIR/MNIST/raw holds the four files of MNIST

Each cell, a method and a seed, is a run of `train.py method=…`; what is done already under --runs is not done again.
Writes benchmarks/results/networks_<name>.json and .md.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quality import RESULTS, mean_and_sd, rows_table, train, where

METHODS = ("dlbhc", "dqn", "hashnet", "greedyhash", "orthohash", "csq")
BITS = 32
COLUMNS = ("mAP@all", "mAP@1000", "P@100")
SHALLOW = "search.baselines=[lsh,sh,itq,itq_cca,ksh,vq,pq,opq]"
DATA: Mapping[str, Sequence[str]] = {
    "digits": (),
    "mnist": (
        *("data=mnist", "split.protocol=counts", "split.query=1000", "split.train=20000", "split.database=60000"),
        *("split.validation=1000", "optimizer=adamw", "augment.padding=2", "augment.rotation=10", "trainer.epochs=6"),
        *("trainer.batch_size=128", "trainer.precision=bf16-where-fast", "search.timed_queries=0"),
    ),
}
ABOUT = {
    "digits": "The handwritten digits of scikit-learn: 300 queries, 1,497 database images, trained on but for 150 that "
    "choose the epoch.",
    "mnist": "1,000 queries and 60,000 database images drawn for each seed, 20,000 of them trained on but for "
    "1,000 that choose the epoch.",
}


def main() -> None:
    """Run what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=DATA)
    parser.add_argument("--root", type=Path, help="folder of the data, for mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if (given.root is None) == (given.name == "mnist"):
        parser.error("--root is for mnist, and needed there")
    data = [*DATA[given.name], *([f"data.root={given.root.resolve()}"] if given.root else [])]
    cells = {}
    for method in METHODS:
        own = ["without_h=softmax" if method == "dlbhc" else "without_h=none"]
        own += [SHALLOW] if method in ("dlbhc", "dqn") else []
        arguments = [f"method={method}", *data, *own]
        cells[method] = train(arguments, bits=BITS, seeds=given.seeds, runs=given.runs)
    command = f"python benchmarks/networks.py {given.name}{' --root DIR' if given.root else ''}"
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"networks_{given.name}.md").write_text(page(given.name, cells, command))
    kept = {
        method: [
            {"seed": each["protocol"]["seed"], "rows": each["rows"], "training": each["training"]} for each in same
        ]
        for method, same in cells.items()
    }
    content = {"command": command, "environment": public(cells, command), "methods": kept}
    (given.out / f"networks_{given.name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print((given.out / f"networks_{given.name}.md").read_text())


def public(cells: Mapping[str, Sequence[Mapping[str, Any]]], command: str) -> dict[str, Any]:
    """The environment of the first cell, with the command of them all."""
    return {**cells[METHODS[0]][0]["environment"], "command": command}


def page(name: str, cells: Mapping[str, Sequence[Mapping[str, Any]]], command: str) -> str:
    """The results as markdown: the codes of each method, then all rows of each."""
    seeds, epochs = len(cells[METHODS[0]]), cells[METHODS[0]][0]["training"]["epochs"]
    lines = [
        f"# All methods on {'MNIST' if name == 'mnist' else name}, {BITS} bits\n",
        f"{ABOUT[name]} The same backbone and recipe for all, {epochs} epochs, the default options of each method; "
        f"mean ± standard deviation over {seeds} seeds. {where(public(cells, command))}.\n",
        f"    {command}\n",
        "The codes alone, by Hamming distance or by look-up tables:\n",
        f"| method | row | {' | '.join(COLUMNS)} | minutes of training |",
        f"|---|---|{'---|' * (len(COLUMNS) + 1)}",
    ]
    for method, same in cells.items():
        for row in same[0]["rows"]:
            if row["search"] in ("binary", "aqd_ip", "aqd_l2"):
                rows = [next(each for each in cell["rows"] if each["search"] == row["search"]) for cell in same]
                values = [mean_and_sd([each[column] for each in rows]) for column in COLUMNS]
                minutes = mean_and_sd([cell["training"]["wall_seconds"] / 60 for cell in same], 2)
                lines.append(f"| {method} | `{row['search']}` | {' | '.join(values)} | {minutes} |")
    for method, same in cells.items():
        lines += [f"\n## {method}: all rows\n", *rows_table(same, COLUMNS)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
