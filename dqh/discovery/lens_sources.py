"""The three sources that a lens asks, each with images, the best first and an image once.

Scores lie in 0 … 1 and are of a source alone: 1 is its best. k answers.
"""

from collections.abc import Sequence

import numpy as np

from dqh.collection.word_search import DIGITS, WordSearch
from dqh.discovery.annotate import Annotation
from dqh.discovery.blend import SourceHit
from dqh.discovery.flashlight import KERNEL, Flashlight
from dqh.discovery.understanding import Understanding
from dqh.encoded import Encoded
from dqh.index.store import Hit
from dqh.index.store.given_rows import distances_to

POOL = 1000
"""Images that words find, among which those of equal scores are put in the order of their looks."""

_FIRST = 10
"""Answers whose distances are compared."""


def visual_hits(hits: Sequence[Hit]) -> tuple[SourceHit, ...]:
    """Answers of whole images; of an image with several rows the nearest."""
    best: dict[str, SourceHit] = {}
    for hit, score in zip(hits, _scores(hits), strict=True):
        best.setdefault(hit.path, _of(hit, score))
    return tuple(best.values())


def object_hits(flashlight: Flashlight, seen: Understanding, encoded: Encoded, *, k: int) -> tuple[SourceHit, ...]:
    """Images with objects like those of the photo: like the dominant one alone where there is one.

    Each object's answers have the scores of their distances, times its own score against that of the surest; an image
    has that of its best.

    Args:
        flashlight: that searches the objects of its index.
        seen: what is known of the photo.
        encoded: its objects, in their order.
        k: images at most.
    """
    queries = list(range(len(encoded.codes)))
    if seen.dominant is not None:
        queries = [seen.objects.index(seen.dominant)]
    sure = [1.0 if own.score is None else own.score for own in seen.objects]
    surest = max((sure[number] for number in queries), default=0.0) or 1.0
    best: dict[str, SourceHit] = {}
    for number in queries:
        (hits,) = flashlight.answers(encoded.part(number, number + 1), k=k, among="objects")
        for hit, score in zip(hits, _scores(hits), strict=True):
            own = _of(hit, score * sure[number] / surest)
            if hit.path not in best or best[hit.path].score < own.score:
                best[hit.path] = own
    return tuple(sorted(best.values(), key=lambda hit: (-hit.score, hit.distance, hit.id))[:k])


def image_hits(
    flashlight: Flashlight, words: WordSearch, seen: Understanding, encoded: Encoded, *, k: int
) -> tuple[SourceHit, ...]:
    """Images that are called as the photo would be; what words do not tell from one another, looks do.

    Args:
        flashlight: whose index it is.
        words: of the index.
        seen: what is known of the photo.
        encoded: the photo, or the part that was given.
        k: images at most.
    """
    hits = words.search(asked_words(seen.annotations), k=max(POOL, k))
    if not hits:
        return ()
    ids = [hit.row.id for hit in hits]
    away = distances_to(flashlight.index, encoded, ids, rank=flashlight.rank).tolist()
    order = sorted(range(len(hits)), key=lambda place: (-round(hits[place].score, DIGITS), away[place]))
    return tuple(
        SourceHit(row.id, row.path, row.labels, tags, score, away[place], words=own)
        for place in order[:k]
        for row, tags, score, own in [hits[place]]
    )


def asked_words(annotations: Sequence[Annotation]) -> list[tuple[str, float]]:
    """The words that image search looks for, and how much: the first one, and others that are half as sure or more."""
    sure = [(word, share if confidence is None else confidence) for word, share, confidence in annotations]
    return [(word, much) for word, much in sure if much > 0 and much >= sure[0][1] / 2]


def relative_nearness(visual: Sequence[SourceHit], hits: Sequence[SourceHit]) -> float:
    """Mean distance of the nearest images over that of as many first answers of a source; 0 where it has none."""
    count = min(_FIRST, len(visual), len(hits))
    if not count:
        return 0.0
    nearest, own = (float(np.mean([hit.distance for hit in answers[:count]])) for answers in (visual, hits))
    return nearest / own if own > 0 else 1.0


def _scores(hits: Sequence[Hit]) -> list[float]:
    """How near each answer is: 1 of the nearest, falling as weights of words do."""
    distances = np.array([[hit.distance for hit in hits]])
    return [float(weight) for weight in KERNEL._replace(answers=len(hits)).weights(distances)[0]] if hits else []


def _of(hit: Hit, score: float) -> SourceHit:
    return SourceHit(hit.id, hit.path, hit.labels, hit.tags, score, hit.distance, hit.object, hit.box)
