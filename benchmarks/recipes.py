"""Learned codes beside shallow ones that were fitted to the same features of the same trained network.

    python benchmarks/recipes.py --data DIR

DIR has deepfeatures/{features_pca128_f16,labels}.npy, clothing/{train,test,validation}/<class>/*.jpg, pascal/*.txt,
cifar10/test.parquet, mnist/ and weights/mobilenet_v2_imagenet.pt. Subsets and features are made once, below --runs;
cells that are done are not done again. --cases, --protocols and --seeds take some of them.

PCA-RR, ITQ and ITQ-CCA are linear maps with a sign, as the layer H is: where H loses to one of them, its optimisation
failed. Each case is measured on a database that holds what was trained on, and those of vectors also on one that does
not, and on classes that were never trained on. Writes benchmarks/results/recipes.json and .md.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import numpy as np
from features import cache
from numpy.typing import NDArray
from quality import RESULTS, cell_of, mean_and_sd, run, where
from scipy import stats

from dqh.data import ImageFolder, Parquet
from dqh.evaluation.intervals import LEVEL, RESAMPLES, SEED

SHALLOW = ("pca_rr", "itq", "itq_cca")
BITS = 64
COLUMNS = (
    *("data", "database", "seeds", "binary", "best shallow", "difference", "lowest", "coarse_to_fine", "ranks by"),
    *("class_index", "training, s", "CPU"),
)
TAIL = (500, 10)
"""Vectors of the largest and of the smallest class of the long-tailed subset."""


class Case(NamedTuple):
    """Some data with their recipe.

    Attributes:
        title: of the row.
        arguments: of train.py, beside the data.
        data: folder of the data → arguments that name them.
        unseen: classes that are left out of the training in the third protocol; 0: not measured.
        train: training images of the second protocol, few enough to leave some of each class; 0: not measured.
        drawn: further arguments of the second protocol: where the others take roles that the data give, or where the
            tail of the classes has to stay one.
    """

    title: str
    arguments: tuple[str, ...]
    data: Callable[[Path, Path], tuple[str, ...]]
    unseen: int = 0
    train: int = 0
    drawn: tuple[str, ...] = ()


def vectors(folder: Path) -> tuple[str, ...]:
    """Arguments that name ready-made vectors."""
    return (f"data.features={(folder / 'features.npy').resolve()}", f"data.labels={(folder / 'labels.npy').resolve()}")


def deep(data: Path, runs: Path) -> tuple[str, ...]:
    """All deep features."""
    folder = (data / "deepfeatures").resolve()
    return (f"data.features={folder / 'features_pca128_f16.npy'}", f"data.labels={folder / 'labels.npy'}")


def subset(name: str, sizes: Callable[[int], Sequence[int]]) -> Callable[[Path, Path], tuple[str, ...]]:
    """Deep features of some classes, drawn at random, so many of each."""

    def make(data: Path, runs: Path) -> tuple[str, ...]:
        folder = runs / "recipes_data" / name
        if not (folder / "labels.npy").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            labels = np.load(data / "deepfeatures" / "labels.npy")
            draws = np.random.default_rng(0)
            classes = draws.permutation(np.unique(labels))
            counts = sizes(len(classes))
            rows = [
                draws.permutation(np.flatnonzero(labels == label))[:count]
                for label, count in zip(classes, counts, strict=False)
            ]
            chosen = np.sort(np.concatenate(rows))
            np.save(folder / "features.npy", np.load(data / "deepfeatures" / "features_pca128_f16.npy")[chosen])
            np.save(folder / "labels.npy", labels[chosen])
        return vectors(folder)

    return make


def long_tail(classes: int) -> list[int]:
    """Sizes that fall geometrically."""
    most, least = TAIL
    return [round(most * (least / most) ** (rank / (classes - 1))) for rank in range(classes)]


def cifar(data: Path, runs: Path) -> tuple[str, ...]:
    """MobileNetV2 features of the 10,000 test images of CIFAR-10 as JPEG copies, at 96 pixels."""
    folder = runs / "recipes_data" / "cifar10"
    weights = data / "weights" / "mobilenet_v2_imagenet.pt"
    cache(
        folder,
        Parquet(root=data / "cifar10", database="test.parquet", name="cifar10_jpeg"),
        size=96,
        resize=96,
        weights=weights,
    )
    return vectors(folder)


def clothing_vectors(data: Path, runs: Path) -> tuple[str, ...]:
    """MobileNetV2 features of the photos of clothing, at 128 pixels."""
    folder = runs / "recipes_data" / "clothing"
    roles = {"query": "test", "database": "train", "validation": "validation"}
    weights = data / "weights" / "mobilenet_v2_imagenet.pt"
    cache(folder, ImageFolder(root=data / "clothing", roles=roles), size=128, resize=144, weights=weights)
    return vectors(folder)


def photos(name: str) -> Callable[[Path, Path], tuple[str, ...]]:
    """Photos and the weights that a fine-tuning begins with."""

    def make(data: Path, runs: Path) -> tuple[str, ...]:
        weights = (data / "weights" / "mobilenet_v2_imagenet.pt").resolve()
        return (f"data.root={(data / name).resolve()}", f"backbone.weights={weights}")

    return make


def mnist(data: Path, runs: Path) -> tuple[str, ...]:
    """The folder of MNIST."""
    return (f"data.root={(data / 'mnist').resolve()}", f"search.baselines=[{','.join(SHALLOW)}]")


EMBEDDINGS = ("experiment=embeddings",)
CASES = {
    "deepfeatures": Case("100,000 deep features, 200 classes", EMBEDDINGS, deep, unseen=60, train=60_000),
    "everyday": Case(
        "33 deep features of each of 81 classes", EMBEDDINGS, subset("everyday", lambda _: [33] * 81), 25, 1200
    ),
    "long_tail": Case(
        "deep features, 500 … 10 a class, 200 classes",
        EMBEDDINGS,
        subset("long_tail", long_tail),
        unseen=60,
        train=12_000,
        drawn=("split.even_train=false",),
    ),
    "clothing_vectors": Case("MobileNetV2 features of 3,781 clothing photos", EMBEDDINGS, clothing_vectors, 3, 1000),
    "cifar10": Case("MobileNetV2 features of 10,000 JPEG copies of CIFAR-10", EMBEDDINGS, cifar, 3, 6000),
    "clothing": Case(
        "clothing photos, MobileNetV2 fine-tuned",
        ("experiment=dlbhc_clothing",),
        photos("clothing"),
        unseen=3,
        train=1500,
        drawn=("split.protocol=counts", "split.query=372", "split.validation=150"),
    ),
    "pascal": Case(
        "Pascal photos, several labels, MobileNetV2 fine-tuned",
        ("experiment=dlbhc_pascal",),
        photos("pascal"),
        unseen=4,
        train=400,
        drawn=("split.protocol=counts", "split.query=116"),
    ),
    "mnist": Case(
        "20,000 images of MNIST, small_resnet from scratch",
        (
            *("data=mnist", "split.protocol=counts", "split.query=1000", "split.validation=1000", "split.train=20000"),
            *("split.database=20000", "augment.rotation=10", "trainer.epochs=6", "trainer.batch_size=128"),
        ),
        mnist,
        unseen=3,
        train=20_000,
    ),
}
LINEAR = ("deepfeatures", "everyday", "long_tail", "clothing_vectors", "cifar10")
"""Cases that are measured with H alone, without hidden layer and noise, too."""

CASES |= {
    f"{name}_linear": CASES[name]._replace(
        title=f"{CASES[name].title}, H alone", arguments=("experiment=embeddings_linear",)
    )
    for name in LINEAR
}
CASES["mnist_reconstruction"] = CASES["mnist"]._replace(
    title=f"{CASES['mnist'].title}, features rebuilt from H",
    arguments=(*CASES["mnist"].arguments, "method.reconstruction=1"),
)
PROTOCOLS = ("trained on", "not trained on", "unseen classes")


def protocols_of(case: Case) -> list[str]:
    """What of a case is measured."""
    wanted = dict(zip(PROTOCOLS, (True, case.train > 0, case.unseen > 0), strict=True))
    return [protocol for protocol, measured in wanted.items() if measured]


def protocol_arguments(case: Case, protocol: str) -> tuple[str, ...]:
    """What a protocol adds to the arguments of a case."""
    if protocol == "trained on":
        return ()
    if protocol == "not trained on":
        return (f"split.train={case.train}", "split.database_includes_train=false", *case.drawn)
    return (f"split.unseen={case.unseen}",)


def row_of(cell: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    """What a run says of its codes and of the best shallow ones."""
    part = cell["unseen"] if protocol == "unseen classes" else cell
    rows = {row["search"]: row["mAP@all"] for row in part["rows"]}
    best = max((name for name in SHALLOW if name in rows), key=lambda name: rows[name])
    pairs = {(pair["search"], pair["against"]): pair for pair in part["intervals"]["pairs"]}
    ranking = cell.get("ranking") or {}
    return {
        "binary": rows["binary"],
        "best": best,
        "shallow": rows[best],
        "low": pairs["binary", best]["low"],
        "coarse_to_fine": rows["coarse_to_fine"],
        "class_index": rows.get("class_index"),
        "rank": (ranking.get("choice") or {}).get("rank"),
        "seconds": cell["training"]["wall_seconds"],
        "queries": cell["protocol"]["query"],
        "database": cell["protocol"]["database"],
        "cpu": cell["environment"]["machine"]["cpu"],
    }


class Differences(NamedTuple):
    """Average precision of the codes less that of the best shallow ones, of a run.

    Attributes:
        queries: (Q,) their names.
        values: (Q,).
    """

    queries: NDArray[np.str_]
    values: NDArray[np.float64]


def differences(folder: Path, best: str, protocol: str) -> Differences:
    """Of each query of a run; it has kept the average precision of all of them."""
    prefix = "unseen/" if protocol == "unseen classes" else ""
    with np.load(folder / "queries.npz", allow_pickle=False) as scores:
        return Differences(scores[f"{prefix}ids"], scores[f"{prefix}binary"] - scores[f"{prefix}{best}"])


def together(seeds: Sequence[Differences]) -> dict[str, float | int]:
    """The mean over seeds of the means over their queries, with a BCa interval of it on other queries.

    A query counts as one, whichever seeds have asked it: drawn again, it is drawn with what all of them found, since
    trainings of another seed find it about as hard.
    """
    names, place = np.unique(np.concatenate([seed.queries for seed in seeds]), return_inverse=True)
    ends = np.cumsum([len(seed.values) for seed in seeds])[:-1]
    asked, values = np.zeros((2, len(seeds), len(names)))
    for number, (seed, own) in enumerate(zip(seeds, np.split(place, ends), strict=True)):
        asked[number, own], values[number, own] = 1, seed.values

    def mean_of_means(drawn: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        means: NDArray[np.float64] = values[:, drawn].sum(-1) / asked[:, drawn].sum(-1)
        return means.mean(0)

    interval = stats.bootstrap(
        (np.arange(len(names)),),
        mean_of_means,
        n_resamples=RESAMPLES,
        batch=max(1, 2**19 // len(names)),
        vectorized=True,
        confidence_level=LEVEL,
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return {
        "value": float(np.mean([seed.values.mean() for seed in seeds])),
        "low": float(interval.low),
        "high": float(interval.high),
        "queries": sum(len(seed.values) for seed in seeds),
        "distinct": len(names),
    }


def line(title: str, protocol: str, cells: Mapping[str, Any]) -> str:
    """A row of the table, over the seeds."""
    rows, interval = cells["seeds"], cells["together"]
    low = "–" if rows[0]["low"] is None else f"{min(row['low'] for row in rows):+.4f}"
    difference = f"{mean(row['binary'] - row['shallow'] for row in rows):+.4f}"
    if interval is not None:
        difference += f" [{interval['low']:+.4f}, {interval['high']:+.4f}]{'' if 'distinct' in interval else '†'}"
    index = "–" if rows[0]["class_index"] is None else f"{mean(row['class_index'] for row in rows):.4f}"
    names = ", ".join(sorted({f"`{row['best']}`" for row in rows}))
    ranks = ", ".join(sorted({str(row["rank"]) for row in rows}))
    return (
        f"| {title} | {protocol} | {len(rows)} | {mean_and_sd([row['binary'] for row in rows])} "
        f"| {mean_and_sd([row['shallow'] for row in rows])} ({names}) | {difference} | {low} "
        f"| {mean_and_sd([row['coarse_to_fine'] for row in rows])} | {ranks} | {index} "
        f"| {median(row['seconds'] for row in rows):.0f} | {', '.join(sorted({row['cpu'] for row in rows}))} |"
    )


def write(out: Path, results: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """The table and the numbers."""
    command = "python benchmarks/recipes.py --data DIR"
    lines = [
        "# Learned codes beside shallow ones on the same features\n",
        f"{BITS} bits; mAP@all, mean ± standard deviation over seeds 0 …; the best of `pca_rr`, `itq`, `itq_cca`, "
        "fitted to the features of the training rows by the same trained network, stands as “best shallow”, chosen "
        "for each seed by the queries. “difference” is the mean over the seeds of “binary” less that, with its paired "
        f"95 % interval over the queries of all seeds (BCa bootstrap, {RESAMPLES:,} resamples): a query is drawn again "
        "with what all seeds found that have asked it. Those with a † are of before: queries were drawn within each "
        "seed, as if every one had its own, and where seeds share them the interval is up to √3 times too narrow. "
        "“lowest” is the lowest of the lower ends of the paired 95 % intervals of the single seeds. Rows without an "
        "interval are of runs that kept no average precision of each query. “database” "
        "says whether it holds what was trained on; rows of unseen classes are of these among themselves. “ranks by” "
        "is what validation images chose. Seconds are medians over the seeds, on machines that had other work too. "
        f"{where(about)}.\n",
        f"    {command}\n",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(
            line(CASES[name].title, protocol, results[name][protocol])
            for name in CASES
            for protocol in PROTOCOLS
            if protocol in results.get(name, {})
        ),
    ]
    out.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "environment": {**about, "command": command}, "cases": results}
    (out / "recipes.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "recipes.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Run what is not done yet, and write the results after each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where subsets, features and runs go")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results, which are added to")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    given = parser.parse_args()
    file = given.out / "recipes.json"
    results = json.loads(file.read_text())["cases"] if file.is_file() else {}
    for name in given.cases:
        case = CASES[name]
        for protocol in (protocol for protocol in protocols_of(case) if protocol in given.protocols):
            arguments = [*case.arguments, *case.data(given.data, given.runs), *protocol_arguments(case, protocol)]
            folders = run([*arguments, "without_h=none"], bits=BITS, seeds=given.seeds, runs=given.runs)
            cells = [cell_of(folder) for folder in folders]
            rows = [row_of(cell, protocol) for cell in cells]
            pairs = [differences(folder, row["best"], protocol) for folder, row in zip(folders, rows, strict=True)]
            results.setdefault(name, {})[protocol] = {"seeds": rows, "together": together(pairs)}
            write(given.out, results, cells[0]["environment"])
    print((given.out / "recipes.md").read_text())


if __name__ == "__main__":
    main()
