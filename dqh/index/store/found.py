"""What a search of an index finds.

Q queries, k answers a query.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.index.store.rows import Box
from dqh.index.store.tags import Tag
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
        rows: looking up paths and labels.
    """

    filter: float
    coarse: float
    fine: float
    rows: float


@dataclass(frozen=True)
class Found:
    """Answers to Q queries.

    Attributes:
        ranking: (Q, k) ids and squared L2 distances between features, or distances by code, nearest first, equal
            distances by id; -1 and +inf where a query has fewer answers.
        code_distances: (Q, k) float32, +inf where there is no answer.
        candidates: (Q,) int64, how many were compared by features, or by code where codes alone rank.
        hits: of each query, the same answers with what is known of them.
        engine: that searched the codes.
        rule: how candidates were chosen, in words.
        rank: what orders the answers.
        seconds: of the stages.
    """

    ranking: Ranking
    code_distances: NDArray[np.float32]
    candidates: NDArray[np.int64]
    hits: tuple[tuple[Hit, ...], ...]
    engine: str
    rule: str
    rank: Rank
    seconds: Seconds
