"""The kernels of `dqh._native` against faiss, and against loops that do nothing but read and compare.

    python benchmarks/search_kernels.py [--codes 1000000] [--rounds 9] [--parts hamming aqd …]

Random codes. Each row is of pairs that take turns in this process, and tells the median of their ratios: of CPU
seconds, those of several threads of wall seconds. Writes benchmarks/results/search_kernels.json and search_kernels.md.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
from numpy.typing import NDArray
from quality import RESULTS, ROOT, where

from dqh import cores
from dqh.environment import environment
from dqh.index.aqd import AQDIndex
from dqh.index.coarse_to_fine import rerank
from dqh.index.faiss_export import index_pq
from dqh.native import sharing, threads
from dqh.native.extension import extension
from dqh.native.hamming_codes import HammingCodes, words_of
from dqh.native.hamming_histograms import hamming_histograms
from dqh.quantizers import ProductQuantizer
from dqh.ranking import Ranking

K, BATCH = 100, 1000
Work = Callable[[], Any]


class Seconds(NamedTuple):
    """Of one call."""

    wall: float
    cpu: float


class Row(NamedTuple):
    """One comparison.

    Attributes:
        what: is measured.
        against: what.
        floor: of the ratio.
        target: of the ratio.
        ratio: median.
        spread: the least and the largest ratio.
        ours: medians of seconds.
        theirs: likewise.
        unit: what one call does, for the reader.
    """

    what: str
    against: str
    floor: float | None
    target: float | None
    ratio: float
    spread: tuple[float, float]
    ours: Seconds
    theirs: Seconds
    unit: str


def timed(work: Work) -> Seconds:
    """One call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def pairs(
    what: str,
    ours: Work,
    against: str,
    theirs: Work,
    *,
    rounds: int,
    unit: str,
    floor: float | None = None,
    target: float | None = None,
    cpu: bool = True,
) -> Row:
    """Both once unmeasured, then in turns; the ratio is theirs to ours."""
    clock = "cpu" if cpu else "wall"
    ours(), theirs()
    times = []
    for number in range(rounds):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        first, second = timed(order[0]), timed(order[1])
        times.append((first, second) if number % 2 else (second, first))
    ratios = [getattr(their, clock) / getattr(our, clock) for our, their in times]
    medians = [
        Seconds(*(statistics.median(values) for values in zip(*side, strict=True))) for side in zip(*times, strict=True)
    ]
    row = Row(
        what,
        against,
        floor,
        target,
        statistics.median(ratios),
        (min(ratios), max(ratios)),
        medians[0],
        medians[1],
        unit,
    )
    print(
        f"{what} against {against}: {row.ratio:.2f} ({row.spread[0]:.2f} … {row.spread[1]:.2f}), "
        f"{1e3 * row.ours.wall:.2f} ms against {1e3 * row.theirs.wall:.2f} ms",
        flush=True,
    )
    return row


class Loops:
    """benchmarks/stream.c, built for this processor."""

    def __init__(self, folder: Path) -> None:
        library = folder / "stream.so"
        command = ["cc", "-O3", "-march=native", "-funroll-loops", "-shared", "-fPIC"]
        subprocess.run([*command, str(ROOT / "benchmarks" / "stream.c"), "-o", str(library)], check=True)
        self._library = ctypes.CDLL(str(library))
        self._library.stream.restype = self._library.compare.restype = ctypes.c_uint64

    def stream(self, words: NDArray[np.uint64], query: int) -> int:
        """Bits in which all words differ from one."""
        return int(
            self._library.stream(
                words.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(words.size), ctypes.c_uint64(query)
            )
        )

    def compare(self, words: NDArray[np.uint64], queries: NDArray[np.uint64], rounds: int) -> int:
        """Words nearer than 10 bits to 4 queries, again and again."""
        return int(
            self._library.compare(
                words.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_int64(words.size),
                queries.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_uint64(10),
                ctypes.c_int64(rounds),
            )
        )


def with_threads(count: int, work: Work) -> Work:
    """The same by so many threads."""

    def run() -> None:
        before = sharing.threads, threads.threads
        sharing.threads = threads.threads = lambda: count
        try:
            work()
        finally:
            sharing.threads, threads.threads = before

    return run


class Index(NamedTuple):
    """Codes in both indexes, with queries."""

    ours: HammingCodes
    flat: Any
    queries: NDArray[np.uint8]
    words: NDArray[np.uint64]


def index_of(bits: int, count: int, generator: np.random.Generator) -> Index:
    """Random codes."""
    codes, queries = (generator.integers(0, 256, (rows, bits // 8), dtype=np.uint8) for rows in (count, BATCH))
    if bits % 8:
        raise ValueError(f"bits must be a multiple of 8, got {bits}")
    ours = HammingCodes(bits // 8, kernels=extension())
    ours.add(codes)
    flat = faiss.IndexBinaryFlat(bits)
    flat.add(codes)
    distances, ids = flat.search(queries[:20], K)
    found = ours.nearest(queries[:20], K)
    if not (np.array_equal(ids, found[0]) and np.array_equal(distances, found[1])):
        raise ValueError(f"answers differ at {bits} bits")
    return Index(ours, flat, queries, words_of(codes))


def batch(index: Index) -> Work:
    """All queries at once, by ours."""
    return lambda: index.ours.nearest(index.queries, K)


def flat_batch(index: Index) -> Work:
    """The same by faiss."""
    return lambda: index.flat.search(index.queries, K)


def one_by_one(search: Callable[[NDArray[np.uint8], int], Any], index: Index) -> Work:
    """50 queries, each alone."""

    def run() -> None:
        for q in range(50):
            search(index.queries[q : q + 1], K)

    return run


def word_rows(whole: Index, rounds: int, loops: Loops) -> list[Row]:
    """Codes of 64 bits, against faiss and against what bounds them."""
    count = len(whole.words)
    many = f"{BATCH:,} queries, {count:,} codes, top {K}"
    alone = f"50 queries one by one, {count:,} codes, top {K}"
    small, four = whole.words[:1024].copy(), words_of(whole.queries[:4])
    turns = count * BATCH // (4 * 1024)

    def streams() -> None:
        for q in range(50):
            loops.stream(whole.words, q * 0x9E3779B97F4A7C15 % 2**64)

    def compared() -> None:
        loops.compare(small, four, turns)

    ours, flat = one_by_one(whole.ours.nearest, whole), one_by_one(whole.flat.search, whole)
    measure = partial(pairs, rounds=rounds)
    name, flat_name = "64 bits, batch", "IndexBinaryFlat"
    return [
        measure(name, batch(whole), flat_name, flat_batch(whole), unit=many, floor=3.5, target=8),
        measure(name, batch(whole), "xor, popcount, compare over L1", compared, unit=many, target=0.7),
        measure("64 bits, batch 1", ours, "xor-popcount stream", streams, unit=alone, floor=0.6, target=0.8),
        measure("64 bits, batch 1", ours, flat_name, flat, unit=alone),
    ]


def length_rows(whole: Index, rounds: int, generator: np.random.Generator) -> list[Row]:
    """Other lengths: shorter ones against 64 bits, longer ones against faiss."""
    count, rows = len(whole.words), []
    unit = f"{BATCH:,} queries, {count:,} codes, top {K}"
    for bits in (16, 32, 48):
        short = index_of(bits, count, generator)
        name = f"{bits} bits, batch"
        rows.append(pairs(name, batch(short), "our 64 bits", batch(whole), rounds=rounds, unit=unit, floor=1 / 1.1))
    for bits, floor, target in ((128, 3.0, 6.0), (256, None, None), (512, None, None)):
        long = index_of(bits, count, generator)
        ours, theirs, name = batch(long), flat_batch(long), f"{bits} bits, batch"
        rows.append(pairs(name, ours, "IndexBinaryFlat", theirs, rounds=rounds, unit=unit, floor=floor, target=target))
    return rows


def thread_rows(count: int, rounds: int) -> list[Row]:
    """What a second core brings to the search, and to the stream."""
    if cores.usable_cores() < 2:
        return []
    whole = index_of(64, count, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        loops = Loops(Path(folder))
    half = len(whole.words) // 2
    halves = [partial(loops.stream, words, 5) for words in (whole.words[:half], whole.words[half:])]

    def both() -> None:
        for _ in range(50):
            threads.in_threads(halves)

    def single() -> None:
        for _ in range(50):
            loops.stream(whole.words, 5)

    name, unit = "64 bits, batch, 2 threads", f"{BATCH:,} queries, {len(whole.words):,} codes, top {K}"
    return [
        pairs(name, with_threads(2, batch(whole)), "1 thread", batch(whole), rounds=rounds, unit=unit, cpu=False),
        pairs(
            "stream, 2 threads",
            with_threads(2, both),
            "1 thread",
            single,
            rounds=rounds,
            unit="50 times 8 MB",
            cpu=False,
        ),
    ]


def hamming_rows(count: int, rounds: int) -> list[Row]:
    """The k nearest by Hamming distance."""
    generator = np.random.default_rng(0)
    whole = index_of(64, count, generator)
    with tempfile.TemporaryDirectory() as folder:
        loops = Loops(Path(folder))
        return word_rows(whole, rounds, loops) + length_rows(whole, rounds, generator)


def aqd_rows(count: int, rounds: int) -> list[Row]:
    """The k nearest by look-up tables, which both sides make of the queries, against faiss."""
    generator, queries, rows = np.random.default_rng(0), 100, []
    unit = f"{queries} queries, {count:,} codes, top {K}"
    for subspaces, floor, target in ((4, 4.0, 7.0), (8, 4.0, 10.0), (16, 2.5, 4.0)):
        books = generator.standard_normal((subspaces, 256, 64 // subspaces)).astype(np.float32)
        quantizer = ProductQuantizer.from_codebooks(books)
        codes = generator.integers(0, 256, (count, subspaces), dtype=np.uint8)
        embedding = generator.standard_normal((queries, 64)).astype(np.float32)
        ours, flat, name = AQDIndex(quantizer), index_pq(quantizer, codes), f"K = 256, M = {subspaces}, batch"
        ours.add(codes)
        distances, _ = flat.search(embedding, K)
        if not np.allclose(ours.search(embedding, K).distances, distances, rtol=1e-5):
            raise ValueError(f"distances differ at {subspaces} subspaces")
        search = partial(ours.search, embedding, K)
        theirs = partial(flat.search, embedding, K)
        rows.append(pairs(name, search, "IndexPQ", theirs, rounds=rounds, unit=unit, floor=floor, target=target))
        halves = ProductQuantizer.from_codebooks(
            generator.standard_normal((2 * subspaces, 16, 64 // (2 * subspaces))).astype(np.float32)
        )
        fast = faiss.IndexPQFastScan(index_pq(halves, codes))  # as many bytes, approximate
        rows.append(
            pairs(
                name,
                search,
                "IndexPQFastScan, equal bytes",
                partial(fast.search, embedding, K),
                rounds=rounds,
                unit=unit,
                target=1,
            )
        )
        few = index_few(halves, codes)
        rows.append(
            pairs(
                f"K = 16, M = {2 * subspaces}, batch",
                partial(few.search, embedding, K),
                "IndexPQFastScan, the same codes",
                partial(fast.search, embedding, K),
                rounds=rounds,
                unit=unit,
            )
        )
    return rows


def index_few(quantizer: ProductQuantizer, codes: NDArray[np.uint8]) -> AQDIndex:
    """Codes of 16 codewords a subspace."""
    index = AQDIndex(quantizer)
    index.add(codes)
    return index


def histogram_rows(rounds: int) -> list[Row]:
    """Histograms of mAP, 1,000 × 59,000 × 48 bits."""
    generator = np.random.default_rng(0)
    bits, count = 48, 59_000
    database, query = (generator.integers(0, 256, (rows, bits // 8), dtype=np.uint8) for rows in (count, BATCH))
    single = [generator.integers(0, 10, rows) for rows in (count, BATCH)]
    several = [generator.random((rows, 81)) < 0.03 for rows in (count, BATCH)]
    signs, queries = (2 * np.unpackbits(codes, axis=1).astype(np.float32) - 1 for codes in (database, query))
    octets = [(0.5 * (bits - queries[q] @ signs.T)).astype(np.uint8) for q in range(50)]

    def ours(labels: list[NDArray[Any]]) -> Work:
        return lambda: hamming_histograms(
            query, database, query_labels=labels[1], database_labels=labels[0], bits=bits, kernels=extension()
        )

    def sorting() -> None:
        for q in range(BATCH):
            np.argsort(0.5 * (bits - queries[q] @ signs.T))

    def counting() -> None:
        for q in range(BATCH):
            np.argsort(octets[q % 50], kind="stable")

    unit = f"{BATCH:,} queries × {count:,} codes × {bits} bits"
    sort, alone = "np.argsort(.5 (B − q · dbᵀ)) a query", "the stable argsort of uint8 alone"
    return [
        pairs("histograms, single labels", ours(single), sort, sorting, rounds=rounds, unit=unit, floor=8, target=15),
        pairs(
            "histograms, single labels", ours(single), alone, counting, rounds=rounds, unit=unit, floor=2, target=3.5
        ),
        pairs("histograms, 81 labels", ours(several), alone, counting, rounds=rounds, unit=unit),
    ]


def rerank_rows(rounds: int) -> list[Row]:
    """Re-ranking by features of 4,096 dimensions, float16, 20,000 rows in memory."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((20_000, 4096), dtype=np.float32).astype(np.float16)
    query = generator.standard_normal((1, 4096), dtype=np.float32)
    rows = []
    for pool, floor, target in ((1000, 2, 1.3), (5000, 8, 6)):
        ids = [np.sort(generator.choice(len(features), pool, replace=False))[None] for _ in range(20)]

        def ours(ids: list[NDArray[np.int64]] = ids) -> None:
            for chosen in ids:
                rerank(Ranking(chosen, np.zeros(chosen.shape, np.float32)), query, database_features=features, k=K)

        def plain(ids: list[NDArray[np.int64]] = ids) -> None:
            for chosen in ids:
                difference = features[chosen[0]].astype(np.float32) - query
                np.argsort(np.einsum("mf,mf->m", difference, difference))[:K]

        unit = f"20 queries, {pool:,} of 20,000 rows; floor {floor} ms, target {target} ms a query"
        rows.append(pairs(f"re-ranking {pool:,}", ours, "numpy", plain, rounds=rounds, unit=unit))
    return rows


def page(parts: dict[str, Any]) -> str:
    """The results as markdown."""
    lines = [
        "# Search kernels\n",
        "Random codes. Ratios are medians of pairs that took turns in one process, theirs to ours, with the least and "
        "the largest. The machine was busy with other work, which stretches wall more than CPU seconds: ratios "
        "are of CPU seconds, but those of several threads, which are of wall seconds. Milliseconds are medians, CPU "
        "first, then wall. One thread where none is named.",
    ]
    for name, part in parts.items():
        lines += [
            f"\n## {PARTS[name]}\n",
            f"{where(part['environment'])}, instruction set {part['set']}, {part['rounds']} pairs.\n",
            f"    {part['environment']['command']}\n",
            "| what | against | ratio | least … largest | floor | target | ours, ms | theirs, ms | of |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in (Row(**row) for row in part["rows"]):
            bounds = " | ".join("–" if bound is None else f"{bound:.2f}" for bound in (row.floor, row.target))
            sides = (Seconds(*row.ours), Seconds(*row.theirs))
            times = " | ".join(f"{1e3 * side.cpu:.1f} ({1e3 * side.wall:.1f})" for side in sides)
            lines.append(
                f"| {row.what} | {row.against} | **{row.ratio:.2f}** | {row.spread[0]:.2f} … {row.spread[1]:.2f} "
                f"| {bounds} | {times} | {row.unit} |"
            )
    return "\n".join([*lines, ""])


PARTS = {
    "hamming": "The k nearest by Hamming distance",
    "threads": "Two threads",
    "aqd": "The k nearest by product-quantized codes, squared L2",
    "histograms": "Histograms for mAP",
    "rerank": "Re-ranking by features",
}


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="the rest as measured before")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    kernels = extension()
    if kernels is None:
        parser.error("dqh._native is not built here")
    faiss.omp_set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "search_kernels.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    measures: dict[str, Callable[[], list[Row]]] = {
        "hamming": partial(hamming_rows, arguments.codes, arguments.rounds),
        "threads": partial(thread_rows, arguments.codes, arguments.rounds),
        "aqd": partial(aqd_rows, arguments.codes, arguments.rounds),
        "histograms": partial(histogram_rows, arguments.rounds),
        "rerank": partial(rerank_rows, arguments.rounds),
    }
    for part in arguments.parts:
        results[part] = {
            "rows": [row._asdict() for row in measures[part]()],
            "rounds": arguments.rounds,
            "set": kernels.instruction_set(),
            "environment": environment(command=f"python benchmarks/search_kernels.py --parts {part}", seed=0),
        }
        results = {name: results[name] for name in PARTS if name in results}
        file.write_text(json.dumps(results, indent=1) + "\n")
        file.with_suffix(".md").write_text(page(results))


if __name__ == "__main__":
    main()
