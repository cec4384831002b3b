"""The methods of a study of searches over one database, each at every setting: by vectors, by codes, by both.

Exhaustive search, codes alone and coarse-to-fine are the ways of `dqh.index.ways`; the approximate indexes of vectors,
what else one might use, are in `dqh.index.vector_indexes`.

N items, F feature dimensions, L lists, k answers a query.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from dqh.evaluation.baselines import division
from dqh.index.engines.engine import ExactEngine
from dqh.index.vector_indexes import InvertedCodes, InvertedFile, VectorGraph, VectorIndex, Work
from dqh.index.ways import WAYS, Candidates, Searcher, main_way
from dqh.quantizers.quantizer import Coder
from dqh.ranking.side import Features, Side

EXHAUSTIVE, COARSE_TO_FINE = "exhaustive", "coarse_to_fine"
CODES = "codes"
"""The method that searches by codes alone, whatever their distance."""

_QUERIES = 100
"""Whose candidates are counted at a time."""


class Effort(NamedTuple):
    """How hard the methods search: each value is a row.

    Attributes:
        lists: L, None for √N.
        probes: lists that a query looks into.
        breadths: vectors that a search of a graph keeps.
        pools: candidates whose features are compared.
    """

    lists: int | None
    probes: tuple[int, ...]
    breadths: tuple[int, ...]
    pools: tuple[int, ...]


class Coded(NamedTuple):
    """Queries and database with the codes of one quantizer.

    Attributes:
        name: of the codes.
        quantizer: made them.
        query: the queries.
        database: the items.
        fit_seconds: that the quantizer took to be fitted.
        item_seconds: that an item took to be encoded, from its features.
    """

    name: str
    quantizer: Coder
    query: Side
    database: Side
    fit_seconds: float = 0.0
    item_seconds: float = 0.0

    def first(self, count: int) -> "Coded":
        """With so many items alone, as views."""
        return self._replace(database=first_items(self.database, count))


class Method(NamedTuple):
    """A search as it stands, at one setting.

    Attributes:
        name: of the method.
        codes: name of the codes that it reads, or "".
        setting: such as "nprobe 8", or "".
        search: what it does.
        query: what it is asked.
        work: counts with how much a query is compared.
        theory: how many vectors and codes these are by the textbook, None where it gives no number.
        item_bytes: that it keeps of an item.
        scanned_bytes: of these, what every query may read of any item; the rest is read of few, and may lie on disk.
        shared_bytes: of centres and codebooks.
        build_seconds: from features to an index.
    """

    name: str
    codes: str
    setting: str
    search: Searcher
    query: Side
    work: Callable[[], Work]
    theory: float | None
    item_bytes: float
    scanned_bytes: float
    shared_bytes: int
    build_seconds: float


class Database(NamedTuple):
    """What is searched, and by which bits.

    Attributes:
        query: the queries.
        items: the database; its codes are not read.
        coded: both with codes.
        bits: of the codes of `ivfpq`.
        training: vectors that its codebooks learn from, at most.
        k: answers a query.
        seed: of what is learned.
        clock: gives the seconds by which building is timed.
    """

    query: Side
    items: Side
    coded: Sequence[Coded]
    bits: int
    training: int
    k: int
    seed: int
    clock: Callable[[], float] = time.perf_counter


def methods(database: Database, effort: Effort, *, missing: dict[str, str]) -> Iterator[Method]:
    """Each method at each setting, the exhaustive one first; one index is held at a time.

    Args:
        database: what is searched.
        effort: the settings.
        missing: is told, by name, why a method is left out.

    Raises:
        ValueError: more lists than items, or a vector that is not finite.
    """
    yield _exhaustive(database)
    lists = effort.lists or list_count(len(database.items.labels))
    yield from _swept(database, partial(InvertedFile, lists=lists, seed=database.seed), effort.probes)
    try:
        subspaces, codewords = _division(database)
    except ValueError as error:
        missing[InvertedCodes.name] = str(error)
    else:
        make = partial(
            InvertedCodes,
            lists=lists,
            subspaces=subspaces,
            codewords=codewords,
            training=database.training,
            seed=database.seed,
        )
        yield from _swept(database, make, effort.probes)
    yield from _swept(database, VectorGraph, effort.breadths)
    for coded in database.coded:
        yield from _by_codes(database, coded, effort.pools)


def list_count(items: int) -> int:
    """√N, rounded: where looking for the lists takes as long as looking into one."""
    wanted: int = round(items**0.5)
    return max(1, wanted)


def first_items(side: Side, count: int) -> Side:
    """The first items of a side, as views."""
    return Side(side.codes[:count], side.embedding[:count], side.features[:count], side.labels[:count])


def _division(database: Database) -> tuple[int, int]:
    """M and K of as many bits as the codes have, of at most 256 codewords."""
    items, dimension = database.items.features.shape
    subspaces, codewords = division(database.bits, dimension, vectors=items)
    if codewords > 256:
        raise ValueError(
            f"{database.bits} bits of {dimension} dimensions would take {codewords:,} codewords a subspace"
        )
    return subspaces, codewords


def _exhaustive(database: Database) -> Method:
    way, count = WAYS[EXHAUSTIVE], len(database.items.labels)
    start = database.clock()
    search = way.searcher(database.items, None, k=database.k)
    took, size = database.clock() - start, way.item_bytes(database.items)
    compared = Work(vectors=count)  # a scan leaves none out
    return Method(
        name=EXHAUSTIVE,
        codes="",
        setting="",
        search=search,
        query=database.query,
        work=lambda: compared,
        theory=count,
        item_bytes=size,
        scanned_bytes=size,
        shared_bytes=0,
        build_seconds=took,
    )


def _swept(database: Database, make: Callable[[Features], VectorIndex], values: Sequence[int]) -> Iterator[Method]:
    """An index of vectors at each effort; of those from its most on, which are all the same, one is left."""
    query, start = database.query, database.clock()
    index = make(database.items.features)
    took = database.clock() - start
    for value in sorted({min(value, index.most_effort) for value in values}):
        index.set_effort(value)
        theory = None
        if not isinstance(index, VectorGraph):  # of L lists of one length: L centres, and what is in the lists
            theory = index.most_effort + value * len(index) / index.most_effort
        yield Method(
            name=index.name,
            codes="",
            setting=f"{index.knob} {value:,}",
            search=lambda embedding, features: index.search(features, database.k),
            query=query,
            work=lambda: index.work(query.features, database.k),
            theory=theory,
            item_bytes=index.item_bytes,
            scanned_bytes=index.item_bytes,
            shared_bytes=index.shared_bytes,
            build_seconds=took,
        )


def _by_codes(database: Database, coded: Coded, pools: Sequence[int]) -> Iterator[Method]:
    """Codes alone, and then with features, for each size of the pool."""
    quantizer, items, count = coded.quantizer, coded.database, len(coded.database.labels)
    way, start = main_way(quantizer), database.clock()
    index = way.index(quantizer, items.codes)
    took = database.clock() - start + coded.fit_seconds + count * coded.item_seconds
    size, compared = way.item_bytes(items), Work(vectors=0, codes=count)
    alone = Method(
        name=CODES,
        codes=coded.name,
        setting="",
        search=lambda embedding, features: index.search(embedding, database.k),
        query=coded.query,
        work=lambda: compared,
        theory=count,
        item_bytes=size,
        scanned_bytes=size,
        shared_bytes=0,
        build_seconds=took,
    )
    yield alone
    for pool in sorted({min(pool, count) for pool in pools}):
        fine = WAYS[COARSE_TO_FINE].among(Candidates(pool))
        yield alone._replace(
            name=COARSE_TO_FINE,
            setting=f"pool {pool:,}",
            search=fine.searcher(items, quantizer, k=database.k),
            work=partial(_pool_work, index, coded.query, pool, count),
            theory=count + pool,
            item_bytes=fine.item_bytes(items),
        )


def _pool_work(index: ExactEngine, query: Side, pool: int, count: int) -> Work:
    """All codes, and the candidates that come back."""
    candidates = 0
    for start in range(0, len(query.labels), _QUERIES):
        candidates += int((index.search(query.embedding[start : start + _QUERIES], pool).ids >= 0).sum())
    return Work(vectors=candidates / len(query.labels), codes=count)
