"""What an index answers to a router that searches several as one: queries, candidates by code, and answers among them.

A router has a query from one shard, asks all of them for the rows nearest by code, chooses from these as one index
would, and has those that it chose ordered by the shards that have them; see `dqh.service.router`. m candidates.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.encoded import Encoded
from dqh.errors import StoreError
from dqh.index.store.found import hits_of
from dqh.index.store.given_rows import distances_to
from dqh.index.store.one_an_image import one_an_image
from dqh.index.store.snapshot import POOL, Candidates
from dqh.ranking import Ranking
from dqh.service import fields, shard_fields
from dqh.service.image_shares import shares
from dqh.service.questions import Questions
from dqh.service.refusals import RequestError
from dqh.service.served import Served
from dqh.service.watch import Watch

MOVED = 412
"""Status of an answer that another version of the index was asked for than is there."""


def query(questions: Questions, asked: fields.SearchAsked, content: bytes | None) -> shard_fields.Query:
    """An item, or an image that is sent, as a query; errors as of `Questions.search`."""
    watch = Watch()
    served, encoded, size, box = questions.query(asked, content, watch)
    flashlight = served.flashlight
    rank = asked.rank or flashlight.rank
    pool = flashlight.pool_of(asked.k) if rank == flashlight.rank else None
    return shard_fields.Query(
        encoder_id=encoded.encoder_id,
        embedding=encoded.embedding.astype("<f4").tobytes(),
        features=encoded.features.astype("<f2").tobytes(),
        size=size,
        box=None if box is None or size is None else shares(box, size),
        rank=rank,
        pool=pool or (asked.k if rank == "codes" else max(POOL, asked.k)),
        seconds=watch.total(),
    )


def candidates(questions: Questions, asked: shard_fields.CandidatesAsked) -> shard_fields.Candidates:
    """The rows nearest to a query by code.

    Raises:
        RequestError: another encoder made the query (409), or arrays do not fit the index (400).
        WhereError: the filter does not parse.
    """
    served = questions.newest.current()
    has_objects = bool(served.version.objects.any())
    encoded = _encoded(served, asked)
    if asked.among == "objects" and not has_objects:  # other shards may have some
        none = Ranking(np.empty((1, 0), np.int64), np.empty((1, 0), np.float32))
        near = Candidates(none, None, 0, 0, served.snapshot.engine, True)
    else:
        near = served.snapshot.candidates(encoded, pool=asked.pool, where=asked.where, among=asked.among)
    (ids,), (distances,) = near.ranking
    own = ids >= 0
    return shard_fields.Candidates(
        version=served.number,
        ids=ids[own].astype("<i8").tobytes(),
        distances=distances[own].astype("<f4").tobytes(),
        images=b"" if near.images is None else near.images[0][own].astype("<i8").tobytes(),
        rows=near.rows,
        of_images=near.of_images,
        engine=near.engine,
        is_exact=near.is_exact,
        has_objects=has_objects,
    )


def nearest(questions: Questions, asked: shard_fields.NearestAsked) -> shard_fields.Nearest:
    """The answers among candidates that this index gave; of objects the nearest one of each image.

    Raises:
        RequestError: the index has another version by now (412), another encoder made the query (409), or arrays do not
            fit the index (400).
    """
    served = questions.newest.current()
    version = served.version
    if served.number != asked.version:
        raise RequestError(MOVED, f"the index has version {served.number} by now, {asked.version} was asked for")
    encoded = _encoded(served, asked)
    ids, codes = _array(asked.ids, "<i8", None, "ids"), _array(asked.code_distances, "<f4", None, "code_distances")
    if len(ids) != len(codes):
        raise RequestError(400, f"ids and code_distances must be as many, got {len(ids)} and {len(codes)}")
    try:
        away = codes if asked.rank == "codes" else distances_to(served.snapshot, encoded, ids.tolist(), rank="fine")
    except StoreError:
        raise
    except ValueError as error:
        raise RequestError(400, str(error)) from error
    order = np.lexsort((ids, away))
    rows = Ranking(np.searchsorted(version.ids, ids[order])[None], away[order][None])
    if asked.among == "objects":
        rows = one_an_image(version, rows, asked.k)
    best = Ranking(rows.ids[:, : asked.k], rows.distances[:, : asked.k])
    chosen = best.ids[0][best.ids[0] >= 0]
    by_row = dict(zip(np.searchsorted(version.ids, ids).tolist(), codes.tolist(), strict=True))
    hits = hits_of(
        version,
        Ranking(version.ids[chosen][None], best.distances[:, : len(chosen)]),
        np.array([[by_row[row] for row in chosen.tolist()]], np.float32),
    )
    return shard_fields.Nearest(version=served.number, hits=questions.told(served, sizes=asked.sizes).hits(hits[0]))


def _encoded(served: Served, asked: shard_fields.CandidatesAsked | shard_fields.NearestAsked) -> Encoded:
    """The query of a request, as far as a search needs it; it needs no codes beside the embedding."""
    manifest, quantizer = served.version.manifest, served.version.quantizer
    if asked.encoder_id != manifest.encoder_id:
        raise RequestError(
            409, f"the query is of encoder {asked.encoder_id}, this index of {manifest.encoder_id}; split one index"
        )
    embedding: NDArray[np.float32] = _array(asked.embedding, "<f4", quantizer.dimension, "embedding")[None]
    features: NDArray[np.float16] = _array(asked.features, "<f2", manifest.feature_size, "features")[None]
    return Encoded(quantizer.encode(embedding), embedding, features, manifest.encoder_id)


def _array(content: bytes, dtype: str, length: int | None, name: str) -> NDArray[Any]:
    """A finite array of so many values; of any number where that is None."""
    size = np.dtype(dtype).itemsize
    if len(content) % size or (length is not None and len(content) != length * size):
        wanted = "whole values" if length is None else f"{length} values"
        raise RequestError(400, f"{name} must hold {wanted} of {size} bytes, got {len(content)} bytes")
    array: NDArray[Any] = np.frombuffer(content, dtype)
    if not np.isfinite(array).all():
        raise RequestError(400, f"{name} must be finite")
    return array
