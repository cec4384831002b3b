"""Photos in the square of a detector, with their boxes, mirrored where they lie; what cannot be read is told."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.data import JSONBoxes, Protocol
from dqh.data.boxes import Boxes
from dqh.errors import DataError, TooManyBadImagesError
from dqh.training.detection.fitted_photos import FittedPhotos, fitted, prepare_photos
from tests.training.detection.shapes import shapes


def source_of(root: Path, **arguments) -> JSONBoxes:
    return JSONBoxes(root=root, query="query.txt", database="database.txt", **arguments)


def prepared(root: Path, **arguments):
    source = source_of(root, **arguments)
    split = Protocol("given", validation=3, seed=0).draw(source)
    return prepare_photos(source, split, 36, allow_duplicates=False, skipped_file=root / "skipped.csv", workers=0)


def test_boxes_are_fitted_with_their_photo(drawn_photos: Path) -> None:
    """Of 72 × 60 into 36 × 36: by half, with padding of 114 below row 30."""
    source = source_of(drawn_photos)
    photos = FittedPhotos(source, 36, memory_limit=10**6, workers=2)
    photos.load([0, 1])
    pixels = photos.pixels([0, 1])
    assert pixels.shape == (2, 3, 36, 36)
    assert (pixels[:, :, 30:] == 114).all()
    np.testing.assert_allclose(photos.truths[0].boxes, source.boxes(0).boxes / 2)
    assert photos.sizes[0] == (36, 30)


@pytest.mark.parametrize("limit", [0, 10**6])
def test_photos_are_read_again_where_memory_is_short(drawn_photos: Path, limit: int) -> None:
    photos = FittedPhotos(source_of(drawn_photos), 36, memory_limit=limit, workers=0)
    photos.load([2, 5])
    whole = FittedPhotos(source_of(drawn_photos), 36, memory_limit=10**6, workers=3)
    whole.load([2, 5])
    assert (photos.pixels([5, 2]) == whole.pixels([5, 2])).all()


def test_a_tall_photo_is_mirrored_where_it_lies(tmp_path: Path) -> None:
    root = shapes(tmp_path / "data", train=4, query=2)
    tall = np.zeros((60, 30, 3), np.uint8)
    tall[:, :15] = 200
    Image.fromarray(tall).save(root / "images" / "000.png")
    content = json.loads((root / "annotations.json").read_text())
    content["images"][0] |= {"width": 30, "boxes": []}
    (root / "annotations.json").write_text(json.dumps(content))
    source = source_of(root)
    row = source.ids.tolist().index("images/000.png")
    photos = FittedPhotos(source, 36, memory_limit=10**6, workers=0)
    photos.load([row])
    assert photos.sizes[row] == (18, 36)
    plain, other = photos.pixels([row])[0], photos.pixels([row], [True])[0]
    assert (other[:, :, :18] == plain[:, :, :18][:, :, ::-1]).all()
    assert (other[:, :, 18:] == 114).all()


def test_what_cannot_be_read_is_listed_and_left_out(tmp_path: Path) -> None:
    root = shapes(tmp_path / "data", train=12, query=3)
    (root / "images" / "002.png").write_bytes(b"no image")
    data = prepared(root, max_bad_fraction=0.2)
    usable = np.concatenate([data.roles.train, data.roles.validation])
    assert "images/002.png" not in data.source.ids[usable]
    assert len(usable) == 11
    assert "images/002.png" in (root / "skipped.csv").read_text()
    with pytest.raises(TooManyBadImagesError, match="1 of 15 images"):
        prepared(root, max_bad_fraction=0.01)


def test_photos_without_boxes_alone_teach_nothing(tmp_path: Path) -> None:
    root = shapes(tmp_path / "data", train=6, query=3)
    content = json.loads((root / "annotations.json").read_text())
    for image in content["images"][:6]:
        image["boxes"] = []
    (root / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="none of the 3 training photos of data has a box that can be used"):
        prepared(root)


def test_a_box_of_a_hair_s_breadth_that_rounding_empties_is_left_out() -> None:
    """4095.99976 … 4096 are two numbers in float32; their products with 224 / 6000 are one."""
    edge = np.nextafter(np.float32(4096), np.float32(0))
    marks = np.array([[edge, 0, 4096, 50], [0, 0, 600, 60]], np.float32)
    assert marks[0, 0] < marks[0, 2]
    _, boxes = fitted(np.zeros((60, 6000, 3), np.uint8), Boxes(marks, np.array([4, 7]), np.array([False, True])), 224)
    assert (boxes.classes.tolist(), boxes.difficult.tolist()) == ([7], [True])


def test_difficult_boxes_alone_teach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = shapes(tmp_path / "data", train=6, query=3)
    source = source_of(root)
    boxes = source.boxes
    monkeypatch.setattr(
        source, "boxes", lambda row: boxes(row)._replace(difficult=np.ones(len(boxes(row).classes), bool))
    )
    split = Protocol("given", validation=3, seed=0).draw(source)
    with pytest.raises(DataError, match=r"has a box that can be used; .* and not as difficult"):
        prepare_photos(source, split, 36, allow_duplicates=False, skipped_file=root / "skipped.csv", workers=0)


def test_queries_of_which_none_can_be_read_stop_a_run_before_it_trains(tmp_path: Path) -> None:
    root = shapes(tmp_path / "data", train=6, query=2)
    for number in (6, 7):
        (root / "images" / f"{number:03}.png").write_bytes(b"no image")
    source = source_of(root, max_bad_fraction=0.5)
    split = Protocol("given", validation=3, seed=0).draw(source)
    with pytest.raises(DataError, match="none of the 2 query images can be used"):
        prepare_photos(
            source,
            split,
            36,
            allow_duplicates=False,
            skipped_file=root / "skipped.csv",
            roles=("query", "train", "validation"),
            workers=0,
        )


def test_photos_that_are_asked_about_are_not_kept_and_kept_ones_can_be_let_go(drawn_photos: Path) -> None:
    source = source_of(drawn_photos)
    split = Protocol("given", validation=3, seed=0).draw(source)
    data = prepare_photos(
        source,
        split,
        36,
        allow_duplicates=False,
        skipped_file=drawn_photos.parent / "skipped.csv",
        roles=("query", "train", "validation"),
        workers=0,
    )
    assert sorted(data.inputs._kept) == sorted(np.concatenate([data.roles.train, data.roles.validation]).tolist())
    before = data.inputs.pixels(data.roles.train[:2].tolist())
    data.inputs.release()
    assert not data.inputs._kept
    assert (data.inputs.pixels(data.roles.train[:2].tolist()) == before).all()
