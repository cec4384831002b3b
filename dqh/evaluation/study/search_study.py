"""The study of searches: what accuracy, speed and memory cost each other, on the features and codes of one data set.

Exhaustive search, inverted lists, a graph, codes alone and coarse-to-fine, each at several settings and for several
sizes of the database. Nothing is trained here but shallow quantizers of vectors. The methods are in `search_methods`,
what their answers are worth in `search_quality`, table and pictures in `search_result`.

Q queries, N database items.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dqh.cores import threads
from dqh.errors import ConfigError
from dqh.evaluation.baselines import NAMES
from dqh.evaluation.conventions import convention
from dqh.evaluation.measure import BATCH, Row, times
from dqh.evaluation.study.search_codes import Codes, Searched, enlarged, require_range, rows_of
from dqh.evaluation.study.search_methods import Database, Effort, Method, first_items, methods
from dqh.evaluation.study.search_quality import CONVENTION, Truth, answer_map
from dqh.evaluation.study.search_result import SearchResult, title
from dqh.native.extension import extension

logger = logging.getLogger(__name__)

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""By which searches are timed."""

_SMALLEST = 10_000
"""The smallest size where none are asked for."""

_BREADTHS, _POOLS = (1, 2, 4, 8), (1, 2, 5, 10, 20, 50)
"""Times the answers, where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class SearchStudy:
    """What is compared in a study of searches.

    Args:
        sizes: of the databases, each drawn from the one that there is, the smaller ones from the larger; None: 10,000,
            100,000 and so on as far as there are items, and all of them.
        grow: whether sizes beyond may be filled up with made-up vectors, see `dqh.evaluation.study.grown`.
        codes: quantizers to be fitted on the features, names of `dqh.evaluation.baselines`; None: `itq` and `opq` of
            vectors, none beside the codes of an artifact.
        bits: of these codes and of `ivfpq`; None: 64 of vectors, those of an artifact.
        lists: of inverted files; None: √N.
        probes: lists that a query looks into.
        breadths: vectors that a search of a graph keeps (`efSearch`), at least as many as answers; None: 1, 2, 4 and 8
            times as many.
        pools: candidates of coarse-to-fine, at least as many as answers; None: 1, 2, 5, 10, 20 and 50 times as many.
        cutoffs: each K of recall@K, ascending. The last is the number of answers; what pictures and answers go by is
            the one in the middle.
        target: that recall, which a method must reach to be compared by its time.
        queries: at most, the first ones of a draw.
        timed_queries: of them, timed one at a time.
        training: items that quantizers and codebooks learn from, at most.
        clock: `wall` for the time that passes, or `cpu` for that which the process computes, as on a machine that does
            something else too; the latter with `OMP_NUM_THREADS=1` alone, as it adds up what threads take.
        seed: of all draws and all that is learned.

    Raises:
        ConfigError: an unknown name or a number out of range; all problems are reported together.
    """

    sizes: tuple[int, ...] | None = None
    grow: bool = False
    codes: tuple[str, ...] | None = None
    bits: int | None = None
    lists: int | None = None
    probes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    breadths: tuple[int, ...] | None = None
    pools: tuple[int, ...] | None = None
    cutoffs: tuple[int, ...] = (1, 10, 100)
    target: float = 0.95
    queries: int = 1000
    timed_queries: int = 100
    training: int = 10_000
    clock: Literal["wall", "cpu"] = "wall"
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        for name in ("bits", "lists", "queries", "timed_queries", "training"):
            if (value := getattr(self, name)) is not None and value < 1:
                problems.append(f"{name} must be at least 1, got {value}")
        if self.seed < 0:
            problems.append(f"seed must be at least 0, got {self.seed}")
        for name in ("sizes", "probes", "breadths", "pools", "cutoffs"):
            values = getattr(self, name)
            if values is not None and (not values or min(values) < 1 or len(set(values)) < len(values)):
                problems.append(f"{name} must be different whole numbers of at least 1, got {list(values)}")
        if self.clock not in CLOCKS:
            problems.append(f"clock must be one of {', '.join(CLOCKS)}, got {self.clock!r}")
        if self.clock == "cpu" and threads() > 1:
            problems.append(f"clock: cpu adds up what {threads()} threads take; run it with OMP_NUM_THREADS=1")
        if not 0 < self.target <= 1:
            problems.append(f"target must be above 0 and at most 1, got {self.target}")
        problems += [
            f"codes: no codes {name!r}; valid: {', '.join(NAMES)}" for name in self.codes or () if name not in NAMES
        ]
        problems = problems or self._contradictions()
        if problems:
            raise ConfigError(problems)

    @property
    def answers(self) -> int:
        """k, how many every search returns."""
        return max(self.cutoffs)

    @property
    def effort(self) -> Effort:
        """How hard the methods search."""
        breadths = self.breadths or tuple(times * self.answers for times in _BREADTHS)
        pools = self.pools or tuple(times * self.answers for times in _POOLS)
        return Effort(self.lists, self.probes, breadths, pools)

    def sizes_of(self, items: int, *, growing: bool) -> list[int]:
        """The sizes of the databases, ascending.

        Args:
            items: that there are.
            growing: whether more can be made.

        Raises:
            ConfigError: a size is beyond what there is, or too small for the answers, the lists or the pools.
        """
        if self.sizes is None:
            powers = [_SMALLEST * 10**place for place in range(6)]
            sizes = [size for size in powers if size < items] + [items]
        else:
            sizes = sorted(self.sizes)
        problems = []
        if max(sizes) > items and not (self.grow and growing):
            how = "set study.grow=true to fill it up with made-up vectors, or " if growing else ""
            problems.append(
                f"study.sizes: {max(sizes):,} is more than the {items:,} items of the database; {how}lower it"
            )
        for name, wanted in (("cutoffs", self.answers), ("lists", self.lists or 1)):
            if wanted > min(sizes):
                problems.append(
                    f"study.{name}: {wanted:,} is more than the {min(sizes):,} items of the smallest database; lower "
                    "it, or choose larger study.sizes"
                )
        if problems:
            raise ConfigError(problems)
        return sizes

    def _contradictions(self) -> list[str]:
        problems = [
            f"{name}: {min(values):,} is less than the {self.answers:,} answers that study.cutoffs wants"
            for name, values in (("breadths", self.breadths), ("pools", self.pools))
            if values is not None and min(values) < self.answers
        ]
        if list(self.cutoffs) != sorted(self.cutoffs):
            problems.append(f"cutoffs must ascend, got {list(self.cutoffs)}")
        return problems


def study_search(study: SearchStudy, searched: Searched) -> Iterator[SearchResult]:
    """Search one database after another by every method.

    All of it runs on the CPU, by as many threads as `OMP_NUM_THREADS` says. Databases and one index at a time are held
    in memory.

    Args:
        study: what is compared.
        searched: what is searched.

    Yields:
        After each size, what is known so far.

    Raises:
        ConfigError: sizes, answers or lists that do not suit the database, or codes that cannot be fitted.
        DataError: squared distances between features may exceed float32.
    """
    require_range(searched)
    items = len(searched.database.labels)
    sizes = study.sizes_of(items, growing=searched.quantizer is None)
    codes = Codes(study.codes, study.bits, training=study.training, seed=study.seed, clock=CLOCKS[study.clock])
    codes.require(searched)
    rng = np.random.default_rng(study.seed)
    query = searched.query.at(np.sort(rng.permutation(len(searched.query.labels))[: study.queries]).tolist())
    # shuffled, so that a smaller database is a draw, and the order of equal distances one at random
    whole = enlarged(rows_of(searched.database, rng.permutation(items)), max(sizes), seed=study.seed)
    missing: dict[str, str] = {}
    coded = codes.of(searched, query, whole, real=items, missing=missing)
    bits = codes.bits_of(searched)
    protocol = _protocol(study, searched, sizes, queries=len(query.labels), bits=bits) | {"missing": missing}
    rows: list[Row] = []
    for size in sizes:
        parts = [part.first(size) for part in coded]
        database = Database(
            query,
            first_items(whole, size),
            parts,
            bits=bits,
            training=study.training,
            k=study.answers,
            seed=study.seed,
            clock=CLOCKS[study.clock],
        )
        labelled = searched.labelled and size <= items
        rows += _measured(study, database, labelled=labelled, missing=missing)
        yield SearchResult(protocol, tuple(rows))


def _measured(study: SearchStudy, database: Database, *, labelled: bool, missing: dict[str, str]) -> Iterator[Row]:
    """The row of each method at each setting."""
    items, last = database.items, ""
    truth: Truth | None = None
    for method in methods(database, study.effort, missing=missing):
        ids = method.search(method.query.embedding, method.query.features).ids
        if truth is None:  # the first one is exhaustive
            truth = Truth(method.query.features, items.features, ids, cutoffs=study.cutoffs)
        row = _row(study, method, database, truth.recall(ids))
        if labelled:
            row[f"mAP@{study.answers}"] = answer_map(ids, method.query.labels, items.labels)
        if (name := title(method.name, method.codes)) != last:
            logger.info("%s items: %s", f"{len(items.labels):,}", name)
            last = name
        yield row


def _row(study: SearchStudy, method: Method, database: Database, quality: dict[str, float]) -> Row:
    work, items = method.work(), database.items
    code_bytes = method.scanned_bytes if method.codes else database.bits / 8
    compared = work.vectors * items.features.shape[1] * items.features.dtype.itemsize + work.codes * code_bytes
    took = times(method.search, method.query, timed=study.timed_queries, clock=CLOCKS[study.clock])
    row: Row = {
        "items": len(items.labels),
        "search": method.name,
        "codes": method.codes,
        "setting": method.setting,
        **quality,
        "query_ms": took["query_ms"],
        "batch_ms": 1000 / float(took["qps"]),
        "vectors_compared": work.vectors,
        "codes_compared": work.codes,
        "bytes_compared": compared,
        "bytes_per_item": method.item_bytes,
        "scanned_bytes_per_item": method.scanned_bytes,
        "shared_bytes": method.shared_bytes,
        "build_seconds": method.build_seconds,
    }
    return row if method.theory is None else row | {"theory_compared": method.theory}


def _protocol(
    study: SearchStudy, searched: Searched, sizes: Sequence[int], *, queries: int, bits: int
) -> dict[str, Any]:
    """What was compared with what."""
    rules, database = convention(CONVENTION), searched.database
    items, dimension = database.features.shape
    return searched.about | {
        "query": queries,
        "database": items,
        "sizes": list(sizes),
        "made_up": max(0, max(sizes) - items),
        "dimension": dimension,
        "dtype": str(database.features.dtype),
        "bits": bits,
        "answers": study.answers,
        "cutoffs": list(study.cutoffs),
        "target": study.target,
        "lists": study.lists or "√N",
        "training": min(study.training, items),
        "seed": study.seed,
        "threads": threads(),
        "clock": study.clock,
        "native": extension() is not None,
        "batch": min(queries, BATCH),
        "truth": "squared L2 between features",
        "convention": CONVENTION,
        "normaliser": rules.normaliser,
        "ties": "as returned, rows shuffled",
        "zero_hits": rules.zero_hits,
    }
