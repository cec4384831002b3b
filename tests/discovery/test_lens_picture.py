"""Photos as a lens saw them, drawn."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from dqh.collection.picture import save
from dqh.discovery.annotate import Annotation
from dqh.discovery.blend import Naming, Result, SourceHit
from dqh.discovery.blend_rules import SOURCES
from dqh.discovery.colours import Colour
from dqh.discovery.lens_answer import LensAnswer, Source
from dqh.discovery.lens_picture import COLOURS, COLUMNS, LINES, draw_answers
from dqh.discovery.understanding import Category, SeenObject, Understanding


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (80, 60), "#808080").save(tmp_path / "room.png")
    return tmp_path / "room.png"


def answer(photo: Path, *, results: int = 20, objects: bool = True) -> LensAnswer:
    sofa, cat = SeenObject("sofa", 0.9, (0, 0, 60, 50), 0.6), SeenObject("c$a$t\x1b[2J", 0.4, (60, 0, 80, 9), 0.04)
    understanding = Understanding(
        str(photo),
        (80, 60),
        None,
        (sofa, cat) if objects else (),
        sofa if objects else None,
        (Annotation("velvet", 0.5, 0.875), Annotation("$x$", 0.25, None)) if objects else (),
        0.875,
        Category("sofa", 0.9, "detector") if objects else None,
        (Colour("gray", "#808080", 0.75), Colour("red", "#ff0000", 0.25)),
        0.5,
    )
    hit = SourceHit(1, "room.png", ("x",), (), 1.0, 0.5, "sofa", (0, 0, 9, 9))
    found = [
        Result("room.png", 0.5, (Naming(SOURCES[1], place + 1, hit), Naming(SOURCES[0], place + 2, hit)))
        for place in range(results)
    ]
    sources = (
        Source(SOURCES[0], True, 0.25, ("weight 1",), "", ()),
        Source(SOURCES[1], True, 0.75, ("weight 3",), "", (hit,)),
        Source(SOURCES[2], False, 0.0, ("no word is sure",), "", ()),
    )
    return LensAnswer(
        understanding, understanding.facts(), sources, tuple(found), "" if results else "the index has no rows", {}
    )


def texts(axis: object) -> list[str]:
    return [text.get_text() for text in axis.texts]  # type: ignore[attr-defined]


def test_what_is_drawn(photo: Path) -> None:
    """The dominant box thick, words with confidence or share, colours and ratios to scale, a result a cell."""
    figure = draw_answers([answer(photo)], str(photo.parent))
    picture, known, *cells = figure.axes
    assert [patch.get_bbox().bounds for patch in picture.patches] == [(60, 0, 20, 9), (0, 0, 60, 50)]
    assert [patch.get_linewidth() for patch in picture.patches] == [1.0, 2.8]
    assert texts(picture) == ["c$a$t\\x1b[2J 0.40", "sofa 0.90"]
    assert texts(known)[:3] == ["velvet  0.88\n$x$  25% of answers", "category: sofa 0.90", "gray, red"]
    assert texts(known)[3:] == ["V  visual search  25%", "O  object search  75%", "I  image search  not asked"]
    widths = [round(patch.get_width() / 0.9, 6) for patch in known.patches]
    assert widths == [0.75, 0.25, 0.25, 0.75, 0]
    assert to_hex(known.patches[0].get_facecolor()) == "#808080"
    assert [to_hex(patch.get_facecolor()) for patch in known.patches[2:]] == list(COLOURS.values())
    assert len(cells) == COLUMNS * LINES
    assert texts(cells[0]) == ["1. x\nO1 V2 · 0.500"]
    assert to_hex(cells[0].patches[-1].get_edgecolor()) == COLOURS["object_search"]
    save(figure, photo.parent / "out.png")
    with Image.open(photo.parent / "out.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_nothing_known_nothing_found_and_a_photo_that_is_gone(photo: Path) -> None:
    plain = answer(photo, results=0, objects=False)
    gone = answer(photo.with_name("gone.png"), results=1)
    figure = draw_answers([plain, gone], str(photo.parent))
    words = [text for axis in figure.axes for text in texts(axis)]
    assert "no words" in words
    assert "the index has no rows" in words
    assert any(text.startswith("no picture:") for text in words)
