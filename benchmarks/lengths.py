"""Several lengths of code from one training against a training for each of them, side by side.

    OMP_NUM_THREADS=1 python benchmarks/lengths.py --data DIR

DIR/deepfeatures has features_pca128_f16.npy and labels.npy, DIR/mnist/MNIST/raw the four files of MNIST; the subset of
81 classes is made below runs/. A training of each length and one of all of them take turns, for each seed. Time is that
of the processor from the first step to the last code book, validation included and evaluation not, so that others on
the machine disturb little. What is done already under --runs is not done again. Writes benchmarks/results/lengths.json
and .md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import recipes
import torch
from omegaconf import OmegaConf
from quality import RESULTS, ROOT, where

from dqh.artifact import Artifact
from dqh.data import Prepared, prepare
from dqh.encoding.encode import encode
from dqh.environment import environment
from dqh.evaluation.length_rows import recoded
from dqh.evaluation.references import by_codes, compare
from dqh.evaluation.retrieval import Retrieval
from dqh.plural import counted
from dqh.ranking.side import Side
from dqh.training import Experiment, assemble, preflight
from dqh.training.datamodule import HashDataModule
from dqh.training.fit import fit
from dqh.training.head_steps import train_lengths
from dqh.training.refit import fit_quantizer, further_lengths
from dqh.training.trained import Trained

COMMAND = "OMP_NUM_THREADS=1 python benchmarks/lengths.py --data DIR"
BINARY = (16, 24, 32, 48, 64, 128)
VECTORS = ("deepfeatures", "everyday")
"""Data that are made as `recipes` makes them."""

PRODUCT = (16, 24, 32, 48, 64, 72, 96, 128)
"""M = 2, 3, 4, 6, 8, 9, 12 and 16 of 256 codewords: all that divide 288 dimensions."""
MNIST = (
    *("data=mnist", "augment=null", "split.protocol=counts", "split.query=1000", "split.train=4500"),
    *("split.validation=500", "split.database=20000", "trainer.epochs=6", "trainer.batch_size=32"),
)


class Case(NamedTuple):
    """One recipe on one data set.

    Attributes:
        title: of its table.
        arguments: of train.py, beside bits, seed and data.
        lengths: of the codes.
        data: name of the folder.
        main: length of the one training that all come from; 0: the longest.
    """

    title: str
    arguments: tuple[str, ...]
    lengths: tuple[int, ...]
    data: str
    main: int = 0


CASES = {
    "deepfeatures": Case(
        "dlbhc on 100,000 deep features of 128 numbers, 200 classes, 512 hidden units, 8 epochs",
        ("experiment=embeddings",),
        BINARY,
        "deepfeatures",
    ),
    "everyday": Case(
        "dlbhc on 33 deep features of each of 81 classes, 512 hidden units",
        ("experiment=embeddings",),
        BINARY,
        "everyday",
    ),
    "mnist": Case("dlbhc on 4,000 images of MNIST, 6 epochs", MNIST, BINARY, "mnist"),
    "dqn_deepfeatures": Case(
        "dqn on the deep features, M = 2 … 16, main length 32, 4 epochs",
        (
            *("experiment=embeddings_linear", "method=dqn", "trainer.epochs=4"),
            *("optimizer.lr=0.004", "optimizer.weight_decay=0.05"),
        ),
        PRODUCT,
        "deepfeatures",
        main=32,
    ),
    "dqn_mnist": Case(
        "dqn on the images of MNIST, M = 2 … 16, main length 32, 6 epochs",
        (*MNIST, "method=dqn"),
        PRODUCT,
        "mnist",
        main=32,
    ),
}


def main() -> None:
    """Train what is not done yet, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="which of them to train")
    parser.add_argument("--alone", nargs="+", type=int, help="lengths that are trained alone too; else all of a case")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/lengths"), help="where runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    for seed in given.seeds:
        for name in given.cases:
            for bits in (*(given.alone or CASES[name].lengths), None):
                cell = given.runs / f"{name}_{seed}_{bits or 'all'}"
                if not (cell / "cell.json").is_file():
                    train(cell, CASES[name], bits, seed=seed, data=given.data.resolve())
    cells = [json.loads(file.read_text()) for file in sorted(given.runs.glob("*/cell.json"))]
    write(given.out, cells)


def train(folder: Path, case: Case, bits: int | None, *, seed: int, data: Path) -> None:
    """One training, of one length or for None of all, in a folder whose `cell.json` says what came of it."""
    arguments = [
        *case.arguments,
        *(
            recipes.CASES[case.data].data(data, Path("runs"))
            if case.data in VECTORS
            else (f"data.root={data / case.data}",)
        ),
        "without_h=none",
    ]
    arguments += [f"seed={seed}", f"bits={bits or case.main or max(case.lengths)}", "trainer.threads=1"]
    arguments += [f"method.lengths={list(case.lengths)}"] if bits is None else []
    arguments = [
        f"++{argument}" if "." in argument.split("=")[0] else argument for argument in arguments
    ]  # as train.py
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config: Any = OmegaConf.to_container(hydra.compose("train", arguments), resolve=True)
    experiment = assemble(config, drawn=preflight(config))
    folder.mkdir(parents=True, exist_ok=True)
    data = prepare(
        experiment.source,
        experiment.split,
        experiment.method.encoder.spec,
        allow_duplicates=True,
        skipped_file=folder / "skipped.csv",
    )
    cpu, wall = time.process_time(), time.perf_counter()
    artifact, trained, further = fitted(experiment, data, folder)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    scores = measured(artifact, data)
    cell = {"case": next(name for name in CASES if CASES[name] == case), "seed": seed, "bits": bits, "mAP@all": scores}
    cell |= {"cpu_seconds": cpu, "wall_seconds": wall, "loop_seconds": trained.seconds, "epoch": trained.best_epoch}
    cell |= {"lengths_cpu_seconds": further} if bits is None else {}
    (folder / "cell.json").write_text(json.dumps(cell, indent=1) + "\n")
    print(folder.name, f"{cpu:.1f} s", {name: round(score, 4) for name, score in scores.items()}, flush=True)


def fitted(experiment: Experiment, data: Prepared, folder: Path) -> tuple[Artifact, Trained, float]:
    """The trained network with all its lengths, facts about the training, and seconds of the further lengths."""
    module, settings, rows = experiment.method, experiment.settings, data.roles.train
    size, store = settings.eval_batch_size, data.store
    (batch,) = store.batches([rows[:: -(-len(rows) // 5000)]], size=store.spec.size)
    module.encoder.backbone.initialise(module.encoder.normalise(batch.images))
    if module.refit_every is not None:
        fit_quantizer(module, store, rows, batch_size=size, seed=experiment.seed)
    batches = HashDataModule(
        data,
        augment=experiment.augment,
        batch_size=settings.batch_size,
        eval_batch_size=size,
        seed=experiment.seed,
        passes=settings.passes(len(rows)),
    )
    trained = fit(module, batches, settings=settings, folder=folder, seed=experiment.seed)
    began = time.process_time()
    train_lengths(module, batches, settings, seed=experiment.seed)
    lengths = further_lengths(module, experiment.lengths, store, rows, batch_size=size, seed=experiment.seed)
    further = time.process_time() - began
    artifact = Artifact(
        method=module.method,
        encoder=module.encoder,
        quantizer=module.quantizer(),
        classifier=module.classifier,
        class_names=experiment.source.class_names,
        split=experiment.split,
        training={},
        lengths=lengths,
    )
    return artifact, trained, further


def measured(artifact: Artifact, data: Prepared) -> dict[str, float]:
    """MAP@all of every length by its codes alone, by the number of bits."""
    encoded = [
        encode(artifact.encoder.eval(), artifact.quantizer, store=data.store, rows=rows, device=torch.device("cpu"))
        for rows in (data.roles.query, data.roles.database)
    ]
    sides = [Side(part.codes, part.embedding, part.features, data.source.labels[part.rows]) for part in encoded]
    scores, retrieval = {}, Retrieval(map_cutoffs=(None,), precision_cutoffs=(100,))
    for bits in sorted([artifact.quantizer.bits, *artifact.lengths]):
        other = artifact.of_length(bits)
        coded = [recoded(side, artifact, other) for side in sides]
        reference = by_codes(*coded, quantizer=other.quantizer)
        (row,) = compare(reference, "codes", items=len(sides[1].codes), retrieval=retrieval).rows
        scores[str(bits)] = float(row["mAP@all"])
    return scores


def write(out: Path, cells: Sequence[Mapping[str, Any]]) -> None:
    """Write the two files."""
    about = environment(seed=0, command=COMMAND)
    lines = ["# Several lengths of code from one training\n", f"{where(about)}. `{COMMAND}`\n"]
    lines += [
        "Lengths with a dash were not trained alone (`--alone`), nor seeds beyond the number below (`--seeds`).\n"
    ]
    for name, case in CASES.items():
        own = [cell for cell in cells if cell["case"] == name]
        if own:
            lines += table(case, own)
    out.mkdir(parents=True, exist_ok=True)
    content = {"command": COMMAND, "environment": about, "cells": list(cells)}
    (out / "lengths.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "lengths.md").write_text("\n".join(lines) + "\n")
    print((out / "lengths.md").read_text())


def table(case: Case, cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines about one case, over the seeds for which all trainings are there."""
    single = {(cell["seed"], cell["bits"]): cell for cell in cells if cell["bits"]}
    together = {cell["seed"]: cell for cell in cells if cell["bits"] is None}
    seeds = sorted(together)
    measured_alone = [bits for bits in case.lengths if all((seed, bits) in single for seed in seeds)]
    lines = [f"## {case.title}\n", "| bits | seconds alone | mAP@all alone | from one training | difference |"]
    lines += ["|---|---|---|---|---|"]
    for bits in case.lengths:
        shared = [together[seed]["mAP@all"][str(bits)] for seed in seeds]
        if bits not in measured_alone:
            lines.append(f"| {bits} | – | – | {spread(shared)} | – |")
            continue
        alone = [single[seed, bits]["mAP@all"][str(bits)] for seed in seeds]
        seconds = statistics.mean(single[seed, bits]["cpu_seconds"] for seed in seeds)
        gain = [b - a for a, b in zip(alone, shared, strict=True)]
        lines.append(f"| {bits} | {seconds:.1f} | {spread(alone)} | {spread(shared)} | {spread(gain, '+')} |")
    one = [together[seed]["cpu_seconds"] for seed in seeds]
    longest = [single[seed, max(measured_alone)]["cpu_seconds"] for seed in seeds]
    every = [sum(single[seed, bits]["cpu_seconds"] for bits in measured_alone) for seed in seeds]
    lines.append(
        f"\nAll from one training: {statistics.median(one):.1f} s, {ratio(one, longest)} × the longest one alone, "
        f"{ratio(one, every)} × those in the table one after the other; medians of {counted(len(seeds), 'seed')}.\n"
    )
    if all("lengths_cpu_seconds" in together[seed] for seed in seeds):
        main = [together[seed]["cpu_seconds"] - together[seed]["lengths_cpu_seconds"] for seed in seeds]
        lines.append(f"That is {ratio(one, main)} × its own time without the further lengths.\n")
    return lines + [f"{note}\n" for note in sorted({cell["note"] for cell in cells if "note" in cell})]


def ratio(values: Sequence[float], others: Sequence[float]) -> str:
    """Median of the ratios of each seed, and all of them where there are several."""
    each = [value / other for value, other in zip(values, others, strict=True)]
    listed = f" ({', '.join(f'{value:.2f}' for value in each)})" if len(each) > 1 else ""
    return f"{statistics.median(each):.2f}{listed}"


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean ± standard deviation over the seeds."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.4f}{deviation}"


if __name__ == "__main__":
    main()
