"""What is understood of a photo before anything is searched for it: objects, words, colours, category, dominance.

Everything is plain values, so that it goes to JSON as it is (`Understanding.to_json`), and the facts that rules of a
blend read are numbers of it (`Understanding.facts`). How it comes to be is in `dqh.discovery.lens`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dqh.collection.objects import Part
from dqh.discovery.annotate import Annotation
from dqh.discovery.colours import Colour
from dqh.index.store import Box

FACTS = {
    "annotation": "confidence of the first annotation, 0 … 1; 0 without any",
    "category": "confidence of the category, 0 … 1; 0 without one",
    "objects": "how many objects are seen",
    "object_score": "score of the surest object, 0 … 1; 0 without any",
    "dominant": "share of the photo that the dominant object covers, 0 … 1; 0 without one",
    "nearness": "how much nearer the nearest image is than the answers on average, 0 (all alike) … 1 (the same image)",
}
"""Numbers by which rules choose and weigh sources."""


class SeenObject(NamedTuple):
    """An object of a photo.

    Attributes:
        name: its class, as the detector has it; None for a part that was given.
        score: of the detector, 0 … 1; None likewise.
        box: x0, y0, x1, y1, whole pixels of the upright photo.
        area: share of the photo that the box covers, 0 … 1.
    """

    name: str | None
    score: float | None
    box: Box
    area: float

    @property
    def weight(self) -> float:
        """Score times area; of a part that was given the area alone."""
        return self.area * (1.0 if self.score is None else self.score)


class Category(NamedTuple):
    """What kind of thing a photo shows.

    Attributes:
        name: a label of the index, or a class of the detector.
        confidence: 0 … 1.
        by: `labels` of the answers, or the `detector`, where no answer has a label.
    """

    name: str
    confidence: float
    by: str


class Dominance(NamedTuple):
    """When an object is the one that a photo is about.

    Attributes:
        score: of the detector, at least.
        area: share of the photo, at least.
        lead: so many times the weight (score × area) of the object that comes second, at least.
    """

    score: float = 0.5
    area: float = 0.1
    lead: float = 2.0


@dataclass(frozen=True)
class Understanding:
    """What is known of a photo.

    Attributes:
        photo: its path, or "" for an image of Pillow.
        size: width and height, pixels.
        part: x0, y0, x1, y1, pixels, that somebody marked; None for all of it.
        objects: the surest first; of a part that was given it alone.
        dominant: the one object that the photo is about; None where there is none.
        annotations: words of what looks like it, by falling weight.
        annotation: how sure the first of them is, 0 … 1, calibrated or not; 0 without any.
        category: None where nothing tells.
        colours: of the photo or the part, by falling share.
        nearness: see `FACTS`; None where nothing answers.
    """

    photo: str
    size: tuple[int, int]
    part: Box | None
    objects: tuple[SeenObject, ...]
    dominant: SeenObject | None
    annotations: tuple[Annotation, ...]
    annotation: float
    category: Category | None
    colours: tuple[Colour, ...]
    nearness: float | None

    def facts(self) -> dict[str, float]:
        """The numbers that rules read, by the names of `FACTS`; a part that was given counts as a sure object."""
        return {
            "annotation": self.annotation,
            "category": 0.0 if self.category is None else self.category.confidence,
            "objects": float(len(self.objects)),
            "object_score": max((1.0 if seen.score is None else seen.score for seen in self.objects), default=0.0),
            "dominant": 0.0 if self.dominant is None else self.dominant.area,
            "nearness": self.nearness or 0.0,
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {
            "photo": self.photo,
            "size": list(self.size),
            "part": None if self.part is None else list(self.part),
            "objects": [_object(seen) for seen in self.objects],
            "dominant": None if self.dominant is None else _object(self.dominant),
            "annotations": [word._asdict() for word in self.annotations],
            "category": None if self.category is None else self.category._asdict(),
            "annotation": self.annotation,
            "colours": [colour._asdict() for colour in self.colours],
            "nearness": self.nearness,
        }


def seen_object(part: Part, size: tuple[int, int]) -> SeenObject:
    """What a detector saw in an image of `size`, width × height, or a part of it that was given."""
    assert part.box is not None
    x0, y0, x1, y1 = part.box
    return SeenObject(part.object, part.score, part.box, (x1 - x0) * (y1 - y0) / (size[0] * size[1]))


def dominant_object(objects: Sequence[SeenObject], rule: Dominance) -> SeenObject | None:
    """The object that a photo is about, if it is about one: sure, large, and ahead of all others; or the part given.

    Example:
        >>> boxes = SeenObject("sofa", 0.9, (0, 0, 60, 50), 0.3), SeenObject("cat", 0.8, (70, 0, 80, 25), 0.1)
        >>> dominant_object(boxes, Dominance(score=0.5, area=0.2, lead=2.0)).name
        'sofa'
    """
    if not objects:
        return None
    first, *others = sorted(objects, key=lambda seen: -seen.weight)
    if first.score is None:
        return first
    ahead = not others or first.weight >= rule.lead * others[0].weight
    return first if first.score >= rule.score and first.area >= rule.area and ahead else None


def _object(seen: SeenObject) -> dict[str, Any]:
    return seen._asdict() | {"box": list(seen.box)}
