"""Which photos and objects are looked at, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.collection import index_images
from dqh.discovery.flashlight import Flashlight, open_flashlight
from dqh.discovery.held_out import look_at
from dqh.errors import DataError, TooManyBadImagesError
from tests.collection.seer import FAILS, Seer
from tests.discovery.held import Place, draw


@pytest.fixture(scope="module")
def flashlight(place: Place) -> Flashlight:
    return open_flashlight(place.index, detector=Seer(), device="cpu")


def annotated(root: Path, *images: dict) -> Path:
    (root / "annotations.json").write_text(json.dumps({"classes": ["blue", "green", "red"], "images": images}))
    return root


def test_every_marked_object_and_every_dot_is_searched_for(place: Place, flashlight: Flashlight) -> None:
    photos = place.boxes()
    held_out = look_at(flashlight, photos)
    marked = [photos.boxes(row) for row in range(len(photos))]
    assert held_out.rows == list(range(24))
    assert held_out.names == [photos.class_names[number] for boxes in marked for number in boxes.classes]
    assert held_out.marked.photos == [row for row, boxes in enumerate(marked) for _ in boxes.classes]
    assert len(held_out.dots.photos) == len(held_out.parts) == len(held_out.dots.answers) == 48
    assert held_out.sizes.tolist() == [[64, 48]] * 24
    assert held_out.kinds == ("objects",)
    part = held_out.parts[0]
    nearest = flashlight.look(photos.read(0), k=50).spots[0].hits
    assert (part.box, part.object) == (flashlight.look(photos.read(0)).spots[0].box, "red")
    ranking = held_out.dots.answers.ranking()
    answered = [held_out.dots.answers.rows[number].id for number in ranking.ids[0] if number >= 0]
    assert answered == [hit.id for hit in nearest]


def test_photos_of_the_index_are_left_out(
    place: Place, flashlight: Flashlight, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = draw(tmp_path / "own", photos=6, seed=5, marked=1.0)
    (root / "00.png").write_bytes((place.index.parent / "indexed" / "07.png").read_bytes())
    held_out = look_at(flashlight, Place(root, place.index).boxes())
    assert held_out.rows == [1, 2, 3, 4, 5]
    assert "1 photo of colours left out, as the index has them" in caplog.text
    with pytest.raises(DataError, match=r"all 40 photos of colours are in .*, and answer themselves; give photos"):
        look_at(flashlight, Place(place.index.parent / "indexed", place.index).boxes())


def test_difficult_and_small_objects_are_not_searched_for(flashlight: Flashlight, tmp_path: Path) -> None:
    """As VOC has them: the second box is difficult, the third 7 pixels high."""
    for name in ("Annotations", "JPEGImages"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "JPEGImages" / "a.png")
    objects = "".join(
        f"<object><name>red</name><difficult>{difficult}</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>"
        for difficult, bottom in ((0, 20), (1, 30), (0, 7))
    )
    (tmp_path / "Annotations" / "a.xml").write_text(f"<annotation>{objects}</annotation>")
    from dqh.data.voc_boxes import VOCBoxes

    held_out = look_at(flashlight, VOCBoxes(root=tmp_path))
    assert held_out.names == ["red"]
    assert len(held_out.truth[0].boxes) == 3


def test_names_that_differ_are_told_together(place: Place, flashlight: Flashlight, tmp_path: Path) -> None:
    root = draw(tmp_path / "own", photos=6, seed=5, marked=1.0)
    (root / "map.csv").write_text("red,rde\nblue,navy\n")
    own = Place(root, place.index)
    with pytest.raises(DataError, match=r"not all classes of colours are a word of the index: 2 classes of colours"):
        look_at(flashlight, own.boxes(class_map="map.csv"))
    with pytest.raises(DataError, match=r"'rde'; did you mean 'red'\?"):
        look_at(flashlight, own.boxes(class_map="map.csv"))
    (root / "map.csv").write_text("red,\n")
    assert set(look_at(flashlight, own.boxes(class_map="map.csv")).names) == {"blue", "green"}


def test_classes_that_the_detector_does_not_know(
    artifact: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The index calls its photos by their folder, `navy`, and the detector knows three colours: that is told."""
    draw(tmp_path / "photos" / "navy", photos=6, seed=0, marked=1.0)
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", device="cpu")
    held = draw(tmp_path / "held", photos=6, seed=1, marked=1.0)
    (held / "map.csv").write_text("red,navy\nblue,navy\ngreen,navy\n")
    flashlight = open_flashlight(tmp_path / "index", detector=Seer(), device="cpu")
    held_out = look_at(flashlight, Place(held, tmp_path / "index").boxes(class_map="map.csv"))
    assert (set(held_out.names), held_out.kinds) == ({"navy"}, ("labels",))
    assert "1 class of colours is no class of the detector, so that no dot is on an object of its class" in caplog.text
    assert "there: navy\n" in caplog.text


def test_photos_that_cannot_be_used_count(
    place: Place, flashlight: Flashlight, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The detector fails on the first one."""
    root = draw(tmp_path / "own", photos=6, seed=5, marked=1.0)
    pixels = np.asarray(Image.open(root / "00.png")).copy()
    pixels[0, 0] = FAILS
    Image.fromarray(pixels).save(root / "00.png")
    own = Place(root, place.index)
    with pytest.raises(TooManyBadImagesError, match=r"1 of 6 images of colours cannot be used .*it does not like this"):
        look_at(flashlight, own.boxes())
    held_out = look_at(flashlight, own.boxes(max_bad_fraction=0.5))
    assert "1 image of colours cannot be used, the first: '00.png': " in caplog.text
    assert min(held_out.marked.photos) == 1
    assert len(held_out.truth) == 6


def test_without_a_detector_there_are_no_dots(place: Place, artifact: Path) -> None:
    opened = open_flashlight(place.index, detector=Seer(), device="cpu")
    held_out = look_at(Flashlight(opened.index, opened.encoder, None), place.boxes())
    assert (len(held_out.dots.photos), len(held_out.names) > 0) == (0, True)


def test_a_photo_without_anything(flashlight: Flashlight, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    photos = Place(annotated(tmp_path, {"file": "a.png", "boxes": []}), tmp_path).boxes()
    held_out = look_at(flashlight, photos)
    assert (held_out.names, held_out.parts, len(held_out.truth)) == ([], [], 1)
