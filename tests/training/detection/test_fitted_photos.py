"""Photos in the square of a detector, with their boxes, mirrored where they lie; what cannot be read is told."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.data import JSONBoxes, Protocol
from dqh.errors import DataError, TooManyBadImagesError
from dqh.training.detection.fitted_photos import FittedPhotos, prepare_photos
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
    assert photos.widths[0] == 36


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
    assert photos.widths[row] == 18
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
