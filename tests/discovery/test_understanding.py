"""What is understood of a photo, as values."""

import json

import pytest

from dqh.discovery.annotate import Annotation
from dqh.discovery.colours import Colour
from dqh.discovery.understanding import FACTS, Category, Dominance, SeenObject, Understanding, dominant_object

RULE = Dominance(score=0.5, area=0.2, lead=2)


def seen(score: float | None, area: float, name: str | None = "cat") -> SeenObject:
    return SeenObject(name, score, (0, 0, 10, 10), area)


@pytest.mark.parametrize(
    ("objects", "which"),
    [
        ([], None),
        ([seen(0.8, 0.5)], 0),
        ([seen(0.4, 0.5)], None),  # not sure
        ([seen(0.9, 0.1)], None),  # small
        ([seen(0.9, 0.2), seen(0.8, 0.5)], 1),  # .18 against .4: the larger is ahead by 2.2
        ([seen(0.9, 0.3), seen(0.8, 0.5)], None),  # .27 against .4: by 1.5
        ([seen(0.8, 0.5), seen(0.8, 0.25)], 0),  # by 2, as wanted
        ([seen(None, 0.01, None)], 0),  # a part that was given
    ],
)
def test_dominant(objects: list[SeenObject], which: int | None) -> None:
    assert dominant_object(objects, RULE) is (None if which is None else objects[which])


def whole(**more: object) -> Understanding:
    sofa = SeenObject("sofa", 0.75, (1, 2, 30, 40), 0.5)
    given = {
        "photo": "room.jpg",
        "size": (64, 48),
        "part": None,
        "objects": (sofa,),
        "dominant": sofa,
        "annotations": (Annotation("velvet", 0.5, 0.875), Annotation("lamp", 0.25, None)),
        "annotation": 0.875,
        "category": Category("room", 0.625, "labels"),
        "colours": (Colour("red", "#ff0000", 1.0),),
        "nearness": 0.25,
    }
    return Understanding(**{**given, **more})  # type: ignore[arg-type]


def test_facts_are_those_that_rules_may_name() -> None:
    assert whole().facts() == {
        "annotation": 0.875,
        "category": 0.625,
        "objects": 1,
        "object_score": 0.75,
        "dominant": 0.5,
        "nearness": 0.25,
    }
    assert whole().facts().keys() == FACTS.keys()
    nothing = whole(objects=(), dominant=None, annotations=(), annotation=0.0, category=None, nearness=None)
    assert nothing.facts() == dict.fromkeys(FACTS, 0.0)
    part = SeenObject(None, None, (0, 0, 32, 24), 0.25)
    given = whole(part=part.box, objects=(part,), dominant=part).facts()
    assert (given["object_score"], given["dominant"]) == (1.0, 0.25)


def test_json_is_plain_and_holds_all() -> None:
    fields = whole().to_json()
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    assert fields["objects"] == [{"name": "sofa", "score": 0.75, "box": [1, 2, 30, 40], "area": 0.5}]
    assert fields["dominant"] == fields["objects"][0]
    assert fields["annotations"][1] == {"word": "lamp", "share": 0.25, "confidence": None}
    assert fields["category"] == {"name": "room", "confidence": 0.625, "by": "labels"}
    assert fields["colours"] == [{"name": "red", "hex": "#ff0000", "share": 1.0}]
    assert set(fields) == set(Understanding.__dataclass_fields__)
