"""The searches of `dqh.native.device` where codes lie, against torch, the kernels in C and faiss on the processor.

    python benchmarks/search_device.py            on CUDA where there is one, else on the CPU with few codes
    python benchmarks/search_device.py --parts hamming aqd --rounds 9

Random codes. Answers are checked against those of the processor before anything is timed. Each row is of pairs that
take turns in this process, wall time from arrays on the host to answers there, the device waited for; theirs may be of
fewer queries, so that the ratio is of times a query. Writes benchmarks/results/search_device.json and search_device.md,
in which what was measured on the other kind of device stays.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from quality import RESULTS, where

from dqh.environment import environment
from dqh.index.aqd import AQDIndex
from dqh.index.coarse_to_fine import rerank
from dqh.index.faiss_export import index_pq
from dqh.index.lookup import lookup_tables
from dqh.index.orders import hamming as hamming_order
from dqh.index.orders.hamming import hamming_buckets
from dqh.native import twins
from dqh.native.device import selection, torch_kernels
from dqh.native.device.feature_tensors import FeatureTensors
from dqh.native.device.hamming_tensors import HammingTensors
from dqh.native.device.product_tensors import ProductTensors
from dqh.native.extension import extension
from dqh.native.hamming_codes import HammingCodes
from dqh.plural import counted
from dqh.quantizers import ProductQuantizer
from dqh.ranking import Ranking

K, BITS, CHECKED = 100, 64, 5
SIZES = {"cuda": (1_000_000, 10_000_000, 100_000_000), "cpu": (100_000,)}
BATCHES = {"cuda": (1, 1000), "cpu": (1, 20)}
ITEMS = {"cuda": 1_000_000, "cpu": 20_000}
"""Of searches by tables."""

DATABASE = {"cuda": 59_000, "cpu": 5900}
"""Of histograms."""

POOLS = {"cuda": (1000, 5000), "cpu": (100, 500)}
ON_HOST = 20
"""Queries that the processor answers of a batch, at most."""

ALONE = {"floor": "0.60", "target": "0.80"}
MANY = {"floor": "1e11 a second", "target": "3e11 a second"}
"""What is wanted on CUDA."""

NAMES = {"cuda": "On CUDA", "cpu": "On a CPU, few codes"}
ABOUT = {
    "cuda": "By the kernels in Triton.",
    "cpu": "By the kernels in torch, to show that all of it runs: an index on the CPU takes those in C. The "
    "machine was busy with other work.",
}
COMMAND = "python benchmarks/search_device.py"
Work = Callable[[], Any]


class Case(NamedTuple):
    """One comparison.

    Attributes:
        what: is measured.
        of: queries and items.
        against: what.
        ours: what is timed; None where it is only named.
        theirs: likewise.
        scale: by which theirs is multiplied, as it is of fewer queries.
        compared: distances of ours.
        floor: of the ratio, or of distances a second.
        target: likewise.
    """

    what: str
    of: str
    against: str
    ours: Work | None
    theirs: Work | None
    scale: float
    compared: int
    floor: str = "–"
    target: str = "–"


class Place(NamedTuple):
    """Where codes lie, and how much is measured there; `named` alone says what would be.

    Attributes:
        kind: `cpu` or `cuda`.
        named: whether nothing is made.
    """

    kind: str
    named: bool = False

    @property
    def device(self) -> str:
        """For torch."""
        return "cpu" if self.named else self.kind

    def codes(self, generator: np.random.Generator, rows: int, size: int = BITS // 8) -> NDArray[np.uint8]:
        """Random ones; none where they are only named."""
        return generator.integers(0, 256, (0 if self.named else rows, size), dtype=np.uint8)


def hamming_cases(place: Place) -> Iterator[Case]:
    """The scan against a reduction over the same memory, faiss, and the kernels that torch alone has."""
    for rows in SIZES[place.kind]:
        generator = np.random.default_rng(0)
        codes, queries = place.codes(generator, rows), place.codes(generator, max(BATCHES[place.kind]))
        placed, plain = (
            HammingTensors(BITS // 8, device=place.device, kernels=kernels)  # type: ignore[arg-type]
            for kernels in (None, torch_kernels)
        )
        flat = faiss.IndexBinaryFlat(BITS)
        if not place.named:
            placed.add(codes)
            plain._parts = placed._parts
            flat.add(codes)
            checked(placed, codes, queries[:CHECKED])
        del codes
        for batch in BATCHES[place.kind]:
            few = queries[: min(batch, ON_HOST)]
            case = partial(
                Case,
                "Hamming",
                f"{rows:,} codes of {BITS} bits, {counted(batch, 'query', 'queries')}, top {K}",
                ours=partial(placed.nearest, queries[:batch], K),
                scale=batch / max(1, len(few)),
                compared=rows * batch,
            )
            if batch == 1:
                yield case("a reduction by torch over the same bytes", theirs=partial(reduced, placed, place), **ALONE)
            limits = MANY if batch > 1 else {}
            yield case("IndexBinaryFlat, one core", theirs=partial(flat.search, few, K), **limits)
            if place.kind == "cuda":
                yield case("the same by the kernels in torch", theirs=partial(plain.nearest, few, K))


def checked(placed: HammingTensors, codes: NDArray[np.uint8], queries: NDArray[np.uint8]) -> None:
    """Raise `ValueError` where answers are not those of the processor."""
    host = HammingCodes(codes.shape[1], kernels=extension() or twins)
    host.add(codes)
    for radius in (None, 12):
        pair = [each.nearest(queries, K) if radius is None else each.within(queries, radius) for each in (placed, host)]
        if not all(np.array_equal(one, other) for one, other in zip(*pair, strict=True)):
            raise ValueError(f"answers differ for {len(codes)} codes, radius {radius}")


def reduced(placed: HammingTensors, place: Place) -> None:
    """The largest word of all."""
    value = placed._words.amax()
    if place.kind == "cuda":
        value.item()


def aqd_cases(place: Place) -> Iterator[Case]:
    """As an index does it, look-up tables included."""
    rows = ITEMS[place.kind]
    for subspaces, codewords in ((8, 256), (16, 16)):
        generator = np.random.default_rng(0)
        books = generator.standard_normal((subspaces, codewords, 64 // subspaces)).astype(np.float32)
        quantizer = ProductQuantizer.from_codebooks(books)
        codes = place.codes(generator, rows, quantizer.bits // 8)
        queries = generator.standard_normal((max(BATCHES[place.kind]), 64)).astype(np.float32)
        host, flat = AQDIndex(quantizer), index_pq(quantizer, codes)
        placed = ProductTensors(quantizer.codewords_of(codes).T.astype(np.uint8), device=place.device)
        search = partial(by_tables, quantizer, placed)
        if not place.named:
            host.add(codes)
            pair = search(queries[:CHECKED]), host.search(queries[:CHECKED], K)
            if not all(np.array_equal(one, other) for one, other in zip(*pair, strict=True)):
                raise ValueError(f"answers differ for M = {subspaces}, K = {codewords}")
        for batch in BATCHES[place.kind]:
            few = queries[: min(batch, ON_HOST)]
            case = partial(
                Case,
                f"AQD, M = {subspaces}, K = {codewords}",
                f"{rows:,} items, {counted(batch, 'query', 'queries')}, top {K}",
                ours=partial(search, queries[:batch]),
                scale=batch / len(few),
                compared=rows * batch,
            )
            yield case("IndexPQ, one core", theirs=partial(flat.search, few, K))
            yield case("the kernel in C, one core", theirs=partial(host.search, few, K))


def by_tables(quantizer: ProductQuantizer, placed: ProductTensors, queries: NDArray[np.float32]) -> Any:
    """Look-up tables, made as an index makes them, and the search."""
    return placed.nearest(lookup_tables(quantizer, queries), K)


def histogram_cases(place: Place) -> Iterator[Case]:
    """On CUDA by Triton, against the product of torch there, and the kernel in C."""
    rows, bits, batch = DATABASE[place.kind], 48, 1000
    for name, several in (("one label", False), ("81 labels", True)):
        generator = np.random.default_rng(0)
        codes, queries = place.codes(generator, rows, bits // 8), place.codes(generator, batch, bits // 8)
        labels = [
            generator.random((len(side), 81)) < 0.03 if several else generator.integers(0, 10, len(side))
            for side in (queries, codes)
        ]
        counts = partial(hamming_buckets, queries, codes, query_labels=labels[0], database_labels=labels[1], bits=bits)
        by_product = partial(without_kernels, partial(counts, device=place.device))
        ours = by_product if place.kind == "cpu" else partial(on_host, partial(counts, device=place.device))
        if not place.named:
            one, other = ours(), counts()
            if not (torch.equal(one.counts.cpu(), other.counts) and torch.equal(one.relevant.cpu(), other.relevant)):
                raise ValueError(f"histograms differ, {name}")
        case = partial(
            Case,
            f"histograms, {name}",
            f"{batch:,} queries × {rows:,} codes × {bits} bits",
            ours=ours,
            scale=1,
            compared=rows * batch,
        )
        yield case("the kernel in C, one core", theirs=counts)
        if place.kind == "cuda":
            yield case("a matrix product and atomic additions by torch", theirs=partial(on_host, by_product))


def on_host(count: Work) -> Any:
    """Histograms, waited for."""
    buckets = count()
    buckets.counts.cpu()
    return buckets


def without_kernels(count: Work) -> Any:
    """The same without kernels of Triton and in C."""
    before = hamming_order.extension, hamming_order.triton_kernels
    hamming_order.extension = hamming_order.triton_kernels = lambda: None  # type: ignore[assignment]
    try:
        return count()
    finally:
        hamming_order.extension, hamming_order.triton_kernels = before


def rerank_cases(place: Place) -> Iterator[Case]:
    """Candidates of 20,000 rows, or of 2,000 on the CPU, one query at a time."""
    generator, rows = np.random.default_rng(0), 20_000 if place.kind == "cuda" else 2000
    count = 0 if place.named else rows
    features = generator.standard_normal((count, 4096), dtype=np.float32).astype(np.float16)
    query = generator.standard_normal((1, 4096), dtype=np.float32)
    placed = FeatureTensors(features, device=place.device)
    for pool in POOLS[place.kind]:
        chosen = generator.permutation(rows)[None, :pool]
        candidates = Ranking(chosen, np.zeros(chosen.shape, np.float32))
        ours = partial(placed.nearest, query, chosen, K)
        theirs = partial(rerank, candidates, query, database_features=features, k=K)
        if not place.named and not np.allclose(ours()[1], theirs().distances, rtol=1e-5):
            raise ValueError(f"distances differ, {pool} candidates")
        of = f"{pool:,} of {rows:,} rows, 1 query, top {K}"
        yield Case("re-ranking", of, "the kernel in C, one core", ours, theirs, 1, pool)


CASES: dict[str, Callable[[Place], Iterator[Case]]] = {
    "hamming": hamming_cases,
    "aqd": aqd_cases,
    "histograms": histogram_cases,
    "rerank": rerank_cases,
}


def measured(case: Case, *, rounds: int, kind: str) -> dict[str, Any]:
    """Both once unmeasured, then in turns; the ratio is theirs to ours, a query."""

    def seconds(work: Work) -> float:
        if kind == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if kind == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    assert case.ours is not None
    assert case.theirs is not None
    case.ours(), case.theirs()
    times = []
    for number in range(rounds):
        order = (case.ours, case.theirs) if number % 2 else (case.theirs, case.ours)
        pair = [seconds(work) for work in order]
        times.append(pair if number % 2 else pair[::-1])
    ratios = [case.scale * theirs / ours for ours, theirs in times]
    ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
    row = {
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "ours": ours,
        "theirs": case.scale * theirs,
        "rate": case.compared / ours,
    }
    print(f"{case.what}, {case.of}, against {case.against}: {row['ratio']:.3g}, {1e3 * ours:.3g} ms", flush=True)
    return row


def named(case: Case, kind: str) -> dict[str, str]:
    """What a row is of; what is wanted is wanted on CUDA alone."""
    row = {name: getattr(case, name) for name in ("what", "of", "against", "floor", "target")}
    return row if kind == "cuda" else row | {"floor": "–", "target": "–"}


def page(results: dict[str, Any]) -> str:
    """The results as markdown; what would be measured where nothing was."""
    lines = [
        "# Searches on a device\n",
        "Random codes. Wall time from arrays on the host to answers there, look-up tables and the way of queries and "
        "answers included; the device is waited for. Ratios are medians of pairs that took turns in one process, "
        f"theirs to ours, a query; theirs is of up to {ON_HOST} queries. Answers were compared with those of the "
        "kernels on the processor first.",
    ]
    for kind, title in NAMES.items():
        done = results.get(kind, {})
        lines += [f"\n## {title}\n", ABOUT[kind] + "\n"]
        if not done:
            lines += ["**Not measured**: there was no GPU. This measures it:\n", f"    {COMMAND}\n"]
        lines += sorted(
            {f"{where(p['environment'])}, {p['rounds']} pairs, kernels in {p['kernels']}.\n" for p in done.values()}
        )
        columns = ("what", "of", "against", "ratio", "least … largest", "floor", "target", "ours, ms", "theirs, ms")
        lines += [f"| {' | '.join(columns)} | distances a second |", "|---" * 10 + "|"]
        for name, cases in CASES.items():
            planned = [] if name in done else cases(Place(kind, named=True))
            lines += map(line, done[name]["rows"] if name in done else [named(case, kind) for case in planned])
    return "\n".join([*lines, ""])


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    start = f"| {row['what']} | {row['of']} | {row['against']} |"
    if "ratio" not in row:
        return f"{start} not measured | – | {row['floor']} | {row['target']} | – | – | – |"
    low, high = row["spread"]
    numbers = f"{1e3 * row['ours']:.3g} | {1e3 * row['theirs']:.3g} | {row['rate']:.2g}"
    return f"{start} **{row['ratio']:.3g}** | {low:.3g} … {high:.3g} | {row['floor']} | {row['target']} | {numbers} |"


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", nargs="+", choices=CASES, default=[*CASES], help="the rest as measured before")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    file = arguments.out / "search_device.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    kernels = "Triton" if kind == "cuda" and selection.triton_kernels() is not None else "torch"
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part in arguments.parts:
        cases = CASES[part](Place(kind))
        results.setdefault(kind, {})[part] = {
            "rows": [named(case, kind) | measured(case, rounds=arguments.rounds, kind=kind) for case in cases],
            "rounds": arguments.rounds,
            "kernels": kernels,
            "environment": environment(command=f"{COMMAND} --parts {part}", seed=0),
        }
        results[kind] = {name: results[kind][name] for name in CASES if name in results[kind]}
        file.write_text(json.dumps(results, indent=1) + "\n")
        file.with_suffix(".md").write_text(page(results))


if __name__ == "__main__":
    main()
