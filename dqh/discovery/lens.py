"""Understand a photo, ask several sources about it, and blend what they answer.

What the photo shows decides who is asked and how much of the answer is of each (Zhai et al., Visual Discovery at
Pinterest, 2017, call this Lens): *visual search* finds images that look like the photo or a part of it, *object search*
images that hold an object like one of its own, *image search* images that are labelled or tagged as it would be. The
visual search always runs, since its answers give the words; whether they are of the blend, the rules say as well.
"""

import os
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image

from dqh.collection.objects import Part
from dqh.collection.word_search import WordSearch
from dqh.counts import require_counts
from dqh.detection.detector import Detector
from dqh.discovery.annotate import Annotator
from dqh.discovery.blend import Result, SourceHit, blend
from dqh.discovery.blend_rules import DEFAULT, SOURCES, BlendRules, Ratio, read_rules
from dqh.discovery.flashlight import Flashlight, open_flashlight, read_query
from dqh.discovery.lens_answer import STAGES, LensAnswer, Source
from dqh.discovery.lens_sources import image_hits, object_hits, relative_nearness, visual_hits
from dqh.discovery.look_fit import LookFit
from dqh.discovery.understand import understand
from dqh.discovery.understanding import Understanding
from dqh.index.store import Box, open_index
from dqh.index.store.place import newest_version

DEPTH = 50
"""Answers of a source at least, so that what two sources name further down can come first together."""

OBJECTS = 5
"""Of a photo at most, the surest ones."""

_VISUAL, _OBJECT, _IMAGE = SOURCES


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
        require_counts(k=k, words=words)
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
        (near,) = self.flashlight.answers(encoded.part(0, 1), k=depth, among="images")
        clock("visual_search")
        seen = understand(
            self.flashlight,
            image,
            parts,
            near,
            path=path,
            box=box,
            dominance=self.rules.dominant,
            words=words,
        )
        clock("understand")
        refused = self.rules.refused(seen.facts(), self._unable(seen))
        hits: dict[str, tuple[SourceHit, ...]] = dict.fromkeys(SOURCES, ())
        hits[_VISUAL] = visual = visual_hits(near)
        if _OBJECT not in refused:
            queries = encoded if box is not None else encoded.part(1, len(encoded.codes))
            hits[_OBJECT] = object_hits(self.flashlight, seen, queries, k=depth)
        clock("object_search")
        if _IMAGE not in refused:
            hits[_IMAGE] = image_hits(self.flashlight, self.word_search, seen, encoded.part(0, 1), k=depth)
        clock("image_search")
        facts = seen.facts() | {
            "object_nearness": relative_nearness(visual, hits[_OBJECT]),
            "word_nearness": relative_nearness(visual, hits[_IMAGE]),
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


class _Clock:
    """Seconds of each of `STAGES`, told in their order."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._mark = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._mark = now - self._mark, now
