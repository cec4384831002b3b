"""Exhaustive search against coarse search and coarse-to-fine search of an index on disk, on real deep features.

    python benchmarks/search.py --root DIR        DIR/features_pca128_f16.npy, (100000, 128) float16

The features are lifted to 4,096 dimensions by a fixed orthonormal matrix, which changes no distance, and indexed as
float16; 1,000 rows are held out as queries. An encoder would give the 128 dimensions back, so that quantizers are
fitted on these. Everything is timed in one process, the ways of searching in turns of ten queries, medians. Writes
benchmarks/results/search.json and search.md.
"""

import argparse
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch and faiss read it, as train.py and evaluate.py do

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from quality import RESULTS, where

from dqh.encoded import Encoded
from dqh.environment import environment
from dqh.index.engines import Engine, build
from dqh.index.store import Header, Row, Writer, compact, open_index, recall_at
from dqh.index.ways import main_way
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, Quantizer, Threshold
from dqh.quantizers.itq import ITQ

SIZE, HELD_OUT, K, BATCH = 4096, 1000, 100, 100
TRAINING, ROUNDS, TURN = 10_000, 200, 10
ENCODER = "lifted features"
COARSE_TARGET, BITS_TARGET, AQD_TARGET, RECALL = 350, 15, 50, 0.95


class Codes(NamedTuple):
    """A way to make codes.

    Attributes:
        name: in the tables.
        quantizer: of embeddings.
        embed: (N, D) embeddings of features (N, 128).
        pool: candidates a query of coarse-to-fine search.
    """

    name: str
    quantizer: Quantizer
    embed: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    pool: int


class Collection(NamedTuple):
    """The features as they are, 128 dimensions, and the matrix that lifts them.

    Attributes:
        database: (N, 128) float32.
        queries: (1000, 128) float32.
        lift: (128, 4096) float32, orthonormal rows.
    """

    database: NDArray[np.float32]
    queries: NDArray[np.float32]
    lift: NDArray[np.float32]

    def lifted(self, rows: NDArray[np.float32]) -> NDArray[np.float16]:
        """(n, 4096) float16, as an index keeps them."""
        return (rows @ self.lift).astype(np.float16)


def collection(root: Path) -> Collection:
    """From the file; which rows are queries follows from the seed 0."""
    values = np.load(root / "features_pca128_f16.npy", allow_pickle=False).astype(np.float32)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(values))
    basis, _ = np.linalg.qr(rng.standard_normal((SIZE, values.shape[1])))
    return Collection(values[order[HELD_OUT:]], values[order[:HELD_OUT]], basis.T.astype(np.float32).copy())


def ways(found: Collection, pools: dict[str, int]) -> list[Codes]:
    """Quantizers, fitted on rows of the database."""
    rows = found.database[:TRAINING]
    turned = [ITQ(rows.shape[1], seed=seed, iterations=20).fit(rows) for seed in range(4)]
    projection, mean = np.concatenate([each.projection for each in turned], axis=1), turned[0].mean

    def to_bits(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((values - mean) @ projection).astype(np.float32)

    def same(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values

    opq = OptimizedProductQuantizer(64, 16, rotations=10, seed=0).fit(rows)

    def to_few_bits(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return to_bits(values)[:, : rows.shape[1]].copy()

    few = Threshold(rows.shape[1], threshold=0.0)
    return [
        Codes(f"ITQ, {few.bits} bits", few, to_few_bits, pools["few"]),
        Codes("ITQ, 512 bits", Threshold(512, threshold=0.0), to_bits, pools["bits"]),
        Codes("OPQ, M = 64, K = 16 (256 bits)", opq, same, pools["opq"]),
        Codes("PQ, M = 128, K = 16 (512 bits)", ProductQuantizer(128, 16, seed=0).fit(rows), same, pools["pq"]),
    ]


def index_of(found: Collection, codes: Codes, folder: Path) -> Path:
    """The index on disk."""
    path = folder / str(codes.quantizer.bits) / codes.quantizer.kind
    quantizer = codes.quantizer
    with Writer(path, Header(ENCODER, quantizer, SIZE)) as writer:
        for start in range(0, len(found.database), 8192):
            rows = found.database[start : start + 8192]
            named = [Row(f"{number:06d}.jpg", (str(number % 200),)) for number in range(start, start + len(rows))]
            writer.add(named, quantizer.encode(codes.embed(rows)), found.lifted(rows))
        writer.commit()
    compact(path)
    return path


def anonymous_bytes() -> int:
    """Memory of this process that is no file, as Linux counts it."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


class Way(NamedTuple):
    """A way of searching: queries `first` to `last` in, (Q, 100) rows out."""

    name: str
    kind: str
    answer: Callable[[int, int], NDArray[np.int64]]
    facts: dict[str, Any]


def exhaustive(found: Collection) -> Way:
    """faiss, float32."""
    before = anonymous_bytes()
    flat = faiss.IndexFlatL2(SIZE)
    for start in range(0, len(found.database), 8192):
        flat.add(found.lifted(found.database[start : start + 8192]).astype(np.float32))
    queries = found.lifted(found.queries).astype(np.float32)
    return Way(
        "exhaustive, faiss IndexFlatL2, float32",
        "exhaustive",
        lambda first, last: flat.search(queries[first:last], K)[1],
        {"memory_mb": (anonymous_bytes() - before) / 1e6},
    )


def searches(found: Collection, codes: Codes, path: Path) -> Iterator[Way]:
    """By codes alone, through the engine of a snapshot, and by codes and features."""
    before = anonymous_bytes()
    snapshot = open_index(path, cache=False)
    embedding, features = codes.embed(found.queries), found.lifted(found.queries)
    packed = codes.quantizer.encode(embedding)
    seconds: list[tuple[float, ...]] = []

    def query(first: int, last: int) -> Encoded:
        return Encoded(packed[first:last], embedding[first:last], features[first:last], ENCODER)

    def fine(first: int, last: int) -> NDArray[np.int64]:
        answer = snapshot.search(query(first, last), k=K, pool=codes.pool)
        if last - first == 1:
            seconds.append(answer.seconds)
        return answer.ranking.ids

    fine(0, 1)  # makes the engine
    memory = (anonymous_bytes() - before) / 1e6
    engine: Engine = snapshot._whole(snapshot.engine)
    exact_bytes = codes.quantizer.bits / 8
    common = {"memory_mb": memory, "code_bytes": exact_bytes, "engine": snapshot.engine}
    yield Way(codes.name, "coarse", lambda first, last: engine.search(embedding[first:last], K).ids, common)
    yield Way(codes.name, "fine", fine, common | {"pool": codes.pool, "stages": seconds})


def timed(all_ways: list[Way]) -> list[dict[str, Any]]:
    """Median milliseconds a query at batch 1 and at batch 100, taken in turns, and recall@100."""
    alone: list[list[float]] = [[] for _ in all_ways]
    together: list[list[float]] = [[] for _ in all_ways]
    recalls: list[list[float]] = [[] for _ in all_ways]
    for start in range(0, HELD_OUT, BATCH):  # these also map what the queries below will read
        truth = None
        for way, took, recall in zip(all_ways, together, recalls, strict=True):
            began = time.perf_counter()
            ids = way.answer(start, start + BATCH)
            took.append(1e3 * (time.perf_counter() - began) / BATCH)
            truth = ids if truth is None else truth
            recall += [len(np.intersect1d(one, other)) / K for one, other in zip(truth, ids, strict=True)]
    for start in range(0, ROUNDS, TURN):
        for way, took in zip(all_ways, alone, strict=True):
            for number in range(start, start + TURN):
                began = time.perf_counter()
                way.answer(number, number + 1)
                took.append(1e3 * (time.perf_counter() - began))
    results = []
    for way, one, many, recall in zip(all_ways, alone, together, recalls, strict=True):
        stages = way.facts.pop("stages", None)
        if stages is not None:
            middle = np.median(np.array(stages[-ROUNDS:]), axis=0) * 1e3
            way.facts["stages_ms"] = dict(
                zip(("filter", "coarse", "fine", "rows"), middle.round(3).tolist(), strict=True)
            )
        results.append(
            {
                "name": way.name,
                "kind": way.kind,
                "batch_1_ms": float(np.median(one)),
                "batch_1_p90_ms": float(np.percentile(one, 90)),
                "batch_100_ms": float(np.median(many[1:])),
                "recall": float(np.mean(recall)),
            }
            | way.facts
        )
    for each in results:
        for size in (1, 100):
            each[f"times_{size}"] = results[0][f"batch_{size}_ms"] / each[f"batch_{size}_ms"]
    return results


def engines(found: Collection, codes: Codes, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Recall@100 of approximate engines within the order of the exact one, and milliseconds of a query."""
    quantizer, embedding = codes.quantizer, codes.embed(found.queries[:200])
    packed = quantizer.encode(codes.embed(found.database))
    built: list[tuple[str, Engine, float]] = [("exact", main_way(quantizer).index(quantizer, packed), 0.0)]
    for name in names:
        began = time.perf_counter()
        built.append((name, build(name, quantizer, main_way(quantizer), packed), time.perf_counter() - began))
    took: list[list[float]] = [[] for _ in built]
    for number in range(ROUNDS):
        for (_, engine, _), each in zip(built, took, strict=True):
            began = time.perf_counter()
            engine.search(embedding[number : number + 1], K)
            each.append(1e3 * (time.perf_counter() - began))
    exact = built[0][1]
    return [
        {
            "codes": codes.name,
            "engine": engine.name,
            "recall": recall_at(engine, exact, embedding, K),
            "batch_1_ms": float(np.median(each)),
            "build_s": seconds,
        }
        for (_, engine, seconds), each in zip(built, took, strict=True)
    ]


def verdict(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of each kind against its target."""
    fine = [each for each in results if each["kind"] == "fine" and each["recall"] >= RECALL]

    def best(rows: list[dict[str, Any]]) -> float:
        return max((each["times_1"] for each in rows), default=0.0)

    return {
        "coarse": {"times": best([each for each in results if each["kind"] == "coarse"]), "target": COARSE_TARGET},
        "bits": {"times": best([each for each in fine if each["engine"] == "hamming"]), "target": BITS_TARGET},
        "aqd": {"times": best([each for each in fine if each["engine"] == "aqd"]), "target": AQD_TARGET},
    }


KINDS = {"exhaustive": "", "coarse": "codes alone: ", "fine": "coarse-to-fine: "}


def table(results: list[dict[str, Any]]) -> list[str]:
    """One row a way of searching."""
    lines = [
        "| way | pool | recall@100 | batch 1, ms | times | batch 100, ms a query | times | memory, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        lines.append(
            f"| {KINDS[each['kind']]}{each['name']} | {each.get('pool', '–')} | {each['recall']:.3f} "
            f"| {each['batch_1_ms']:.2f} | {each['times_1']:.0f} | {each['batch_100_ms']:.2f} "
            f"| {each['times_100']:.1f} | {each['memory_mb']:,.0f} |"
        )
    return lines


def page(found: dict[str, Any]) -> str:
    """The results as markdown."""
    results, best = found["ways"], found["verdict"]
    stages = [
        f"| {each['name']} | {each['stages_ms']['coarse']:.2f} | {each['stages_ms']['fine']:.2f} "
        f"| {each['stages_ms']['rows']:.2f} |"
        for each in results
        if each["kind"] == "fine"
    ]
    near = [
        f"| {each['codes']} | {each['engine']} | {each['recall']:.3f} | {each['batch_1_ms']:.2f} "
        f"| {each['build_s']:.0f} |"
        for each in found["engines"]
    ]
    return "\n".join(
        [
            "# Speed of search on real deep features\n",
            f"{where(found['environment'])}, isal {found['isal']}, {found['threads']} threads for all.\n",
            f"    {found['environment']['command']}\n",
            f"{found['rows']:,} features of 4,096 dimensions: 128 principal components of MobileNetV2 features of "
            f"photos, lifted by a fixed orthonormal matrix, float16 in an index on disk of {found['disk_mb']:,.0f} "
            f"MB. {HELD_OUT:,} other rows are the queries. k = {K}. Quantizers are fitted on {TRAINING:,} rows of the "
            "database; what is timed begins at the embedding of a query, since an encoder makes that too. Times: "
            f"median of {ROUNDS} queries at batch 1 and of {HELD_OUT // BATCH - 1} batches of {BATCH}, the ways in "
            f"turns of {TURN} queries, in one process; `times` is the ratio of medians to exhaustive search. Recall: "
            "share of the 100 rows of exhaustive search that are among the 100 returned, mean of all queries. Memory: "
            "growth of what the process holds beside mapped files, engine, rows and ids included. Coarse-to-fine "
            "reads features from the map, in the page cache, compares every row with its checksum, and returns paths "
            "and labels; exhaustive search returns row numbers.\n",
            *table(results),
            "",
            "Of a coarse-to-fine search at batch 1, medians, ms:\n",
            "| codes | coarse | reading, checking, comparing features | paths and labels |",
            "|---|---|---|---|",
            *stages,
            "",
            "| target | wanted | reached |",
            "|---|---|---|",
            f"| coarse search alone | {COARSE_TARGET} × | **{best['coarse']['times']:.0f} ×** |",
            f"| end to end by bits, recall ≥ {RECALL} | {BITS_TARGET} × | **{best['bits']['times']:.0f} ×** |",
            f"| end to end by AQD, recall ≥ {RECALL} | {AQD_TARGET} × | **{best['aqd']['times']:.0f} ×** |",
            "",
            "## Approximate engines\n",
            "As they are by default; recall@100 is the share of 100 answers that are no farther by code than the 100th "
            "of the exact engine, mean of 200 queries.\n",
            "| codes | engine | recall@100 | batch 1, ms | building, s |",
            "|---|---|---|---|---|",
            *near,
            "",
        ]
    )


def measure_ways(found: Collection, folder: Path, codes: list[Codes]) -> dict[str, Any]:
    """Exhaustive, coarse and coarse-to-fine search."""
    paths = [index_of(found, each, folder) for each in codes]
    disk = sum(file.stat().st_size for file in paths[0].rglob("*") if file.is_file()) / 1e6
    all_ways = [exhaustive(found)]
    for each, path in zip(codes, paths, strict=True):
        all_ways += searches(found, each, path)
    results = timed(all_ways)
    return {
        "rows": len(found.database),
        "threads": faiss.omp_get_max_threads(),
        "isal": version("isal") if find_spec("isal") else "not installed",
        "disk_mb": disk,
        "ways": results,
        "verdict": verdict(results),
    }


def measure_engines(found: Collection, codes: list[Codes]) -> dict[str, Any]:
    """Approximate engines as they are by default."""
    _, bits, products, _ = codes
    return {
        "engines": engines(found, bits, ("binary_ivf", "binary_hnsw")) + engines(found, products, ("ivfpq", "hnsw"))
    }


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of features_pca128_f16.npy")
    parser.add_argument(
        "--pools", type=int, nargs=4, default=(5000, 1650, 240, 124), help="of 128 bits, 512 bits, OPQ and PQ"
    )
    parser.add_argument("--folder", type=Path, help="where the indexes go, 3.3 GB; a temporary folder by default")
    parser.add_argument("--part", choices=("ways", "engines"), help="only these, the rest as it was measured before")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(faiss.omp_get_max_threads())
    file = arguments.out / "search.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    found = collection(arguments.root)
    codes = ways(found, dict(zip(("few", "bits", "opq", "pq"), arguments.pools, strict=True)))
    if arguments.part != "engines":
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            results |= measure_ways(found, Path(folder), codes)
    if arguments.part != "ways":
        results |= measure_engines(found, codes)
    results |= {"environment": environment(command="python benchmarks/search.py --root DIR", seed=0)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    if {"ways", "engines"} <= results.keys():
        (arguments.out / "search.md").write_text(page(results))
        print(page(results))


if __name__ == "__main__":
    main()
