"""Retrieval quality of trained codes on real data, with every row that keeps it honest.

    python benchmarks/quality.py mnist --root DIR                       DIR/MNIST/raw holds the four files of MNIST
    python benchmarks/quality.py cifar10 --root DIR                     DIR/train.parquet and DIR/test.parquet
    python benchmarks/quality.py clothing --root DIR --weights FILE     DIR/{train,test,validation}/<class>/*.jpg
    python benchmarks/quality.py pascal --root DIR --weights FILE       DIR/{query,train,database}.txt
    python benchmarks/quality.py dqn_cifar10 --root DIR --weights FILE, dqn_clothing, dqn_pascal    as above

Each cell, a number of bits and a seed, is a run of `train.py experiment=…`; what is done already under
--runs is not done again. Writes benchmarks/results/<name>.json and <name>.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


class Benchmark(NamedTuple):
    """One data set with its recipe.

    Attributes:
        experiment: of train.py.
        title: of the page.
        about: what must be known to read the numbers.
        arguments: of train.py, beside experiment, data.root, bits and seed.
        bits: lengths of the codes.
        seeds: of the runs.
        columns: of the table.
        without_h: whether the network without H is trained beside the first length, rather than left out.
    """

    experiment: str
    title: str
    about: str
    arguments: tuple[str, ...]
    bits: tuple[int, ...]
    seeds: tuple[int, ...]
    columns: tuple[str, ...]
    without_h: bool = True


JPEG = ("data=parquet", "data.name=cifar10_jpeg", "backbone.size=32")
BASELINES = "search.baselines=[lsh,sh,itq,itq_cca,ksh,pq,opq]"
BENCHMARKS = {
    "mnist": Benchmark(
        "dlbhc_mnist",
        "MNIST, official split, from scratch",
        "10,000 queries, 60,000 database images, 3,000 of which choose the epoch and are not trained on. Lin et al. "
        "2015 report an error of 0.47 % at 48 bits.",
        (),
        (48, 128),
        (0, 1, 2),
        ("mAP@all", "mAP@1000", "P@100", "P@1000"),
    ),
    "cifar10": Benchmark(
        "dlbhc_cifar10",
        "CIFAR-10 as JPEG copies, protocol full, from scratch",
        "10,000 queries, 50,000 database images, all of them trained on; the last epoch is kept. Features are the mean "
        "of those of an image and of its mirror image. The images are JPEG copies (quality 75, 4:2:0, about 30 dB), so "
        "results are lower than on the lossless originals. Lin et "
        "al. 2015 report mAP@1000 .8930 / .8972 / .8973 at 12 / 32 / 48 bits with a pretrained AlexNet, by the "
        "convention `deephash_pytorch`, that of their release.",
        JPEG,
        (48,),
        (0,),
        ("mAP@all", "mAP@1000", "P@100", "P@1000"),
        without_h=False,  # it would double an hour
    ),
    "clothing": Benchmark(
        "dlbhc_clothing",
        "Clothing photos, MobileNetV2 with ImageNet weights, fine-tuned",
        "372 queries (test), 3,068 database images (train, trained on), 341 validation images choose the epoch.",
        (),
        (64,),
        (0,),
        ("mAP@all", "P@10", "P@100"),
    ),
    "pascal": Benchmark(
        "dlbhc_pascal",
        "Pascal VOC photos with several labels each, MobileNetV2 with ImageNet weights, fine-tuned",
        "116 queries, 812 database images, 348 of which are trained on but for 48 that choose the epoch. Relevant is "
        "what shares a label.",
        (),
        (64,),
        (0,),
        ("mAP@all", "P@10", "P@100"),
    ),
    "dqn_cifar10": Benchmark(
        "dqn_cifar10",
        "Deep Quantization Network: CIFAR-10 as JPEG copies, protocol cifar10, MobileNetV2 fine-tuned at 96 pixels",
        "1,000 queries, 54,000 database images, 5,000 trained on but for 500 that choose the epoch. Cao et al. 2016 "
        "report mAP@all .554 / .558 / .564 / .580 at 12 / 24 / 32 / 48 bits with a pretrained AlexNet on lossless "
        "images. Baselines are fitted to the features of the trained network, `pq_embedding` and `opq_embedding` to "
        "its embedding.",
        (*JPEG[:2], BASELINES),
        (32,),
        (0,),
        ("mAP@all", "mAP@1000", "P@10", "P@100"),
        without_h=False,
    ),
    "dqn_clothing": Benchmark(
        "dqn_clothing",
        "Deep Quantization Network: clothing photos, MobileNetV2 with ImageNet weights, fine-tuned",
        "372 queries (test), 3,068 database images (train, trained on), 341 validation images choose the epoch.",
        (BASELINES,),
        (32,),
        (0,),
        ("mAP@all", "P@10", "P@100"),
        without_h=False,
    ),
    "dqn_pascal": Benchmark(
        "dqn_pascal",
        "Deep Quantization Network: Pascal VOC photos with several labels each, on MobileNetV2 with ImageNet weights",
        "116 queries, 812 database images, 348 of which are trained on; the backbone stays as it is, and the last "
        "epoch is taken. Relevant is what shares a label.",
        (BASELINES,),
        (32,),
        (0,),
        ("mAP@all", "P@10", "P@100"),
        without_h=False,
    ),
}


def run(arguments: Sequence[str], *, bits: int, seeds: Sequence[int], runs: Path) -> list[Path]:
    """Train and evaluate the seeds of one length; the folders of their runs."""
    command = [sys.executable, str(ROOT / "train.py"), "--multirun", *arguments]
    command += [f"bits={bits}", f"seed={','.join(map(str, seeds))}", f"runs={runs.resolve()}"]
    command.append("search.untrained_images=null")  # every row of a table over the same images
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    folder = Path(printed.strip().splitlines()[-1].split(maxsplit=1)[1]).parent
    return [folder / f"bits={bits},seed={seed}" for seed in seeds]


def train(arguments: Sequence[str], *, bits: int, seeds: Sequence[int], runs: Path) -> list[dict[str, Any]]:
    """Train and evaluate the seeds of one length; what their `metrics.json` say."""
    return [cell_of(folder) for folder in run(arguments, bits=bits, seeds=seeds, runs=runs)]


def cell_of(folder: Path) -> dict[str, Any]:
    """What the `metrics.json` of a run says, without the long parts."""
    content = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in content.items() if key not in ("curves", "health")}


def mean_and_sd(values: Sequence[float], digits: int = 4) -> str:
    """`0.9946 ± 0.0003`, or the value alone."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def where(environment: Mapping[str, Any]) -> str:
    """Machine, versions and date in a line."""
    machine, versions = environment["machine"], environment["versions"]
    packages = [f"{name} {versions[name]}" for name in ("dqh", "torch", "pytorch-lightning", "faiss-cpu")]
    device = ", ".join(machine["gpus"]) or machine["cpu"]
    cores, python = f"{machine['usable_cores']} cores", f"Python {machine['python']}"
    return ", ".join([device, cores, python, *packages, environment["date"][:10]])


def rows_table(cells: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """A markdown table of all rows, means over the seeds."""
    lines = [f"| row | {' | '.join(columns)} | accuracy | bytes / item |", f"|---|{'---|' * (len(columns) + 2)}"]
    for row in cells[0]["rows"]:
        same = [next(each for each in cell["rows"] if each["search"] == row["search"]) for cell in cells]
        values = [mean_and_sd([each[column] for each in same]) if column in row else "–" for column in columns]
        accuracy = mean_and_sd([each["accuracy"] for each in same]) if "accuracy" in row else "–"
        lines.append(f"| `{row['search']}` | {' | '.join(values)} | {accuracy} | {row['bytes_per_item']:,} |")
    return lines


def further(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tables of differences and conventions, and a line about the training."""
    first = cells[0]
    found, seed = first["intervals"], f" of seed {first['protocol']['seed']}" if len(cells) > 1 else ""
    names = [key.removesuffix("_low") for key in first["conventions"][0] if key.endswith("_low")]
    minutes = [cell["training"]["wall_seconds"] / 60 for cell in cells]
    return [
        f"Differences of {found['metric']}{seed}, paired bootstrap over the queries:\n",
        f"| difference | value | {100 * found['level']:.0f} % interval |",
        "|---|---|---|",
        *(
            f"| `{each['search']}` − `{each['against']}` | {each['value']:+.4f} "
            f"| {each['low']:+.4f} … {each['high']:+.4f} |"
            for each in found["pairs"]
        ),
        f"\nThe same codes{seed} under every convention, with the worst and the best order of ties:\n",
        f"| convention | {' | '.join(f'{name} | ties' for name in names)} |",
        f"|---|{'---|---|' * len(names)}",
        *(
            f"| `{each['convention']}` | "
            + " | ".join(f"{each[name]:.4f} | {each[f'{name}_low']:.4f} … {each[f'{name}_high']:.4f}" for name in names)
            + " |"
            for each in first["conventions"]
        ),
        f"\nMinutes of training: {', '.join(f'{each:.1f}' for each in minutes)}; epochs kept: "
        f"{', '.join(str(cell['training']['best_epoch']) for cell in cells)} of {first['training']['epochs']}.\n",
    ]


def page(benchmark: Benchmark, cells: Mapping[int, Sequence[Mapping[str, Any]]], command: str) -> str:
    """The results as markdown."""
    lines = [
        f"# {benchmark.title}\n",
        f"{benchmark.about} {where(next(iter(cells.values()))[0]['environment'])}.\n",
        f"    {command}\n",
    ]
    for bits, same in cells.items():
        over = f", means ± standard deviation over {len(same)} seeds" if len(same) > 1 else ""
        protocol = same[0]["protocol"]
        lines.append(f"## {bits} bits{over}\n")
        lines += [*rows_table(same, benchmark.columns), ""]
        lines.append(
            f"Convention {protocol['convention']}: ties {protocol['ties']}, normaliser {protocol['normaliser']}; "
            f"{protocol['pool_rule']}.\n"
        )
        lines += further(same)
    return "\n".join(lines)


def main() -> None:
    """Run what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--root", type=Path, required=True, help="folder of the data")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of MobileNetV2")
    parser.add_argument("--bits", type=int, nargs="+", help="lengths of the codes")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    benchmark = BENCHMARKS[given.name]
    arguments = [f"experiment={benchmark.experiment}", *benchmark.arguments, f"data.root={given.root.resolve()}"]
    command = f"python benchmarks/quality.py {given.name} --root DIR"
    if given.weights:
        arguments.append(f"backbone.weights={given.weights.resolve()}")
        command += " --weights FILE"
    for option in ("bits", "seeds"):
        if getattr(given, option):
            command += f" --{option} {' '.join(map(str, getattr(given, option)))}"
    cells = {}
    for number, bits in enumerate(given.bits or benchmark.bits):
        own = [*arguments, f"without_h={'softmax' if number == 0 and benchmark.without_h else 'none'}"]
        cells[bits] = train(own, bits=bits, seeds=given.seeds or benchmark.seeds, runs=given.runs)
    given.out.mkdir(parents=True, exist_ok=True)
    public = json.loads(json.dumps(cells))
    for same in public.values():
        for cell in same:
            cell["environment"]["command"] = command
    (given.out / f"{given.name}.json").write_text(json.dumps({"command": command, "cells": public}, indent=1) + "\n")
    (given.out / f"{given.name}.md").write_text(page(benchmark, cells, command))
    print((given.out / f"{given.name}.md").read_text())


if __name__ == "__main__":
    main()
