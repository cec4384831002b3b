"""Search of an index: by codes over all rows, or over those of a filter, then by features among what was found.

Q queries, k answers a query, F feature dimensions.
"""

import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.counts import MOST, require_counts
from dqh.encoded import Encoded
from dqh.index.coarse_to_fine import rerank
from dqh.index.engines import ENGINES, Engine, FilteringEngine, choose, fitting
from dqh.index.store.engine_cache import engine_over
from dqh.index.store.filtering import matching
from dqh.index.store.found import AMONG, Among, Found, Seconds
from dqh.index.store.header import require_encoder
from dqh.index.store.one_an_image import count_images, images_of, one_an_image
from dqh.index.store.place import at_newest
from dqh.index.store.scope import Scope, rows_scope, whole_scope
from dqh.index.store.version import Version
from dqh.index.store.where import parse
from dqh.index.ways import way_by_codes
from dqh.ranking import RANKS, Rank, Ranking

logger = logging.getLogger(__name__)

POOL = 1000
"""Candidates a query where nothing else is asked for."""

_QUERIES = 32
"""Queries searched together."""

_FILTERS = 4
"""Filters whose rows and engines are kept."""


class Candidates(NamedTuple):
    """The rows nearest to Q queries by code, m a query.

    Attributes:
        ranking: (Q, m) ids and distances by code, nearest first, equal distances by id; -1 and +inf where there are
            fewer.
        images: (Q, m) where they are objects: numbers that are equal where the images are, for this call alone; -1
            likewise. Else None.
        rows: that may be candidates.
        of_images: how many images these are of, where they are objects; else 0.
        engine: that searched the codes.
        is_exact: whether it leaves none out.
    """

    ranking: Ranking
    images: NDArray[np.int64] | None
    rows: int
    of_images: int
    engine: str
    is_exact: bool


class Snapshot:
    """A version of an index to search; nothing that is written later changes it. Threads may share it.

    Attributes:
        version: its rows, codes and features.
        way: of searching the codes.
        engine: name of the coarse engine.

    Args:
        version: an opened one.
        engine: `auto`, or one of `dqh.index.engines.fitting`.
        way: name of the way of searching the codes, see `dqh.index.ways`; None for the main one.
        cache: whether approximate engines are kept in the folder of the index.
        device: on which `auto` may search; None for CUDA where there is one, see `dqh.index.engines.choose`.

    Raises:
        ValueError: no such way or engine for these codes.
    """

    def __init__(
        self,
        version: Version,
        *,
        engine: str = "auto",
        way: str | None = None,
        cache: bool = True,
        device: str | None = "cpu",
    ) -> None:
        self.way = way_by_codes(version.quantizer, way)
        names = fitting(version.quantizer, self.way)
        if engine not in ("auto", *names):
            fit = f"for these codes by the way {self.way.name}"
            raise ValueError(f"engine must be auto or one of {', '.join(names)} {fit}, got {engine!r}")
        self.version = version
        self.engine = engine
        if engine == "auto":
            self.engine = choose(version.quantizer, self.way, len(version), device=device)
        self._cache = cache
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._filters: OrderedDict[tuple[str | None, Among | None], Scope] = OrderedDict()
        logger.info("version %d: %d rows, searched by %s", version.manifest.version, len(version), self.engine)

    def __len__(self) -> int:
        return len(self.version)

    def search(
        self,
        encoded: Encoded,
        *,
        k: int = 10,
        pool: int | None = None,
        radius: float | None = None,
        where: str | None = None,
        rank: Rank = "fine",
        among: Among | None = None,
    ) -> Found:
        """The rows nearest to each query by features, among those near by code (Lin et al. 2015, §3.4), or by code.

        Args:
            encoded: Q queries, of the encoder that the index was made with. Features are rounded to float16, as they
                are stored.
            k: answers a query, 1 … 1,048,576, or the number of rows where that is more.
            pool: candidates a query, at least k: the nearest by code, cut by id where codes are equally far away. None:
                1,000, or k where that is more. An approximate engine may find fewer.
            radius: in the place of `pool`, all rows at most so far away by code: bits, or the distance of the engine.
            where: only rows of which this holds, see `dqh.index.store.where`.
            rank: `fine`, or `codes` for codes alone, which reads no features and takes no `pool`.
            among: `images` for rows that are no objects alone; `objects` for objects alone, of which each image
                answers by the nearest one, so that the k answers are of k images: `pool` becomes larger where those in
                it are of fewer. None: all rows, each for itself.

        Returns:
            Found.

        Raises:
            MismatchError: another encoder made the queries.
            WhereError: the filter does not parse.
            TypeError: k or `pool` is no whole number.
            ValueError: k, `pool` or `radius` is out of range, the arrays do not fit the index, or it has no objects.
            StoreError: features of a candidate are damaged.
        """
        pool = self._checked(encoded, k, pool, radius, rank, among)
        began = time.perf_counter()
        is_whole = self._is_whole(where, among)
        scope = self._scope(where, among, self.engine if radius is None else self._exact)
        filtering = 0.0 if is_whole else time.perf_counter() - began
        coarse = fine = 0.0
        parts: list[tuple[Ranking, NDArray[np.float32], NDArray[np.int64]]] = []
        step = _QUERIES if radius is None else 1
        queries = _as_stored(encoded.features)
        for start in range(0, max(1, len(queries)), step):
            began = time.perf_counter()
            candidates = self._candidates(scope, encoded.embedding[start : start + step], k, pool, radius)
            between = time.perf_counter()
            nearest = self._nearest(candidates, queries[start : start + step], scope, k=k, rank=rank)
            parts.append((nearest, _code_distances(candidates, nearest), (candidates.ids >= 0).sum(axis=1)))
            coarse, fine = coarse + between - began, fine + time.perf_counter() - between
        rows = Ranking(*(np.concatenate(arrays) for arrays in zip(*(part[0] for part in parts), strict=True)))
        code_distances = np.concatenate([part[1] for part in parts])
        ids = np.where(rows.ids >= 0, self.version.ids[rows.ids] if len(self) else -1, -1)
        return Found(
            ranking=Ranking(ids, rows.distances),
            code_distances=code_distances,
            candidates=np.concatenate([part[2] for part in parts]),
            engine=scope.engine.name,
            rule=rule_of(pool, radius, is_exact=scope.engine.exact, of_images=scope.images),
            rank=rank,
            seconds=Seconds(filtering, coarse, fine),
            version=self.version,
        )

    def candidates(
        self, encoded: Encoded, *, pool: int, where: str | None = None, among: Among | None = None
    ) -> Candidates:
        """What `search` compares by features, or shows where codes rank: the rows nearest to each query by code.

        Of objects those of one image may be several. Errors as of `search`.

        Args:
            encoded: Q queries.
            pool: candidates a query, at least 1.
            where: only rows of which this holds.
            among: images or objects alone.
        """
        pool = self._checked(encoded, 1, pool, None, "fine", among)
        scope = self._scope(where, among, self.engine)
        near = scope.candidates(encoded.embedding, pool, None)
        images = images_of(self.version, near.ids) if scope.images else None
        ids = np.where(near.ids >= 0, self.version.ids[near.ids] if len(self) else -1, -1)
        engine = scope.engine
        return Candidates(Ranking(ids, near.distances), images, scope.size, scope.images, engine.name, engine.exact)

    def _is_whole(self, where: str | None, among: Among | None) -> bool:
        return where is None and (among is None or (among == "images" and not self.version.objects.any()))

    def _scope(self, where: str | None, among: Among | None, engine: str) -> Scope:
        """What a filter leaves, by an exact engine; all rows by `engine`."""
        if self._is_whole(where, among):
            return whole_scope(self._whole(engine), len(self))
        return self._filtered(where, among)

    def _candidates(
        self, scope: Scope, embedding: NDArray[np.float32], k: int, pool: int, radius: float | None
    ) -> Ranking:
        """What is near by code; of objects, so many that they are of k images, if there are so many images."""
        candidates = scope.candidates(embedding, pool, radius)
        if not scope.images or radius is not None:
            return candidates
        few = count_images(self.version, candidates) < min(k, scope.images)
        while few.any() and pool < scope.size:  # of these queries alone, so that none has to do with those beside it
            pool *= 2
            more = scope.candidates(embedding[few], pool, radius)
            candidates = candidates.padded(more.ids.shape[1])
            candidates.ids[few], candidates.distances[few] = more
            few[few] = count_images(self.version, more) < min(k, scope.images)
        return candidates

    def _nearest(
        self, candidates: Ranking, queries: NDArray[np.float16], scope: Scope, *, k: int, rank: Rank
    ) -> Ranking:
        """(L, k) rows of the version in the order of the answers, with the distances that order them."""
        most = max(k, candidates.ids.shape[1]) if scope.images else k  # of objects, before one of each image is taken
        if rank == "fine":
            features: Any = self.version.features
            ranked = rerank(candidates, queries, database_features=features, k=most)
        else:
            order = np.lexsort((candidates.ids, candidates.distances))[:, :most]
            ids = np.take_along_axis(candidates.ids, order, axis=1)
            ranked = Ranking(ids, np.take_along_axis(candidates.distances, order, axis=1)).padded(most)
        return one_an_image(self.version, ranked, k) if scope.images else ranked

    def _checked(
        self, encoded: Encoded, k: int, pool: int | None, radius: float | None, rank: str, among: str | None
    ) -> int:
        """The size of the pool."""
        if rank not in RANKS:
            raise ValueError(f"rank must be one of {', '.join(RANKS)}, got {rank!r}")
        if among not in (None, *AMONG):
            raise ValueError(f"among must be one of {', '.join(AMONG)}, or None for all rows, got {among!r}")
        if among == "objects":
            self.version.require_objects()
        if rank == "codes" and pool is not None:
            raise ValueError(f"pool is of rank fine, which compares features; got pool={pool} and rank=codes")
        manifest = self.version.manifest
        require_encoder(self.version.path, manifest.encoder_id, encoded.encoder_id, by="the queries")
        most = max(MOST, len(self))
        require_counts(most, k=k)
        if pool is not None:
            require_counts(most, pool=pool)
        if pool is not None and radius is not None:
            raise ValueError(f"give pool or radius, got pool={pool} and radius={radius}")
        if pool is not None and pool < k:
            raise ValueError(f"pool must be at least k, got pool={pool} and k={k}")
        if radius is not None and (radius != radius or (radius < 0 and self.way.distance != "ip")):
            raise ValueError(f"radius must be at least 0, got {radius}")
        shapes = len(encoded.embedding), self.version.quantizer.dimension, manifest.feature_size
        if encoded.embedding.shape != shapes[:2] or encoded.features.shape != shapes[::2]:
            raise ValueError(
                f"embedding and features must have shapes (Q, {shapes[1]}) and (Q, {shapes[2]}), got "
                f"{encoded.embedding.shape} and {encoded.features.shape}"
            )
        return pool or (k if rank == "codes" else max(POOL, k))

    @property
    def _exact(self) -> str:
        """The engine that leaves nothing out: the one that is chosen where it filters, else that of the way."""
        chosen = ENGINES.get(self.engine)
        return self.engine if chosen is not None and issubclass(chosen, FilteringEngine) else self.way.engine

    def _whole(self, name: str) -> Engine:
        """An engine over all rows, built when it is first needed."""
        with self._lock:
            if name not in self._engines:
                began = time.perf_counter()
                self._engines[name] = engine_over(name, self.version, self.way, cache=self._cache)
                logger.info("%s over %d rows ready in %.2f s", name, len(self), time.perf_counter() - began)
            return self._engines[name]

    def _filtered(self, where: str | None, among: Among | None) -> Scope:
        """An exact search of the rows of a filter, of those that are objects, or of those that are none."""
        with self._lock:
            scope = self._filters.pop((where, among), None)
        if scope is None:
            rows = np.arange(len(self)) if where is None else matching(parse(where), self.version)
            if among is not None:
                rows = rows[self.version.objects[rows] == (among == "objects")]
            images = len(np.unique(self.version.images(rows))) if among == "objects" else 0
            scope = rows_scope(
                rows,
                len(self),
                images=images,
                whole=lambda: self._whole(self._exact),
                part=lambda: self.way.index(self.version.quantizer, self.version.codes(rows)),
            )
        with self._lock:
            self._filters[where, among] = scope
            while len(self._filters) > _FILTERS:
                self._filters.popitem(last=False)
        return scope


def open_index(
    path: str | Path,
    *,
    engine: str = "auto",
    way: str | None = None,
    cache: bool = True,
    device: str | None = "cpu",
) -> Snapshot:
    """The newest version of an index, to search. Manifest, rows and codes are checked, features when they are read.

    Arguments as of `Snapshot`.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged, incomplete, or of another format version.
        ValueError: no such way or engine for its codes.
    """
    folder = Path(path)
    version = at_newest(folder, lambda manifest: Version(folder, manifest))
    return Snapshot(version, engine=engine, way=way, cache=cache, device=device)


def _as_stored(features: NDArray[np.float32] | NDArray[np.float16]) -> NDArray[np.float16]:
    """Rounded as features are kept, so that an image of the index lies at distance 0."""
    with np.errstate(over="ignore"):  # what float16 does not hold is refused as infinite
        return features.astype(np.float16)


def _code_distances(candidates: Ranking, nearest: Ranking) -> NDArray[np.float32]:
    """(Q, k) distances by code of what was found by features."""
    distances = np.full(nearest.ids.shape, np.inf, np.float32)
    for q, rows in enumerate(nearest.ids):
        answered = rows >= 0
        order = np.argsort(candidates.ids[q])
        place = np.searchsorted(candidates.ids[q], rows[answered], sorter=order)
        distances[q, answered] = candidates.distances[q][order[place]]
    return distances


def rule_of(pool: int, radius: float | None = None, *, is_exact: bool, of_images: int) -> str:
    """How candidates were chosen, in words; see `Candidates` for the arguments."""
    if radius is not None:
        return f"all within {radius:g} by code"
    more = ", more where these are of too few images" * bool(of_images)
    return f"the {pool} nearest by code{', equal distances cut by id' * is_exact}{more}"
