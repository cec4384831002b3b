"""From a photo and what looks like it to what is understood of it: see `dqh.discovery.understanding`."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dqh.collection.objects import Part
from dqh.discovery.annotate import Annotation, Kernel
from dqh.discovery.answer_rows import AnswerRows, words_of
from dqh.discovery.colours import dominant_colours
from dqh.discovery.flashlight import Flashlight
from dqh.discovery.understanding import Category, Dominance, SeenObject, Understanding, dominant_object, seen_object
from dqh.index.store import Box, Hit
from dqh.ranking import Ranking


def understand(
    flashlight: Flashlight,
    image: Image.Image,
    parts: Sequence[Part],
    near: Sequence[Hit],
    *,
    path: str = "",
    box: Box | None = None,
    dominance: Dominance,
    words: int = 5,
) -> Understanding:
    """What is known of a photo once it has been searched for.

    Args:
        flashlight: that names what was found.
        image: the upright RGB photo.
        parts: its objects, or the one part that was given.
        near: whole images of the index, nearest first.
        path: of the photo; "" for none.
        box: x0, y0, x1, y1, pixels: the part that was given; None for all of it.
        dominance: when an object counts as the one that the photo is about.
        words: annotations at most, at least 1.
    """
    collected = AnswerRows()
    collected.add([tuple(near)])
    answers = collected.ranking()
    (annotations,) = flashlight.words(answers, collected.rows, words)
    kernel = flashlight.kernel
    objects = tuple(seen_object(part, image.size) for part in parts)
    dominant = dominant_object(objects, dominance)
    return Understanding(
        photo=path,
        size=image.size,
        part=box,
        objects=objects,
        dominant=dominant,
        annotations=annotations,
        annotation=_confidence(annotations[0], answers, collected.rows, kernel) if annotations else 0.0,
        category=_category(flashlight, answers, collected.rows, objects if dominant is None else (dominant,)),
        colours=dominant_colours(
            image if box is None else image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))
        ),
        nearness=_nearness(answers, kernel) if near else None,
    )


def _category(
    flashlight: Flashlight, answers: Ranking, rows: Sequence[Hit], objects: Sequence[SeenObject]
) -> Category | None:
    """The label of most of what looks like a photo; where there are no labels, the class of the surest object."""
    labelled = [hit._replace(tags=(), object=None) for hit in rows]
    (labels,) = flashlight.words(answers, labelled, 1)
    if labels:
        return Category(labels[0].word, _confidence(labels[0], answers, labelled, flashlight.kernel), "labels")
    known = [seen for seen in objects if seen.name is not None]
    best = max(known, key=lambda seen: seen.score or 0.0, default=None)
    return None if best is None else Category(best.name or "", best.score or 0.0, "detector")


def _confidence(first: Annotation, answers: Ranking, rows: Sequence[Hit], kernel: Kernel) -> float:
    """How sure a word is: its confidence, or n s / (n w + 1) where none was calibrated.

    s is its share of the weight of n answers, w that of answers with any word: its share among those that are called
    something, with one more that is called otherwise, so that a single tagged answer does not make it sure.
    """
    if first.confidence is not None:
        return first.confidence
    weights = kernel.weights(answers.distances)[0]
    worded = np.array([bool(words_of(rows[place])) for place in answers.ids[0, : len(weights)].tolist()])
    count, share = len(weights), float(weights[worded].sum() / weights.sum())
    return count * first.share / (count * share + 1)


def _nearness(answers: Ranking, kernel: Kernel) -> float:
    """1 − nearest / mean distance of the answers that count; 0 where all are equally far."""
    near = np.asarray(answers.distances[0, : kernel.answers], np.float64)
    return float(1 - near[0] / near.mean()) if near.mean() > 0 else 0.0
