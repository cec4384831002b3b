"""Photos with boxes by one path: which kind of annotations lies there."""

import json
from pathlib import Path

import pytest
from PIL import Image

from dqh.data.box_place import boxes_at
from dqh.data.coco_boxes import COCOBoxes
from dqh.data.json_boxes import JSONBoxes
from dqh.data.voc_boxes import VOCBoxes
from dqh.errors import ConfigError, DataError

PLAIN = {"classes": ["cow"], "images": [{"file": f"{name}.png", "boxes": [["cow", 1, 2, 9, 8]]} for name in "ab"]}
COCO = {
    "images": [{"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 1, "name": "cow"}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 8, 6]}],
}
XML = (
    "<annotation><filename>a.png</filename><object><name>cow</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax>"
    "<ymax>8</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "ab":
        Image.new("RGB", (20, 16)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_json_file_and_its_folder(root: Path) -> None:
    (root / "annotations.json").write_text(json.dumps(PLAIN))
    for place in (root, root / "annotations.json"):
        photos = boxes_at(place)
        assert isinstance(photos, JSONBoxes)
        assert (photos.ids.tolist(), photos.boxes(0).boxes.tolist()) == (["a.png", "b.png"], [[1, 2, 9, 8]])


def test_a_list_a_map_and_a_root_elsewhere(root: Path) -> None:
    place = root / "elsewhere"
    place.mkdir()
    (place / "boxes.json").write_text(json.dumps(PLAIN))
    (place / "list.txt").write_text("b.png\n")
    (place / "map.csv").write_text("cow,bull\n")
    photos = boxes_at(place / "boxes.json", root=root, listed=place / "list.txt", class_map=place / "map.csv")
    assert (photos.ids.tolist(), photos.class_names) == (["b.png"], ("bull",))


def test_coco(root: Path) -> None:
    (root / "coco.json").write_text(json.dumps(COCO))
    photos = boxes_at(root / "coco.json")
    assert isinstance(photos, COCOBoxes)
    assert (photos.ids.tolist(), photos.boxes(0).boxes.tolist()) == (["a.png"], [[1, 2, 9, 8]])
    with pytest.raises(ConfigError, match="is of COCO, which a list does not choose from"):
        boxes_at(root / "coco.json", listed=root / "list.txt")


def test_voc(root: Path) -> None:
    for name in ("Annotations", "JPEGImages"):
        (root / name).mkdir()
    (root / "a.png").rename(root / "JPEGImages" / "a.png")
    (root / "Annotations" / "a.xml").write_text(XML)
    photos = boxes_at(root)
    assert isinstance(photos, VOCBoxes)
    assert photos.boxes(0).boxes.tolist() == [[1, 2, 9, 8]]
    with pytest.raises(ConfigError, match="has its photos in JPEGImages/"):
        boxes_at(root, root=root)


def test_nothing_of_the_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no boxes in .*: neither annotations.json nor Annotations/ is there; give a"):
        boxes_at(tmp_path)
    with pytest.raises(DataError, match=r"no boxes at .*none\.json; give a JSON file of boxes"):
        boxes_at(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="holds a JSON list"):
        boxes_at(tmp_path / "list.json")
