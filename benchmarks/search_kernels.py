"""The kernels of `dqh._native` against faiss, and against loops that only read and compare: rows of search.py.

Random codes, one thread where none is named.
"""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray
from pairs import Row, Work, gains, pairs
from quality import ROOT

from dqh import cores
from dqh.index.aqd import AQDIndex
from dqh.index.coarse_to_fine import rerank
from dqh.index.faiss_export import index_pq
from dqh.native import sharing, threads
from dqh.native.bitmaps import bitmap_of
from dqh.native.extension import extension
from dqh.native.hamming_codes import HammingCodes, words_of
from dqh.native.hamming_histograms import hamming_histograms
from dqh.quantizers import ProductQuantizer
from dqh.ranking import Ranking

K, BATCH = 100, 1000


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
    size = -(-bits // 8)
    codes, queries = (generator.integers(0, 256, (rows, size), dtype=np.uint8) for rows in (count, BATCH))
    for values in (codes, queries):
        values[:, -1] &= 255 >> -bits % 8
    ours = HammingCodes(size, kernels=extension())
    ours.add(codes)
    flat = faiss.IndexBinaryFlat(8 * size)
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
    for bits in (12, 16, 32, 48):
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

    def streamed(words: NDArray[np.uint64]) -> None:
        for _ in range(50):
            loops.stream(words, 5)

    halves = [partial(streamed, words) for words in (whole.words[:half], whole.words[half:])]

    def both() -> None:
        threads.in_threads(halves)

    def single() -> None:
        streamed(whole.words)

    unit = f"{BATCH:,} queries, {len(whole.words):,} codes, top {K}; 50 times {whole.words.nbytes / 1e6:.0f} MB"
    ours, theirs = ((work, with_threads(2, of_two)) for work, of_two in ((batch(whole), batch(whole)), (single, both)))
    return [
        gains(
            "64 bits, batch: gain of 2 threads", ours, "gain of the stream", theirs, rounds=rounds, unit=unit, floor=0.9
        ),
        pairs("64 bits, batch, 2 threads", ours[1], "1 thread", ours[0], rounds=rounds, unit=unit, cpu=False),
        pairs("stream, 2 threads", theirs[1], "1 thread", theirs[0], rounds=rounds, unit=unit, cpu=False),
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
        cosine = AQDIndex(quantizer, distance="cosine")
        cosine.add(codes)
        by_cosine = partial(cosine.search, embedding, K)
        rows.append(pairs(f"{name}, cosine", by_cosine, "squared L2", search, rounds=rounds, unit=unit))
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


def filter_rows(count: int, rounds: int) -> list[Row]:
    """A filter as a bitmap against codes of its rows alone, searched, and laid out for one search."""
    generator = np.random.default_rng(0)
    codes, queries = (generator.integers(0, 256, (rows, 8), dtype=np.uint8) for rows in (count, 50))
    whole = HammingCodes(8, kernels=extension())
    whole.add(codes)
    rows = []
    for share in (0.5, 1 / 8, 1 / 64):
        chosen = generator.random(count) < share
        bitmap, part = bitmap_of(chosen), HammingCodes(8, kernels=extension())
        part.add(codes[chosen])

        def by_bitmap(bitmap: NDArray[np.uint8] = bitmap) -> None:
            for q in range(50):
                whole.nearest(queries[q : q + 1], K, allowed=bitmap)

        def by_part(part: HammingCodes = part) -> None:
            for q in range(50):
                part.nearest(queries[q : q + 1], K)

        def laid_out(chosen: NDArray[np.bool_] = chosen) -> None:
            for _ in range(50):
                HammingCodes(8, kernels=extension()).add(codes[chosen])

        unit, name = (
            f"50 queries one by one, {count:,} codes of 64 bits, top {K}",
            f"a bitmap of 1 row in {1 / share:.0f}",
        )
        rows.append(pairs(name, by_bitmap, "a search of these rows alone", by_part, rounds=rounds, unit=unit))
        rows.append(pairs(name, by_bitmap, "laying these rows out", laid_out, rounds=rounds, unit=unit))
    return rows


def size_rows(rounds: int) -> list[Row]:
    """How long a query takes alone, by the number of rows: what `most_rows` of a way follows from."""
    generator, rows = np.random.default_rng(0), []
    books = generator.standard_normal((8, 256, 8)).astype(np.float32)
    few = generator.standard_normal((16, 16, 4)).astype(np.float32)
    products = {"K = 256, M = 8": books, "K = 16, M = 16": few}
    for count in (1_000_000, 4_000_000, 8_000_000):
        codes = generator.integers(0, 256, (count, 8), dtype=np.uint8)
        unit = f"a query, {count:,} codes of 64 bits, top {K}"
        hamming, flat = HammingCodes(8, kernels=extension()), faiss.IndexBinaryFlat(64)
        hamming.add(codes)
        flat.add(codes)
        query = codes[:1] ^ 5
        search, scan = partial(hamming.nearest, query, K), partial(flat.search, query, K)
        rows.append(pairs("Hamming, batch 1", search, "IndexBinaryFlat", scan, rounds=rounds, unit=unit))
        for name, codebooks in products.items():
            quantizer = ProductQuantizer.from_codebooks(codebooks)
            index, embedding = AQDIndex(quantizer), generator.standard_normal((1, 64)).astype(np.float32)
            index.add(codes)
            theirs = partial(index_pq(quantizer, codes).search, embedding, K)
            search = partial(index.search, embedding, K)
            rows.append(pairs(f"{name}, batch 1", search, "IndexPQ", theirs, rounds=rounds, unit=unit))
    return rows
