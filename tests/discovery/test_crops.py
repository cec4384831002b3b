"""Regions by hand, and the source of crops against photos that are cut by hand."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dqh.data.json_boxes import JSONBoxes
from dqh.discovery.crops import TIGHT, WHOLE, Crops, Region
from dqh.errors import BadImageError
from tests.discovery.conftest import boxes_of

MARGIN, SQUARE = Region("margin", 0.1), Region("square", 0.0, square=True)


@pytest.mark.parametrize(
    ("region", "box", "part"),
    [
        (WHOLE, [5, 5, 6, 6], (0, 0, 100, 80)),
        (TIGHT, [10, 20, 30, 60], (10, 20, 30, 60)),
        (TIGHT, [10.4, 19.6, 30.4, 59.6], (10, 20, 30, 60)),
        (TIGHT, [10.2, 20, 10.3, 60], (10, 20, 11, 60)),  # a pixel at least
        (TIGHT, [99.8, 79.8, 100, 80], (99, 79, 100, 80)),
        (MARGIN, [10, 20, 30, 60], (8, 16, 32, 64)),
        (MARGIN, [0, 0, 100, 80], (0, 0, 100, 80)),
        (SQUARE, [40, 20, 60, 60], (30, 20, 70, 60)),
        (SQUARE, [0, 20, 20, 60], (0, 20, 40, 60)),  # moved inside
        (SQUARE, [80, 40, 100, 80], (60, 40, 100, 80)),
        (SQUARE, [0, 0, 100, 40], (0, 0, 100, 80)),  # longer than the photo is high
        (Region("both", 0.5, square=True), [45, 30, 55, 50], (30, 20, 70, 60)),
    ],
)
def test_parts_by_hand(region: Region, box: list[float], part: tuple[int, ...]) -> None:
    assert region.part(np.array(box, np.float32), 100, 80) == part


@given(st.data(), st.floats(0, 3), st.booleans(), st.integers(1, 60), st.integers(1, 60))
def test_a_part_lies_in_the_photo_and_holds_the_box(
    data: st.DataObject, margin: float, square: bool, width: int, height: int
) -> None:
    """Up to half a pixel at each edge, by rounding."""
    x0, x1 = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y0, y1 = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    left, top, right, bottom = Region("", margin, square=square).part(np.float32([x0, y0, x1, y1]), width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left <= x0 + 0.51
    assert top <= y0 + 0.51
    assert right >= x1 - 0.51
    assert bottom >= y1 - 0.51


def test_an_object_is_a_row(squares: Path) -> None:
    photos = boxes_of(squares)
    crops, said = Crops(photos=photos), json.loads((squares / "annotations.json").read_text())
    assert len(crops) == 60
    assert crops.ids[:3].tolist() == ["00.png#0", "00.png#1", "01.png#0"]
    names = [box[0] for image in said["images"] for box in image["boxes"]]
    assert [crops.class_names[label] for label in crops.labels] == names
    assert crops.boxes.tolist() == [box[1:] for image in said["images"] for box in image["boxes"]]
    assert crops.photo_rows.tolist() == [row for row in range(30) for _ in range(2)]
    assert crops.roles["query"].tolist() == list(range(16))
    assert crops.roles["database"].tolist() == list(range(16, 60))
    assert crops.rows_of(np.array([29, 0])).tolist() == [0, 1, 58, 59]


def test_what_is_read_is_the_part_of_the_photo(squares: Path) -> None:
    photos = boxes_of(squares)
    for region in (WHOLE, TIGHT, MARGIN, SQUARE):
        crops = Crops(photos=photos, region=region)
        for row in (5, 4, 40):  # of two photos, one of them twice
            with Image.open(squares / f"{crops.photo_rows[row]:02}.png") as image:
                expected = image.crop(region.part(crops.boxes[row], *image.size))
                assert np.array_equal(np.asarray(crops.read(row)), np.asarray(expected))


def test_objects_of_one_photo_cost_one_decoding(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, read = boxes_of(squares), []
    original = photos.read
    monkeypatch.setattr(photos, "read", lambda row: read.append(row) or original(row))
    crops = Crops(photos=photos)
    for row in range(6):
        crops.read(row)
    assert read == [0, 1, 2]


def test_contents_differ_by_photo_and_by_box(squares: Path) -> None:
    crops, others = Crops(photos=boxes_of(squares)), Crops(photos=boxes_of(squares))
    hashes = [crops.content_hash(row) for row in range(len(crops))]
    assert len(set(hashes)) == len(crops)
    assert [others.content_hash(row) for row in range(len(crops))] == hashes


def test_it_goes_to_another_process(squares: Path) -> None:
    crops = Crops(photos=boxes_of(squares), region=SQUARE)
    image = crops.read(3)
    again = pickle.loads(pickle.dumps(crops))
    assert np.array_equal(np.asarray(again.read(3)), np.asarray(image))
    assert again.ids.tolist() == crops.ids.tolist()


def test_a_photo_that_cannot_be_read_has_no_objects(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    images = [{"file": name, "boxes": [["cat", 1, 1, 9, 9]]} for name in ("bad.png", "good.png")]
    (tmp_path / "annotations.json").write_text(json.dumps({"classes": ["cat"], "images": images}))
    crops = Crops(photos=JSONBoxes(root=tmp_path))
    assert crops.ids.tolist() == ["good.png#0"]
    assert list(crops.unusable) == ["bad.png"]
    (tmp_path / "good.png").write_bytes(b"gone")
    with pytest.raises(BadImageError):
        crops.read(0)


def test_negatives_have_no_objects(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "empty.png")
    (tmp_path / "annotations.json").write_text(
        json.dumps({"classes": ["cat"], "images": [{"file": "empty.png", "boxes": []}]})
    )
    crops = Crops(photos=JSONBoxes(root=tmp_path))
    assert len(crops) == 0
    assert crops.boxes.shape == (0, 4)
    assert crops.labels.dtype == np.int64
