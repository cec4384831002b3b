"""Photos with their dots, drawn."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from dqh.collection.picture import save
from dqh.discovery.annotate import Annotation
from dqh.discovery.flashlight import Sight, Spot
from dqh.discovery.sight_picture import COLOURS, COLUMNS, draw_sights
from dqh.index.store import Hit


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (80, 60), "#808080").save(tmp_path / "room.png")
    return tmp_path / "room.png"


def spot(
    box: tuple[float, float, float, float], *, shown: bool = True, word: str = "lamp", sure: float | None = 0.75
) -> Spot:
    hits = tuple(Hit(number, "room.png", ("x",), (0, 0, 9, 9), 3, 0.5, "lamp", 0.9) for number in range(8))
    return Spot(box, "lamp", 0.5, {}, 1.0, shown, (Annotation(word, 0.5, sure),), hits)


def texts(axis: object) -> list[str]:
    return [text.get_text() for text in axis.texts]  # type: ignore[attr-defined]


def test_numbers_words_and_answers(photo: Path) -> None:
    """Two dots shown and one hidden: a number and a box each, and a cross; two lines of words and six answers."""
    spots = (
        spot((0, 0, 20, 20)),
        spot((40, 20, 60, 50), word="$x$\x1b[2J", sure=None),
        spot((60, 0, 70, 9), shown=False),
    )
    figure = draw_sights([Sight(str(photo), (80, 60), spots, "", {})], str(photo.parent))
    picture, *cells = figure.axes
    assert texts(picture) == ["1", "2"]
    assert [patch.get_bbox().bounds for patch in picture.patches] == [(0, 0, 20, 20), (40, 20, 20, 30)]
    assert [to_hex(patch.get_edgecolor()) for patch in picture.patches] == list(COLOURS[:2])
    dots = [(line.get_marker(), *line.get_xydata()[0]) for line in picture.lines]
    assert sorted(set(dots)) == [("o", 10, 10), ("o", 50, 35), ("x", 65, 4.5)]
    assert len(cells) == 2 * (1 + COLUMNS)
    assert texts(cells[0]) == ["1", "lamp  0.75", "seen as lamp 0.50"]
    assert texts(cells[1 + COLUMNS])[1] == "$x$\\x1b[2J  50%"
    assert texts(cells[1]) == ["x\nfine 0.5"]
    save(figure, photo.parent / "out.png")
    with Image.open(photo.parent / "out.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_a_photo_that_shows_nothing_and_one_that_is_gone(photo: Path) -> None:
    nothing = Sight(str(photo), (80, 60), (), "no object is seen in the photo", {})
    gone = Sight(str(photo.with_name("gone.png")), (80, 60), (spot((0, 0, 20, 20), shown=False),), "", {})
    figure = draw_sights([nothing, gone], str(photo.parent))
    words = [text for axis in figure.axes for text in texts(axis)]
    assert "no object is seen in the photo" in words
    assert "no dot is shown" in words
    assert any(text.startswith("no picture:") for text in words)
