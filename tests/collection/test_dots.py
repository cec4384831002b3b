"""The object under a dot: of the index where it has the photo as it is, else of the detector."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.collection import index_images
from dqh.collection.dots import box_under, nearest_object
from dqh.collection.objects import Named, Part
from dqh.errors import BadImageError, NoDetectorError
from dqh.index.store import open_index, remove
from dqh.index.store.version import Version
from tests.collection.seer import GREEN, RED, Seer, photo, photos


@pytest.fixture
def version(artifact: Path, tmp_path: Path) -> Callable[[], Version]:
    """The newest one of an index of the photos of colours."""
    index_images(artifact, [photos(tmp_path / "photos")], tmp_path / "index", objects=Seer(), device="cpu")
    return lambda: open_index(tmp_path / "index").version


def not_asked() -> Named:
    raise AssertionError("the detector was asked for")


def test_a_photo_of_the_index_needs_no_detector(version: Callable, tmp_path: Path) -> None:
    both = str(tmp_path / "photos" / "a" / "both.png")
    assert box_under((2, 3), both, version=version(), detector=not_asked) == RED
    assert box_under((19.5, 29.5), both, version=version(), detector=not_asked) == RED
    assert box_under((30, 20), both, version=version(), detector=not_asked) == GREEN
    remove(tmp_path / "index", where="object = 'green'")
    with pytest.raises(BadImageError, match=r"the nearest is a red \(0.90\) in the box 2,3,20,30, 10 pixels away"):
        box_under((30, 20), both, version=version(), detector=not_asked)


def test_a_row_of_a_table_is_of_the_index_too(artifact: Path, tmp_path: Path) -> None:
    both = photos(tmp_path / "photos") / "a" / "both.png"
    pq.write_table(pa.table({"image": [both.read_bytes()]}), tmp_path / "t.parquet")
    index_images(artifact, [tmp_path / "t.parquet"], tmp_path / "table", objects=Seer(), device="cpu")
    version = open_index(tmp_path / "table").version
    assert box_under((30, 20), f"{tmp_path}/t.parquet#0", version=version, detector=not_asked) == GREEN


def test_a_changed_photo_and_one_from_elsewhere_are_shown_to_the_detector(version: Callable, tmp_path: Path) -> None:
    """The smallest of two boxes that hold the dot."""
    seer = Seer()
    both = photo(tmp_path / "photos" / "a" / "both.png", 4, red=RED, blue=(0, 0, 40, 40), green=(8, 8, 18, 18))
    other = photo(tmp_path / "query.png", 5, green=RED)
    for file, dot, wanted in ((both, (12, 12), (8, 8, 18, 18)), (both, (30, 30), (0, 0, 40, 40)), (other, (9, 9), RED)):
        assert box_under(dot, str(file), version=version(), detector=lambda: Named(seer, None)) == wanted
    assert seer.shown == 3


def test_an_index_without_objects_asks_the_detector(artifact: Path, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    index_images(artifact, [root], tmp_path / "plain", device="cpu")
    version, both = open_index(tmp_path / "plain").version, str(root / "a" / "both.png")
    assert box_under((30, 20), both, version=version, detector=lambda: Named(Seer(), None)) == GREEN
    with pytest.raises(NoDetectorError, match=r"plain was made without objects, and no detector is named; name one: -"):
        box_under((30, 20), both, version=version, detector=lambda: None)


@pytest.mark.parametrize(
    ("name", "dot", "message"),
    [
        ("a/both.png", (22, 20), r"both.png. cannot be used: no object is under the dot 22,20; the nearest is a "),
        ("a/both.png", (20.5, 20), r"the nearest is a red \(0.90\) in the box 2,3,20,30, 0 pixels away; put"),
        ("a/both.png", (48, 20), "the dot 48,20 lies outside its 48 × 40 pixels; give X,Y with 0 ≤ X < width"),
        ("a/both.png", (0, 40), "the dot 0,40 lies outside"),
        ("a/both.png", (-1, 0), "the dot -1,0 lies outside"),
        ("a/none.png", (5, 5), "no object is seen in it; search by all of it, or by a part: --box X0,Y0,X1,Y1"),
        ("fails.png", (5, 5), "fails.png' cannot be used: the detector fails on it: it does not like this photo"),
        ("a/missing.png", (5, 5), "missing.png' cannot be used: cannot be read: No such file"),
    ],
)
def test_a_dot_on_nothing(version: Callable, tmp_path: Path, name: str, dot: tuple, message: str) -> None:
    photo(tmp_path / "photos" / "fails.png", 5, fails=(0, 0, 4, 4))
    with pytest.raises(BadImageError, match=message):
        box_under(dot, str(tmp_path / "photos" / name), version=version(), detector=lambda: Named(Seer(), None))


def test_the_nearest_object() -> None:
    """The dot 5, 5 lies in both boxes, and 3 and 4 pixels from the corner 10, 9 of the only one left."""
    small, large = Part((4, 4, 8, 8), "cat", 0.5), Part((0, 0, 10, 9), "sofa", 0.9)
    assert nearest_object((5, 5), [large, small]) == (small, (4, 4, 8, 8), 0)
    assert nearest_object((13, 13), [large]) == (large, (0, 0, 10, 9), 5)
    assert nearest_object((5, 5), [Part()]) is None
