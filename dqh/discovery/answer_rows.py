"""The answers of searches as rows of one table: what each is called, and all of them as one ranking.

Q searches, k answers of one at most, N rows that answer any of them.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from dqh.index.store import Hit
from dqh.ranking import Ranking

KINDS = ("labels", "objects", "tags")
"""Of words: of an image, of what a detector saw in it, and what somebody else calls it."""


class AnswerRows:
    """Collects answers, and each row of the index that is among them once, however many searches it answers.

    Attributes:
        rows: N, as they came first; their distances are of that search.
    """

    def __init__(self) -> None:
        self.rows: list[Hit] = []
        self._places: dict[int, int] = {}
        self._answers: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, hits: Sequence[tuple[Hit, ...]]) -> None:
        """The answers to some more searches, nearest first."""
        for own in hits:
            for hit in own:
                if hit.id not in self._places:
                    self._places[hit.id] = len(self.rows)
                    self.rows.append(hit)
            ids = np.array([self._places[hit.id] for hit in own], np.int64)
            self._answers.append((ids, np.array([hit.distance for hit in own], np.float32)))

    def ranking(self) -> Ranking:
        """(Q, k) places in `rows`, and distances; -1 and +inf where a search has fewer answers."""
        wide = max((len(ids) for ids, _ in self._answers), default=0)
        places = np.full((len(self._answers), wide), -1, np.int64)
        distances = np.full(places.shape, np.inf, np.float32)
        for number, (ids, own) in enumerate(self._answers):
            places[number, : len(ids)], distances[number, : len(ids)] = ids, own
        return Ranking(places, distances)


def words_of(hit: Hit, kinds: Collection[str] = KINDS) -> dict[str, float]:
    """What an answer is called, and how much each word says of it: of some `KINDS` alone."""
    words = {tag.word: tag.weight for tag in hit.tags} if "tags" in kinds else {}
    if "labels" in kinds:
        words |= dict.fromkeys(hit.labels, 1.0)
    return words if hit.object is None or "objects" not in kinds else words | {hit.object: 1.0}
