"""Understand a photo, ask several sources about it, and blend what they answer.

What the photo shows decides who is asked and how much of the answer is of each (Zhai et al., Visual Discovery at
Pinterest, 2017, call this Lens): *visual search* finds images that look like the photo or a part of it, *object search*
images that hold an object like one of its own, *image search* images that are labelled or tagged as it would be. The
visual search always runs, since its answers give the words; whether they are of the blend, the rules say as well.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dqh.collection.objects import Part
from dqh.collection.word_search import DIGITS, WordSearch
from dqh.detection.detector import Detector
from dqh.discovery.annotate import Annotation, Annotator, Kernel
from dqh.discovery.answer_rows import AnswerRows, words_of
from dqh.discovery.blend import Result, SourceHit, blend
from dqh.discovery.blend_rules import DEFAULT, SOURCES, BlendRules, Ratio, read_rules
from dqh.discovery.colours import dominant_colours
from dqh.discovery.flashlight import KERNEL, Flashlight, open_flashlight, read_query
from dqh.discovery.look_fit import LookFit
from dqh.discovery.understanding import Category, SeenObject, Understanding, dominant_object
from dqh.encoded import Encoded
from dqh.index.store import Box, Hit, open_index
from dqh.index.store.given_rows import distances_to
from dqh.index.store.place import newest_version
from dqh.ranking import Ranking

DEPTH = 50
"""Answers of a source at least, so that what two sources name further down can come first together."""

POOL = 1000
"""Images that words find, among which those of equal scores are put in the order of their looks."""

OBJECTS = 5
"""Of a photo at most, the surest ones."""

_FIRST = 10
"""Answers whose distances are compared."""

STAGES = ("decode", "detect", "encode", "visual_search", "understand", "object_search", "image_search", "blend")
"""In their order."""

_VISUAL, _OBJECT, _IMAGE = SOURCES


class Source(NamedTuple):
    """What became of a source.

    Attributes:
        name: of `dqh.discovery.blend_rules.SOURCES`.
        asked: whether it was asked.
        ratio: how much of the blend is of it, 0 … 1.
        because: why it is so, in words, one a reason.
        note: why it has no answers though it was asked; else "".
        hits: its answers, best first, an image once.
    """

    name: str
    asked: bool
    ratio: float
    because: tuple[str, ...]
    note: str
    hits: tuple[SourceHit, ...]


@dataclass(frozen=True)
class LensAnswer:
    """A photo with what is known of it and what was found for it.

    Attributes:
        understanding: what is known.
        facts: the numbers that the rules went by, of `FACTS` and `ANSWER_FACTS`.
        sources: what became of each, in the order of `SOURCES`.
        results: of all sources together, best first.
        note: why there is none, in words; else "".
        seconds: of each of `STAGES`; those of sources that were not asked are 0.
    """

    understanding: Understanding
    facts: dict[str, float]
    sources: tuple[Source, ...]
    results: tuple[Result, ...]
    note: str
    seconds: dict[str, float]


class Lens:
    """Answers about photos by an index; threads may share it.

    Args:
        flashlight: index, encoder, detector and annotator. Without a detector no objects are seen.
        rules: who is asked, and how much of the answer is of each; None for those of this package.

    Attributes:
        flashlight: as given.
        rules: as given.
    """

    def __init__(self, flashlight: Flashlight, *, rules: BlendRules | None = None) -> None:
        self.flashlight = flashlight
        self.rules = read_rules() if rules is None else rules

    @cached_property
    def word_search(self) -> WordSearch:
        """Over the labels and tags of the version of the index, made when it is first asked for."""
        return WordSearch(self.flashlight.index.version)

    def newest(self, *, engine: str = "auto", device: str | None = "cpu") -> "Lens":
        """One over the newest version of the index, with the same encoder and detector; itself where that is its own.

        Whoever is asking this one meanwhile is not disturbed.

        Args:
            engine: that searches the codes, see `dqh.index.store.open_index`.
            device: likewise.

        Raises:
            StoreError: the index is gone, or its newest version is damaged.
            MismatchError: it is of another encoder now.
        """
        version = self.flashlight.index.version
        if newest_version(version.path) == version.manifest.version:
            return self
        return Lens(self.flashlight.over(open_index(version.path, engine=engine, device=device)), rules=self.rules)

    def ask(
        self,
        photo: str | os.PathLike[str] | Image.Image,
        *,
        box: Box | None = None,
        k: int = 20,
        words: int = 5,
    ) -> LensAnswer:
        """What is found for a photo, or a part of it.

        Args:
            photo: a path, or an upright RGB image of Pillow.
            box: x0, y0, x1, y1, pixels: the part that is meant; it counts as the one object, and nothing is detected.
            k: results, at least 1.
            words: annotations at most, at least 1.

        Raises:
            BadImageError: the photo cannot be used, the detector fails on it, or the box lies outside it.
            StoreError: features or tags of the index are damaged.
            ValueError: a number is below 1.
        """
        if min(k, words) < 1:
            raise ValueError(f"k and words must be at least 1, got {k} and {words}")
        clock = _Clock()
        path = "" if isinstance(photo, Image.Image) else os.fspath(photo)
        image = photo if isinstance(photo, Image.Image) else read_query(path)
        clock("decode")
        parts = self._parts(image, box, path)
        clock("detect")
        encoded = self.flashlight.encoded(image, [Part(box), *(part for part in parts if part.box != box)], path)
        assert encoded is not None
        clock("encode")
        depth = max(DEPTH, 2 * k, self.flashlight.kernel.answers)
        (near,) = self.flashlight.answers(_rows(encoded, 0, 1), k=depth, among="images")
        clock("visual_search")
        seen = self._understood(image, path, box, parts, near, words)
        clock("understand")
        refused = self.rules.refused(seen.facts(), self._unable(seen))
        hits: dict[str, tuple[SourceHit, ...]] = dict.fromkeys(SOURCES, ())
        hits[_VISUAL] = visual = _visual(near)
        if _OBJECT not in refused:
            queries = encoded if box is not None else _rows(encoded, 1, len(encoded.codes))
            hits[_OBJECT] = self._objects(seen, queries, depth)
        clock("object_search")
        if _IMAGE not in refused:
            hits[_IMAGE] = self._images(seen, _rows(encoded, 0, 1), depth)
        clock("image_search")
        facts = seen.facts() | {
            "object_nearness": _relative(visual, hits[_OBJECT]),
            "word_nearness": _relative(visual, hits[_IMAGE]),
        }
        ratios = self.rules.ratios(facts, refused)
        asked = {name: own for name, own in hits.items() if name not in refused}
        results = blend(asked, {name: ratio.ratio for name, ratio in ratios.items()}, k=k)
        clock("blend")
        sources = tuple(self._source(name, ratios[name], hits[name]) for name in SOURCES)
        return LensAnswer(seen, facts, sources, results, self._note(results), clock.seconds)

    def _parts(self, image: Image.Image, box: Box | None, path: str) -> list[Part]:
        """The objects of a photo, or the part that was given; none without a detector."""
        if box is not None:
            return [Part(box)]
        return [] if self.flashlight.detector is None else list(self.flashlight.seen(image, path)[:OBJECTS])

    def _understood(
        self, image: Image.Image, path: str, box: Box | None, parts: Sequence[Part], near: Sequence[Hit], words: int
    ) -> Understanding:
        """What is known of a photo once it has been searched for."""
        collected = AnswerRows()
        collected.add([tuple(near)])
        answers = collected.ranking()
        (annotations,) = self.flashlight.words(answers, collected.rows, words)
        kernel = self.flashlight.kernel
        objects = tuple(_seen(part, image.size) for part in parts)
        return Understanding(
            photo=path,
            size=image.size,
            part=box,
            objects=objects,
            dominant=dominant_object(objects, self.rules.dominant),
            annotations=annotations,
            annotation=_confidence(annotations[0], answers, collected.rows, kernel) if annotations else 0.0,
            category=self._category(answers, collected.rows, objects),
            colours=dominant_colours(
                image if box is None else image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))
            ),
            nearness=_nearness(answers, kernel) if near else None,
        )

    def _category(self, answers: Ranking, rows: Sequence[Hit], objects: Sequence[SeenObject]) -> Category | None:
        """The label of most of what looks like a photo; where there are no labels, the class of its surest object."""
        labelled = [hit._replace(tags=(), object=None) for hit in rows]
        (labels,) = self.flashlight.words(answers, labelled, 1)
        if labels:
            return Category(labels[0].word, _confidence(labels[0], answers, labelled, self.flashlight.kernel), "labels")
        known = [seen for seen in objects if seen.name is not None]
        best = max(known, key=lambda seen: seen.score or 0.0, default=None)
        return None if best is None else Category(best.name or "", best.score or 0.0, "detector")

    def _unable(self, seen: Understanding) -> dict[str, str]:
        """Sources that cannot be asked, and why."""
        version, unable = self.flashlight.index.version, {}
        if not version.objects.any():
            unable[_OBJECT] = (
                "the index has no objects: its detector saw none in its images"
                if version.manifest.detector_id is not None
                else "the index was made without a detector, and has no objects"
            )
        elif not seen.objects:
            unable[_OBJECT] = (
                "there is no detector that would see objects in the photo"
                if self.flashlight.detector is None
                else "no object is seen in the photo"
            )
        if not seen.annotations:
            unable[_IMAGE] = "none of the images that look like the photo has a label or a tag"
        return unable

    def _objects(self, seen: Understanding, encoded: Encoded, depth: int) -> tuple[SourceHit, ...]:
        """Images with objects like those of the photo: like the dominant one alone where there is one.

        Each object's answers have the scores of its kernel, times its score against that of the surest; an image has
        that of its best.
        """
        queries = list(range(len(encoded.codes)))
        if seen.dominant is not None:
            queries = [seen.objects.index(seen.dominant)]
        sure = [1.0 if own.score is None else own.score for own in seen.objects]
        best: dict[str, SourceHit] = {}
        for number in queries:
            (hits,) = self.flashlight.answers(_rows(encoded, number, number + 1), k=depth, among="objects")
            for hit, score in zip(hits, _scores(hits), strict=True):
                own = _of(hit, score * sure[number] / max(sure[place] for place in queries))
                if hit.path not in best or best[hit.path].score < own.score:
                    best[hit.path] = own
        return tuple(sorted(best.values(), key=lambda hit: (-hit.score, hit.distance, hit.id))[:depth])

    def _images(self, seen: Understanding, encoded: Encoded, depth: int) -> tuple[SourceHit, ...]:
        """Images that are called as the photo would be; what words do not tell from one another, looks do."""
        hits = self.word_search.search(asked_words(seen.annotations), k=max(POOL, depth))
        if not hits:
            return ()
        ids = [hit.row.id for hit in hits]
        away = distances_to(self.flashlight.index, encoded, ids, rank=self.flashlight.rank).tolist()
        order = sorted(range(len(hits)), key=lambda place: (-round(hits[place].score, DIGITS), away[place]))
        return tuple(
            SourceHit(row.id, row.path, row.labels, tags, score, away[place], words=words)
            for place in order[:depth]
            for row, tags, score, words in [hits[place]]
        )

    def _source(self, name: str, ratio: Ratio, hits: tuple[SourceHit, ...]) -> Source:
        """What became of a source; the hits of one that was not asked are not told."""
        note = ""
        if ratio.asked and not hits:
            note = "no label or tag of the index has these words" if name == _IMAGE else "the index has no rows"
        return Source(name, ratio.asked, ratio.ratio, ratio.because, note, hits if ratio.asked else ())

    def _note(self, results: Sequence[Result]) -> str:
        """Why there is nothing to show."""
        if results:
            return ""
        if not len(self.flashlight.index):
            return "the index has no rows, so that nothing answers; add images with dqh index"
        return "no source was asked, or none has an answer; see why at each of them"


def open_lens(
    index: str | Path,
    *,
    artifact: str | Path | None = None,
    detector: str | Path | Detector | None = None,
    annotator: Annotator | None = None,
    fitted: str | Path | LookFit | None = None,
    rules: str | Path | BlendRules | None = None,
    engine: str = "auto",
    device: str | None = None,
    runtime: str = "torch",
) -> Lens:
    """A lens over an index on disk.

    Args:
        index: its folder.
        rules: a table, or the yaml file of one; None for that of this package.
        artifact: as all others, see `dqh.discovery.flashlight.open_flashlight`, which raises what is raised here too.
        detector: likewise.
        annotator: likewise.
        fitted: likewise.
        engine: likewise.
        device: likewise.
        runtime: likewise.

    Raises:
        ConfigError: the table does not make sense.
    """
    table = rules if isinstance(rules, BlendRules) else read_rules(DEFAULT if rules is None else rules)
    flashlight = open_flashlight(
        index,
        artifact=artifact,
        detector=detector,
        annotator=annotator,
        fitted=fitted,
        engine=engine,
        device=device,
        runtime=runtime,
    )
    return Lens(flashlight, rules=table)


def asked_words(annotations: Sequence[Annotation]) -> list[tuple[str, float]]:
    """The words that image search looks for, and how much: the first one, and others that are half as sure or more."""
    sure = [(word, share if confidence is None else confidence) for word, share, confidence in annotations]
    return [(word, much) for word, much in sure if much > 0 and much >= sure[0][1] / 2]


class _Clock:
    """Seconds of each of `STAGES`, told in their order."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._mark = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._mark = now - self._mark, now


def _rows(encoded: Encoded, start: int, end: int) -> Encoded:
    part = slice(start, end)
    return Encoded(encoded.codes[part], encoded.embedding[part], encoded.features[part], encoded.encoder_id)


def _seen(part: Part, size: tuple[int, int]) -> SeenObject:
    assert part.box is not None
    x0, y0, x1, y1 = part.box
    return SeenObject(part.object, part.score, part.box, (x1 - x0) * (y1 - y0) / (size[0] * size[1]))


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


def _relative(visual: Sequence[SourceHit], hits: Sequence[SourceHit]) -> float:
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


def _visual(hits: Sequence[Hit]) -> tuple[SourceHit, ...]:
    """Answers of whole images; of an image with several rows the nearest."""
    best: dict[str, SourceHit] = {}
    for hit, score in zip(hits, _scores(hits), strict=True):
        best.setdefault(hit.path, _of(hit, score))
    return tuple(best.values())


def _of(hit: Hit, score: float) -> SourceHit:
    return SourceHit(hit.id, hit.path, hit.labels, hit.tags, score, hit.distance, hit.object, hit.box)
