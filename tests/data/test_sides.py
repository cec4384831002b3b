import numpy as np
import pytest
from PIL import Image

from dqh.data.image_folder import ImageFolder
from dqh.data.sides import LOOKED_AT, Sides, look_at_sides, may_be_photos, suitable_size
from tests.data.memory import Memory


def test_headers_are_looked_at_and_nothing_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    for number, size in enumerate([(40, 30), (30, 50), (90, 80)]):
        Image.new("RGB", size).save(tmp_path / "a" / f"{number}.png")
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    (tmp_path / "a" / "cut.jpg").write_bytes(b"")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    sides = look_at_sides(ImageFolder(root=tmp_path))
    assert sides == Sides(3, 30, 30, 80)
    assert str(sides) == "30 … 80 pixels in the 3 images looked at"


def test_few_of_many_are_looked_at(monkeypatch):
    looked = []
    monkeypatch.setattr(Memory, "shorter_side", lambda self, row: looked.append(row) or 16)
    sides = look_at_sides(Memory(np.zeros(10_000, int)))
    assert (len(looked), looked[0], looked[-1]) == (LOOKED_AT, 0, 9999)
    assert str(sides) == "16 pixels in the 64 images looked at"


def test_images_that_are_no_files_are_read():
    assert look_at_sides(Memory(np.zeros(3, int), side=(5, 7))) == Sides(3, 5, 5, 5)
    assert look_at_sides(Memory(np.zeros(3, int), bad=range(3))) is None


@pytest.mark.parametrize(
    ("median", "images", "size"), [(8, 100, 16), (28, 10**6, 28), (480, 5000, 64), (480, 5001, 32), (50, 100, 50)]
)
def test_sizes(median, images, size):
    assert suitable_size(Sides(1, median, median, median), images=images) == size


def test_a_size_where_nothing_can_be_read():
    assert suitable_size(None, images=10) == 64


@pytest.mark.parametrize(("side", "photos"), [((16, 16), False), ((64, 900), False), ((65, 90), True)])
def test_photos_are_larger_than_what_is_tiny(side, photos, monkeypatch):
    assert may_be_photos(Memory(np.zeros(3, int), side=side)) == photos
    assert not may_be_photos(Memory(np.zeros(3, int), side=side, bad=range(3)))
    monkeypatch.setattr(Memory, "size", min(side))
    assert may_be_photos(Memory(np.zeros(3, int), bad=range(3))) == photos
    monkeypatch.setattr(Memory, "kind", "vector")
    assert not may_be_photos(Memory(np.zeros(3, int), side=side))
