"""Answers of several sources become one list: duplicates merge, and every result says who named it.

k results.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dqh.counts import require_counts
from dqh.index.store import Box
from dqh.index.store.tags import Tag

RANK = 60
"""Added to the rank of an answer, so that a first place of one source is not worth as much as many places of others."""


class SourceHit(NamedTuple):
    """An image that a source answers with.

    Attributes:
        id: of the row of the image, or of its object that answered.
        path: relative to the root of the index.
        labels: of the image.
        tags: of the image, by falling weight.
        score: of the source, 0 … 1; 1 is its best.
        distance: from what was asked for: squared L2 of features, or that of codes where these rank; of an answer that
            words found, by which those of equal scores are ordered.
        object: class of the object of the image that answered, None where the whole of it did.
        box: of that object, x0, y0, x1, y1, pixels; None likewise.
        words: by which it was found; none where its looks found it.
    """

    id: int
    path: str
    labels: tuple[str, ...]
    tags: tuple[Tag, ...]
    score: float
    distance: float
    object: str | None = None
    box: Box | None = None
    words: tuple[str, ...] = ()


class Naming(NamedTuple):
    """That a source names a result.

    Attributes:
        source: of `dqh.discovery.blend_rules.SOURCES`.
        rank: among its answers, from 1.
        hit: its answer.
    """

    source: str
    rank: int
    hit: SourceHit


class Result(NamedTuple):
    """An image of the blended answer.

    Attributes:
        path: relative to the root of the index.
        score: above 0, at most 1: Σ ratio · (60 + 1) / (60 + rank) over the sources that name it.
        named: by whom, the source that brings most first; at least one.
    """

    path: str
    score: float
    named: tuple[Naming, ...]

    @property
    def hit(self) -> SourceHit:
        """The answer of the source that brings most."""
        return self.named[0].hit


def blend(hits: Mapping[str, Sequence[SourceHit]], ratios: Mapping[str, float], *, k: int) -> tuple[Result, ...]:
    """The k images that come first when the ranks of all sources are added up by their ratios.

    Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), with the ratio of a source as its weight, scaled
    so that an image which every source has first scores 1. Ranks, not scores, since distances and BM25 have no unit in
    common. Equal scores come in the order of the sources and of their ranks.

    Args:
        hits: of each source, best first, an image once.
        ratios: of each of these sources, at least 0; those of ratio 0 name nothing.
        k: results at most, at least 1.

    Raises:
        ValueError: k is below 1, or a source has no ratio.
    """
    require_counts(k=k)
    if not hits.keys() <= ratios.keys():
        raise ValueError(f"every source must have a ratio, got {[*hits]} and {dict(ratios)}")
    # score(image) = Σ_s ratio_s · (RANK + 1) / (RANK + rank_s(image))
    brought: dict[str, list[tuple[float, Naming]]] = {}
    for source, own in hits.items():
        for rank, hit in enumerate(own if ratios[source] > 0 else (), start=1):
            part = ratios[source] * (RANK + 1) / (RANK + rank)
            brought.setdefault(hit.path, []).append((part, Naming(source, rank, hit)))
    scores = {path: sum(part for part, _ in parts) for path, parts in brought.items()}
    first = sorted(brought, key=lambda path: -scores[path])[:k]  # equal ones as they came
    return tuple(
        Result(path, scores[path], tuple(naming for _, naming in sorted(brought[path], key=lambda pair: -pair[0])))
        for path in first
    )
