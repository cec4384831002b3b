"""Which of the candidates that shards told one index would have had.

m candidates of a shard.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.index.store.snapshot import rule_of
from dqh.service import shard_fields
from dqh.service.refusals import RequestError
from dqh.service.shard_client import ShardDownError


class Pool(NamedTuple):
    """Candidates of all shards that answered.

    Attributes:
        told: number of the shard → what it told.
        ids: number of the shard → (m,) int64, of its candidates that are in the pool.
        distances: likewise (m,) float32, by code.
        size: how many there may be in the pool.
        failures: number of a shard that did not answer → why.
    """

    told: Mapping[int, shard_fields.Candidates]
    ids: Mapping[int, NDArray[np.int64]]
    distances: Mapping[int, NDArray[np.float32]]
    size: int
    failures: Mapping[int, Exception]

    def rule(self, size: int) -> str:
        """How it was chosen, in words, where so many were wanted at first."""
        is_exact = all(own.is_exact for own in self.told.values())
        return rule_of(size, is_exact=is_exact, of_images=sum(own.of_images for own in self.told.values()))

    def has_images(self, k: int) -> bool:
        """Whether candidates that are objects are of k images, or of all that there are, or are all that there are."""
        if self.size >= sum(own.rows for own in self.told.values()):
            return True
        images = sum(_images(self.told[number], ids) for number, ids in self.ids.items())
        return images >= min(k, sum(own.of_images for own in self.told.values()))


def pool_of(told: Mapping[int, shard_fields.Candidates], failures: Mapping[int, Exception], *, size: int) -> Pool:
    """The `size` nearest of all, equal distances cut by id; at least one shard told some.

    Raises:
        RequestError: two shards have the same row (409).
    """
    ids = np.concatenate([np.frombuffer(own.ids, "<i8") for own in told.values()])
    distances = np.concatenate([np.frombuffer(own.distances, "<f4") for own in told.values()])
    of = np.repeat(list(told), [len(own.ids) // 8 for own in told.values()])
    if len(np.unique(ids)) < len(ids):
        raise twice()
    best = np.lexsort((ids, distances))[:size]
    places = {number: best[of[best] == number] for number in told}
    return Pool(
        told,
        {number: ids[own] for number, own in places.items()},
        {number: distances[own] for number, own in places.items()},
        size,
        failures,
    )


def twice() -> RequestError:
    """The error where two shards have a row of one id."""
    return RequestError(409, "two shards have the same items; they must be parts of one index: see dqh split --help")


def checked(told: shard_fields.Candidates) -> shard_fields.Candidates:
    """What a shard told, with arrays that fit together.

    Raises:
        ShardDownError: they do not.
    """
    count, rest = divmod(len(told.ids), 8)
    images = 8 * count if told.of_images else 0
    if rest or len(told.distances) != 4 * count or len(told.images) != images:
        raise ShardDownError("it is no shard of this version of dqh: its candidates make no sense")
    return told


def _images(told: shard_fields.Candidates, ids: NDArray[np.int64]) -> int:
    """Of how many images some candidates of a shard are."""
    images = np.frombuffer(told.images, "<i8")
    return len(np.unique(images[np.isin(np.frombuffer(told.ids, "<i8"), ids)]))
