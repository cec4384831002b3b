"""What a search of an index finds.

Q queries, k answers a query.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.index.store.rows import Box
from dqh.index.store.tags import Tag
from dqh.index.store.version import Version
from dqh.ranking import Rank, Ranking

Among = Literal["images", "objects"]
AMONG: tuple[Among, ...] = ("images", "objects")
"""What answers, where an index has both: whole images, with boxes that nobody detected, or objects."""


class Hit(NamedTuple):
    """An answer to a query.

    Attributes:
        id: of the row.
        path: relative to the root of the index.
        labels: of the row.
        box: x0, y0, x1, y1, pixels, or None for the whole image.
        code_distance: bits, or the asymmetric quantizer distance.
        distance: by which answers are ordered: squared L2 between features, or `code_distance`.
        object: class of what a detector saw in the box, if one did.
        score: of that, 0 … 1.
        tags: of the image, by falling weight.
    """

    id: int
    path: str
    labels: tuple[str, ...]
    box: Box | None
    code_distance: float
    distance: float
    object: str | None = None
    score: float | None = None
    tags: tuple[Tag, ...] = ()


class Seconds(NamedTuple):
    """What the stages of a search took, seconds, all queries together.

    Attributes:
        filter: choosing rows, and an engine over them; nothing where the filter was used before.
        coarse: search by codes.
        fine: reading, checking and comparing features of the candidates; nothing where codes alone rank.
    """

    filter: float
    coarse: float
    fine: float


@dataclass(frozen=True)
class Found:
    """Answers to Q queries.

    What is known of them, their paths too, is looked up when `hits` is first read, which takes about as long as the
    search did. It is what the version that was searched says, whatever was added, removed or compacted since.

    Attributes:
        ranking: (Q, k) ids and squared L2 distances between features, or distances by code, nearest first, equal
            distances by id; -1 and +inf where a query has fewer answers.
        code_distances: (Q, k) float32, +inf where there is no answer.
        candidates: (Q,) int64, how many were compared by features, or by code where codes alone rank.
        engine: that searched the codes.
        rule: how candidates were chosen, in words.
        rank: what orders the answers.
        seconds: of the stages.
        version: that was searched; None in a copy from another process, which has its `hits`.
    """

    ranking: Ranking
    code_distances: NDArray[np.float32]
    candidates: NDArray[np.int64]
    engine: str
    rule: str
    rank: Rank
    seconds: Seconds
    version: Version | None = field(repr=False, compare=False)

    @cached_property
    def hits(self) -> tuple[tuple[Hit, ...], ...]:
        """Of each query, the same answers with what is known of them.

        Raises:
            StoreError: the tags of the images make no sense.
        """
        assert self.version is not None
        return hits_of(self.version, self.ranking, self.code_distances)

    def __getstate__(self) -> dict[str, Any]:
        """Without the version, whose features would go along."""
        return {**self.__dict__, "hits": self.hits, "version": None}


def hits_of(version: Version, ranking: Ranking, code_distances: NDArray[np.float32]) -> tuple[tuple[Hit, ...], ...]:
    """What a version knows of each answer, in the order of the answers."""
    answered = ranking.ids >= 0
    unique, inverse = np.unique(ranking.ids[answered], return_inverse=True)
    known, tags = version.rows(np.searchsorted(version.ids, unique)), version.tags
    places, counts = iter(inverse.tolist()), answered.sum(axis=1)
    most = int(counts.max(initial=0))
    return tuple(
        tuple(
            Hit(
                row.id,
                row.path,
                row.labels,
                row.box,
                code,
                distance,
                row.object,
                row.score,
                tags.get(row.path, ()),
            )
            for row, code, distance in zip(
                map(known.__getitem__, islice(places, count)), codes, distances, strict=False
            )
        )
        for count, codes, distances in zip(
            counts.tolist(), code_distances[:, :most].tolist(), ranking.distances[:, :most].tolist(), strict=True
        )
    )
