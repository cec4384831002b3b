"""Search of an index on disk, of real deep features, against exhaustive search by faiss: rows of search.py.

The features, 100,000 of 128 dimensions, are lifted to 4,096 by a fixed orthonormal matrix, which changes no distance,
and indexed as float16; 1,000 rows are held out as queries. An encoder would give the 128 dimensions back, so that
quantizers are fitted on these.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray
from pairs import Ours, Row, turns

from dqh.encoded import Encoded
from dqh.index.engines import Engine, build
from dqh.index.store import Found, Header, Snapshot, Writer, compact, open_index, recall_at
from dqh.index.store import Row as IndexRow
from dqh.index.ways import main_way
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, Quantizer, Threshold
from dqh.quantizers.itq import ITQ

SIZE, HELD_OUT, K, BATCH, ALONE = 4096, 1000, 100, 100, 20
TRAINING = 20_000
ENCODER = "lifted features"
RECALL = 0.95
EXHAUSTIVE = "exhaustive, IndexFlatL2, float32"


class Codes(NamedTuple):
    """A way to make codes.

    Attributes:
        name: in the tables.
        quantizer: of embeddings.
        embed: (N, D) embeddings of features (N, 128).
        pool: candidates a query of coarse-to-fine search.
        alone: floor and target of codes alone, one query at a time.
        fine: of coarse-to-fine search, one query at a time.
        fine_batch: likewise, many together.
    """

    name: str
    quantizer: Quantizer
    embed: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    pool: int
    alone: tuple[float | None, float | None] = (None, None)
    fine: tuple[float | None, float | None] = (None, None)
    fine_batch: tuple[float | None, float | None] = (None, None)


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


def all_codes(features: Collection) -> list[Codes]:
    """Quantizers, fitted on rows of the database; pools that reach the recall."""
    rows = features.database[:TRAINING]
    width = rows.shape[1]
    turned = [ITQ(width, seed=seed, iterations=20).fit(rows[:10_000]) for seed in range(4)]
    projection, mean = np.concatenate([itq.projection for itq in turned], axis=1), turned[0].mean

    def to_bits(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((values - mean) @ projection).astype(np.float32)

    def to_few_bits(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return to_bits(values)[:, :width].copy()

    def same(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values

    halves = OptimizedProductQuantizer(64, 16, rotations=10, seed=0).fit(rows[:10_000])
    octets = ProductQuantizer(64, 256, seed=0).fit(rows)
    return [
        Codes("ITQ, 128 bits", Threshold(width, threshold=0.0), to_few_bits, 5000, alone=(1500, 2500)),
        Codes("ITQ, 512 bits", Threshold(512, threshold=0.0), to_bits, 1650),
        Codes("OPQ, M = 64, K = 16 (256 bits)", halves, same, 240),
        Codes("PQ, M = 64, K = 256 (512 bits)", octets, same, 120, fine=(60, 90), fine_batch=(5, 10)),
    ]


def index_of(features: Collection, codes: Codes, folder: Path) -> Path:
    """The index on disk."""
    path = folder / f"{codes.quantizer.kind}-{codes.quantizer.bits}"
    quantizer = codes.quantizer
    with Writer(path, Header(ENCODER, quantizer, SIZE)) as writer:
        for start in range(0, len(features.database), 8192):
            rows = features.database[start : start + 8192]
            named = [IndexRow(f"{number:06d}.jpg", (str(number % 200),)) for number in range(start, start + len(rows))]
            writer.add(named, quantizer.encode(codes.embed(rows)), features.lifted(rows))
        writer.commit()
    compact(path)
    return path


class Opened(NamedTuple):
    """An index to search, by codes alone through its engine, and by codes and features.

    Attributes:
        codes: how it was made.
        snapshot: of it.
        engine: of that.
        queries: all of them.
    """

    codes: Codes
    snapshot: Snapshot
    engine: Engine
    queries: Encoded

    def coarse(self, first: int, last: int) -> NDArray[np.int64]:
        """Rows (Q, 100)."""
        return self.engine.search(self.queries.embedding[first:last], K).ids

    def fine(self, first: int, last: int) -> NDArray[np.int64]:
        """Rows (Q, 100)."""
        return self.answered(first, last).ranking.ids

    def answered(self, first: int, last: int) -> Found:
        """All that is found; paths and labels are not looked up yet."""
        part = [getattr(self.queries, name)[first:last] for name in ("codes", "embedding", "features")]
        return self.snapshot.search(Encoded(*part, ENCODER), k=K, pool=self.codes.pool)


def opened(features: Collection, codes: Codes, path: Path) -> Opened:
    """With its engine made."""
    snapshot = open_index(path, cache=False)
    embedding = codes.embed(features.queries)
    queries = Encoded(codes.quantizer.encode(embedding), embedding, features.lifted(features.queries), ENCODER)
    engine = snapshot._whole(snapshot.engine)
    return Opened(codes, snapshot, engine, queries)


def one_by_one(search: Callable[[int, int], Any]) -> Callable[[], None]:
    """Some queries, each alone."""

    def run() -> None:
        for number in range(ALONE):
            search(number, number + 1)

    return run


def collection_rows(root: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Speed against exhaustive search, and recall."""
    features = collection(root)
    indexes = [opened(features, codes, index_of(features, codes, folder)) for codes in all_codes(features)]
    flat = faiss.IndexFlatL2(SIZE)
    for start in range(0, len(features.database), 8192):
        flat.add(features.lifted(features.database[start : start + 8192]).astype(np.float32))
    queries = features.lifted(features.queries).astype(np.float32)

    def exhaustive(first: int, last: int) -> NDArray[np.int64]:
        return flat.search(queries[first:last], K)[1]

    alone, together = [], []
    for index in indexes:
        codes, fine = index.codes, f"coarse-to-fine: {index.codes.name}"
        alone.append(Ours(f"codes alone: {codes.name}", one_by_one(index.coarse), *codes.alone))
        alone.append(Ours(fine, one_by_one(index.fine), *codes.fine))
        together.append(Ours(f"codes alone: {codes.name}", lambda index=index: index.coarse(0, BATCH)))
        together.append(Ours(fine, lambda index=index: index.fine(0, BATCH), *codes.fine_batch))
    of_one, of_many = f"{ALONE} queries one by one, top {K}", f"{BATCH} queries, top {K}"
    rows = turns(alone, EXHAUSTIVE, one_by_one(exhaustive), rounds=rounds, unit=of_one)
    rows += turns(together, EXHAUSTIVE, lambda: exhaustive(0, BATCH), rounds=rounds, unit=of_many)
    truth = np.concatenate([exhaustive(start, start + BATCH) for start in range(0, HELD_OUT, BATCH)])
    return {"rows": rows, "recalls": [recalls(index, truth) for index in indexes]}


def recalls(index: Opened, truth: NDArray[np.int64]) -> dict[str, Any]:
    """Recall@100 of all queries, and how long the stages of a search take, medians of 200."""
    shares: dict[str, list[float]] = {"coarse": [], "fine": []}
    for start in range(0, HELD_OUT, BATCH):
        for name, search in (("coarse", index.coarse), ("fine", index.fine)):
            both = zip(truth[start : start + BATCH], search(start, start + BATCH), strict=True)
            shares[name] += [len(np.intersect1d(one, other)) / K for one, other in both]
    stages = np.median([stage_seconds(index, number) for number in range(200)], axis=0) * 1e3
    return {
        "name": index.codes.name,
        "engine": index.engine.name,
        "pool": index.codes.pool,
        "code_bytes": index.codes.quantizer.bits / 8,
        "recall_coarse": float(np.mean(shares["coarse"])),
        "recall_fine": float(np.mean(shares["fine"])),
        "stages_ms": dict(zip(("filter", "coarse", "fine", "rows"), stages.round(3).tolist(), strict=True)),
    }


def stage_seconds(index: Opened, number: int) -> list[float]:
    """Of the search of one query, and of paths and labels after it."""
    found = index.answered(number, number + 1)
    began = time.perf_counter()
    hits = found.hits
    seconds = time.perf_counter() - began
    assert len(hits[0]) == K
    return [*found.seconds, seconds]


def engine_rows(root: Path, rounds: int) -> dict[str, Any]:
    """Approximate engines as they are by default: recall@100 within the order of the exact one, and speed."""
    features = collection(root)
    _, bits, products, _ = all_codes(features)
    rows: list[Row] = []
    facts = []
    for codes, names in ((bits, ("binary_ivf", "binary_hnsw")), (products, ("ivfpq", "hnsw"))):
        quantizer, embedding = codes.quantizer, codes.embed(features.queries[:200])
        packed = quantizer.encode(codes.embed(features.database))
        exact = main_way(quantizer).index(quantizer, packed)

        def search(engine: Engine, embedding: NDArray[np.float32] = embedding) -> Callable[[], None]:
            def run() -> None:
                for number in range(ALONE):
                    engine.search(embedding[number : number + 1], K)

            return run

        others = []
        for name in names:
            began = time.perf_counter()
            engine = build(name, quantizer, main_way(quantizer), packed)
            seconds = time.perf_counter() - began
            recall = recall_at(engine, exact, embedding, K)
            facts.append({"codes": codes.name, "engine": name, "recall": recall, "build_s": seconds})
            others.append(Ours(f"{name}: {codes.name}", search(engine)))
        unit = f"{ALONE} queries one by one, top {K}"
        rows += turns(others, exact.name, search(exact), rounds=rounds, unit=unit)
    return {"rows": rows, "engines": facts}


def recall_lines(facts: list[dict[str, Any]]) -> list[str]:
    """What rows of the collection say beside their speed, as markdown."""
    lines = [
        "\n| codes | engine | pool | recall@100, codes alone | coarse-to-fine | coarse, ms | features, ms "
        "| paths and labels, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fact in facts:
        stages = " | ".join(f"{fact['stages_ms'][stage]:.2f}" for stage in ("coarse", "fine", "rows"))
        lines.append(
            f"| {fact['name']} | {fact['engine']} | {fact['pool']} | {fact['recall_coarse']:.3f} "
            f"| {fact['recall_fine']:.3f} | {stages} |"
        )
    return lines


def engine_lines(facts: list[dict[str, Any]]) -> list[str]:
    """What rows of the approximate engines say beside their speed, as markdown."""
    lines = ["\n| codes | engine | recall@100 | building, s |", "|---|---|---|---|"]
    lines += [
        f"| {fact['codes']} | {fact['engine']} | {fact['recall']:.3f} | {fact['build_s']:.0f} |" for fact in facts
    ]
    return lines
