"""Every method on the same features, one table a data set: what each gains over ITQ, on classes it has seen and others.

    python benchmarks/methods.py DATA --root DIR      DATA: digits, mnist, cifar10, clothing, deepfeatures

DIR has mnist/, cifar10/test.parquet, clothing/{train,test,validation}/<class>/*.jpg,
weights/mobilenet_v2_imagenet.pt and deepfeatures/{features_pca128_f16,labels}.npy; the digits need nothing of it.
Methods are those of `conf/method`. Each cell, a method, a length and a seed, is a file below --runs; what is there is
not done again, nor is what the results have, and the page tells what is missing. --table writes the page of what is
there. Writes benchmarks/results/methods_DATA.json and .md.
"""

import argparse
import json
import logging
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from method_cells import FLOATS, Split, cell_of, composed, features_of, floats_of, methods, opened, require_roles
from quality import RESULTS, mean_and_sd, where
from recipes import cifar, clothing_vectors, deep, vectors

from dqh.data import Digits
from dqh.environment import environment
from dqh.errors import DqhError
from dqh.files import write_json, write_text
from dqh.training import Interrupted

BITS = (32, 64, 16)
"""In the order in which they are measured."""

RECIPES = (("embeddings_linear", 0.1), ("embeddings_linear", 0.01), ("embeddings", 0.01), ("embeddings", 0.003))
"""Experiments and learning rates of which validation images choose one for each method, at the first length and seed.

One layer, and a hidden one before it: codes that are given to classes beforehand (CSQ, DPN, OrthoHash, CNNH) lie in no
half-spaces of given features, and learn nothing of one layer.
"""

CLASSES = "softmax"
"""The method whose code is the class that it names: it has no length."""

EPOCHS = 3
LEAST_STEPS = 400
COMMON = (
    *(f"++trainer.epochs={EPOCHS}", f"++trainer.least_steps={LEAST_STEPS}"),
    *("++trainer.batch_size=256", "++trainer.device=cpu"),
)

Cells = Mapping[tuple[str, int, int], Mapping[str, Any]]
"""(method, bits, seed) → what was measured."""


class Data(NamedTuple):
    """One data set.

    Attributes:
        title: of the page.
        about: what must be known to read the numbers.
        split: arguments of train.py.
        vectors: folder of the data, folder of the runs → arguments that name ready-made vectors; None: they are those
            of a network that is trained here, for each seed.
        network: arguments of that training.
    """

    title: str
    about: str
    split: tuple[str, ...]
    vectors: Callable[[Path, Path], tuple[str, ...]] | None
    network: Callable[[Path], tuple[str, ...]] | None = None


def pixels(root: Path, runs: Path) -> tuple[str, ...]:
    """The 64 grey values of each digit."""
    folder = runs / "methods" / "digits_vectors"
    if not (folder / "labels.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        source = Digits()
        images = source.read_many(np.arange(len(source.ids)))
        np.save(folder / "features.npy", images[:, 0].reshape(len(images), -1).astype(np.float32))
        np.save(folder / "labels.npy", source.labels)
    return vectors(folder)


def mnist(root: Path) -> tuple[str, ...]:
    """Of the network for MNIST."""
    own = ("data=mnist", "optimizer=adamw", "augment.padding=2", "+augment.rotation=10", "++trainer.epochs=4")
    return (*own, f"data.root={(root / 'mnist').resolve()}", "++trainer.batch_size=128")


DATA = {
    "digits": Data(
        "the handwritten digits",
        "The 8 × 8 grey values of scikit-learn's digits; 300 queries, 150 rows that choose.",
        ("++split.query=300", "++split.validation=150", "++split.unseen=3"),
        pixels,
    ),
    "mnist": Data(
        "MNIST",
        "Features of a `small_resnet` that `method=softmax` trained for each seed, on 10,000 images less those of the "
        "unseen classes; 1,000 queries, 30,000 database images, 1,000 that choose.",
        (
            *("++split.protocol=counts", "++split.query=1000", "++split.train=10000", "++split.database=30000"),
            *("++split.validation=1000", "++split.unseen=3"),
        ),
        None,
        mnist,
    ),
    "cifar10": Data(
        "CIFAR-10 as JPEG copies",
        "MobileNetV2 features, ImageNet weights, 96 pixels, of the 10,000 test images as JPEG copies (quality 75, "
        "about 30 dB), so that results are lower than on the lossless originals; 1,000 queries, 1,000 that choose.",
        ("++split.query=1000", "++split.validation=1000", "++split.unseen=3"),
        cifar,
    ),
    "clothing": Data(
        "photos of clothing",
        "MobileNetV2 features, ImageNet weights, 128 pixels, of 3,781 photos of ten kinds; 500 queries, 350 images "
        "that choose.",
        ("++split.query=500", "++split.validation=350", "++split.unseen=3"),
        clothing_vectors,
    ),
    "deepfeatures": Data(
        "deep features",
        "100,000 MobileNetV2 features of Tiny-ImageNet, 128 principal components, 200 classes; 1,000 queries, 1,000 "
        "rows that choose.",
        ("++split.query=1000", "++split.validation=1000", "++split.unseen=60"),
        deep,
    ),
}
PUBLISHED = {
    "cnnh": ".522 mAP@1000, 48 bits",
    "cnnh_plus": ".532 mAP@1000, 48 bits",
    "ksh": ".356 mAP@1000, 48 bits",
    "itq_cca": ".295 mAP@1000, 48 bits",
    "lsh": ".120 mAP@1000, 48 bits",
    "dlbhc": ".8930 / .8972 / .8973 mAP@1000, 12 / 32 / 48 bits, 50,000 trained on",
    "dqn": ".554 / .558 / .564 / .580 mAP, 12 / 24 / 32 / 48 bits",
    "dhn": ".781 mAP@all, 48 bits",
    "hashnet": ".782–.794 mAP@all, 48 bits",
    "dpsh": ".775 mAP@all, 48 bits",
    "dsh": ".800 mAP@all, 48 bits",
    "dtsh": ".800 mAP@all, 48 bits",
    "greedyhash": ".817 mAP@all, 48 bits; .932 with 50,000 trained on",
    "orthohash": ".824 mAP@all, 64 bits; ImageNet-100 .711",
    "csq": "ImageNet-100 .695 mAP by AlexNet, .873 by ResNet-50, 64 bits",
    "crh": ".938 mAP@1000, 48 bits, by a third party",
    "mlh": "precision .370 at 100, .340 at 1,000",
    "bre": "precision .320 at 100, .300 at 1,000",
    "itq": "precision .305 at 100, .280 at 1,000",
}
"""What others report for CIFAR-10, as quoted in reviews and not verified."""


def wanted(names: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int, int]]:
    """All cells, in the order in which they are measured; of what has no length, bits are 0."""
    for seed in seeds:
        yield FLOATS, 0, seed
        if CLASSES in names:
            yield CLASSES, 0, seed
    for bits in BITS:
        for seed in seeds:
            yield from ((name, bits, seed) for name in names if name != CLASSES)


class Bench:
    """The cells of one data set.

    Args:
        name: a key of `DATA`.
        root: folder of the data.
        runs: where features and cells go.
    """

    def __init__(self, name: str, root: Path, runs: Path) -> None:
        self.name = name
        self.root = root
        self.folder = runs / "methods" / name
        self.runs = runs
        self._splits: dict[int, Split] = {}

    def file(self, method: str, bits: int, seed: int) -> Path:
        """Where a cell lies."""
        return self.folder / "cells" / f"{method}_{bits}_{seed}.json"

    def arguments(self, seed: int) -> list[str]:
        """Of train.py, method and bits aside."""
        data = DATA[self.name]
        if data.vectors is not None:
            return [*COMMON, *data.vectors(self.root, self.runs), *data.split, f"seed={seed}"]
        assert data.network is not None
        own = self.folder / f"network_{seed}"
        images = [*data.network(self.root), *data.split, f"seed={seed}", "without_h=none", "++trainer.device=cpu"]
        features_of(["method=softmax", *images], own)
        return [*COMMON, *vectors(own), *data.split, f"seed={seed}"]

    def split(self, seed: int) -> Split:
        """Vectors with their roles."""
        if seed not in self._splits:
            self._splits[seed] = opened(
                composed([f"experiment={RECIPES[0][0]}", "method=itq", "bits=1", *self.arguments(seed)]), self.folder
            )
            if DATA[self.name].vectors is None:
                require_roles(self.folder / f"network_{seed}", self._splits[seed].data)
        return self._splits[seed]

    def measure(self, method: str, bits: int, seed: int) -> dict[str, Any]:
        """One cell; of what is trained, with the recipe that the first length and seed chose."""
        if method == FLOATS:
            return floats_of(self.split(seed))
        given = [f"method={method}", f"bits={bits or BITS[0]}", *self.arguments(seed)]
        first = self.file(method, BITS[0] if bits else 0, 0)
        recipes: Sequence[tuple[str, float]] = RECIPES
        if first.is_file() and first != self.file(method, bits, seed):
            chosen = json.loads(first.read_text())
            recipes = [(chosen["experiment"], chosen["rate"])]
        tried = []
        for experiment, rate in recipes:
            config = composed([f"experiment={experiment}", *given, f"optimizer.lr={rate}"])
            found = cell_of(config, self.split(seed)) | {"experiment": experiment, "rate": rate}
            tried.append(found)
            if found["validation"] is None:
                break
        return max(tried, key=lambda cell: cell["validation"] or 0.0)

    def run(self, names: Sequence[str], seeds: Sequence[int], *, lengths: Sequence[int] = BITS) -> None:
        """Measure what is missing; the reason of what fails is kept beside, and the cell is tried again next time."""
        for cell in wanted(names, seeds):
            file = self.file(*cell)
            if file.is_file() or cell[1] not in (0, *lengths):
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                found = self.measure(*cell)
            except Interrupted:
                raise
            except (DqhError, ValueError, RuntimeError) as error:
                write_text(file.with_suffix(".error"), str(error))
                continue
            write_json(file, found)
            file.with_suffix(".error").unlink(missing_ok=True)
            print(f"{self.name} {cell[0]}, {cell[1]} bits, seed {cell[2]}: {found['seen']:.4f} {found['unseen']:.4f}")

    def take(self, results: Path) -> None:
        """Lay the cells of results where those that are measured go, unless there are such already."""
        rows = json.loads(results.read_text())["cells"] if results.is_file() else []
        for row in rows:
            cell = {key: value for key, value in row.items() if key not in ("method", "bits", "seed")}
            file = self.file(row["method"], row["bits"], row["seed"])
            if not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, cell)

    def cells(self, names: Sequence[str], seeds: Sequence[int]) -> dict[tuple[str, int, int], dict[str, Any]]:
        """What is there."""
        files = {cell: self.file(*cell) for cell in wanted(names, seeds)}
        return {cell: json.loads(file.read_text()) for cell, file in files.items() if file.is_file()}

    def missing(self, names: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """What is not there: bits, seeds, the reason where there is one, and which methods they are."""
        gone: defaultdict[tuple[int, str, str], list[str]] = defaultdict(list)
        for name in (FLOATS, *names):
            for bits in (0,) if name in (FLOATS, CLASSES) else sorted(BITS):
                files = {seed: self.file(name, bits, seed) for seed in seeds}
                absent = {seed: file.with_suffix(".error") for seed, file in files.items() if not file.is_file()}
                reasons = sorted({file.read_text() for file in absent.values() if file.is_file()})
                if absent:
                    gone[bits, ", ".join(map(str, absent)), "; ".join(reasons)].append(f"`{name}`")
        return [
            f"{f'{bits} bits, ' if bits else ''}seed {numbers}: {', '.join(names)}{f': {reason}' if reason else ''}"
            for (bits, numbers, reason), names in sorted(gone.items())
        ]


def values(cells: Cells, method: str, bits: int, column: str) -> dict[int, Any]:
    """A column of a cell, by seed; what has no length has the same for all."""
    keys = ((method, 0), (method, bits))
    return {seed: cell[column] for (name, length, seed), cell in cells.items() if (name, length) in keys}


def gain(ours: Mapping[int, float], itq: Mapping[int, float]) -> str:
    """The mean over seeds of what a method has more than ITQ, and `none` where that is within two standard deviations.

    These are of the differences of the same seed, thus of the same features and queries; one seed alone tells nothing.
    """
    differences = [ours[seed] - itq[seed] for seed in ours if seed in itq]
    if len(differences) < 2:
        return "?"
    mean = statistics.mean(differences)
    return "none" if abs(mean) <= 2 * statistics.stdev(differences) else f"{mean:+.4f}"


def table(cells: Cells, names: Sequence[str], column: str) -> list[str]:
    """MAP of one kind of classes, by method and length, with gains over ITQ."""
    lengths = sorted(BITS)
    lines = [
        f"| method | {' | '.join(f'{bits} bits | gain' for bits in lengths)} |",
        f"|---|{'---|' * 2 * len(lengths)}",
    ]
    for name in (FLOATS, *names):
        parts = []
        for bits in lengths:
            ours = values(cells, name, bits, column)
            parts.append(mean_and_sd([*ours.values()]) if ours else "–")
            same = name in ("itq", FLOATS) or not ours
            parts.append("–" if same else gain(ours, values(cells, "itq", bits, column)))
        lines.append(f"| `{label(name)}` | {' | '.join(parts)} |")
    return lines


def label(name: str) -> str:
    """What a row is called: that of the classifier's arg-max as in every report."""
    return "class_index" if name == CLASSES else name


def costs(cells: Cells, names: Sequence[str]) -> list[str]:
    """Collisions and seconds."""
    lengths = sorted(BITS)
    heads = [f"{bits} bits" for bits in lengths]
    lines = [
        f"| method | colliding, {' | '.join(heads)} | CPU s, {' | '.join(heads)} | recipe |",
        f"|---|{'---|' * (2 * len(lengths) + 1)}",
    ]
    for name in names:
        shares = [[*values(cells, name, bits, "colliding").values()] for bits in lengths]
        seconds = [[*values(cells, name, bits, "seconds").values()] for bits in lengths]
        trained = any(
            score is not None for bits in lengths for score in values(cells, name, bits, "validation").values()
        )
        recipe = {
            f"{cell['experiment']}, {cell['rate']:g}"
            for (method, _, _), cell in cells.items()
            if method == name and trained
        }
        parts = [f"{statistics.mean(share):.3f}" if share else "–" for share in shares]
        parts += [f"{statistics.median(spent):.1f}" if spent else "–" for spent in seconds]
        lines.append(f"| `{label(name)}` | {' | '.join(parts)} | {'; '.join(sorted(recipe)) or '–'} |")
    return lines


def page(name: str, cells: Cells, missing: Sequence[str], about: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """The results as markdown."""
    data, names, first = DATA[name], [*methods()], next(iter(cells.values()))
    choices = "; ".join(f"{experiment}, {rate:g}" for experiment, rate in RECIPES)
    sizes = {
        side: f"{first[f'{side}_queries']:,} queries and {first[f'{side}_items']:,} items"
        for side in ("seen", "unseen")
    }
    lines = [
        f"# Every method on {data.title}\n",
        f"{data.about} The methods learn on these features, the layer H alone (`experiment=embeddings_linear`) or a "
        f"hidden one before it (`experiment=embeddings`), {EPOCHS} epochs and at least {LEAST_STEPS} steps of 256 "
        f"rows, by the recipe and learning rate of {choices} that has the highest `val/mAP` at {BITS[0]} bits for "
        "seed 0; other arguments are the defaults of each. mAP@all, ties by expectation, mean ± standard deviation "
        f"over seeds {', '.join(map(str, seeds))}, each with a split and "
        "unseen classes of its own. “gain” is the mean difference to `itq` of the same features and seed; “none” where "
        "it lies within two standard deviations of these differences, “?” where there is one seed. `floats` are the "
        "features by squared L2, `class_index` the arg-max of a linear classifier. Networks that learn as a whole: "
        f"`benchmarks/networks.py`. {where(about)}.\n",
        f"    {about['command']}\n",
        f"## Classes that were trained on, among themselves: {sizes['seen']}\n",
        *table(cells, names, "seen"),
        f"\n## Classes that were not, among themselves: {sizes['unseen']}\n",
        *table(cells, names, "unseen"),
        "\n## Collisions and time\n",
        "“colliding” is the share of all database items whose code another item has too. Seconds are CPU time of the "
        "training with its validation, on one thread; medians.\n",
        *costs(cells, names),
    ]
    if name == "cifar10":
        lines += [
            "\n## What others report\n",
            "Quoted from reviews, not verified: whole networks (AlexNet) on the lossless CIFAR-10, mostly the best "
            "epoch on the test queries; none of these numbers compares with those above.\n",
            "| method | reported |",
            "|---|---|",
            *(f"| `{method}` | {text} |" for method, text in PUBLISHED.items()),
        ]
    if missing:
        lines += ["\n## Not measured\n", *(f"- {line}" for line in missing)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is missing, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=DATA)
    parser.add_argument("--root", type=Path, default=Path(), help="folder of the data")
    parser.add_argument("--methods", nargs="+", choices=methods(), help="measure these alone; others keep their cells")
    parser.add_argument("--bits", type=int, nargs="+", choices=BITS, default=BITS, help="measure these alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where features and cells go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    bench, names = Bench(given.data, given.root, given.runs), [*methods()]
    command = f"python benchmarks/methods.py {given.data}" + ("" if given.data == "digits" else " --root DIR")

    def write() -> None:
        cells = bench.cells(names, given.seeds)
        if not cells:
            return
        about, missing = environment(command=command, seed=0), bench.missing(names, given.seeds)
        given.out.mkdir(parents=True, exist_ok=True)
        rows = [{"method": method, "bits": bits, "seed": seed, **cell} for (method, bits, seed), cell in cells.items()]
        content = {"command": command, "environment": about, "cells": rows, "missing": missing}
        write_json(given.out / f"methods_{given.data}.json", content)
        write_text(given.out / f"methods_{given.data}.md", page(given.data, cells, missing, about, given.seeds))

    bench.take(given.out / f"methods_{given.data}.json")
    if not given.table:
        bench.run(given.methods or names, given.seeds, lengths=given.bits)
    write()
    print("\n".join(["missing:", *(bench.missing(names, given.seeds) or ["nothing"])]))


if __name__ == "__main__":
    main()
