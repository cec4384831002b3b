"""What all sources with boxes share: clipping, classes, the frame of the boxes, and what cannot be used."""

import pickle

import numpy as np
import pytest

from dqh.data import Protocol, prepare
from dqh.data.annotations import Annotation, Annotations, Mark
from dqh.data.box_source import BoxSource
from dqh.data.images import Limits
from dqh.errors import BadImageError, ConfigError, DataError, LeakError, TooManyBadImagesError
from dqh.inputs import InputSpec
from tests.data.marked import photo


class Given(BoxSource):
    """With the annotations of a test."""

    def __init__(self, root, photos, *, classes=None, class_map=None, limit=1.0, roles=None, names=None, **more):
        super().__init__(
            root, None, otherwise="given", classes=classes, class_map=class_map, max_bad_fraction=limit, limits=Limits()
        )
        self._given = Annotations(list(photos), roles or {}, more.get("unusable", {}), more.get("stray", {}), names)

    def _annotations(self):
        return self._given


def marked(path, *boxes, size=(40, 30), where=None):
    """An annotation; each box is (name, x0, y0, x1, y1), and perhaps whether it is difficult."""
    where = where or f"{path}.xml"
    marks = tuple(
        Mark(f"{where}[{place}]", name, tuple(corners[:4]), bool(corners[4:] and corners[4]))
        for place, (name, *corners) in enumerate(boxes)
    )
    return Annotation(path, where, marks, size)


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate("abcd"):
        photo(tmp_path / f"{name}.jpg", seed=seed)
    return tmp_path


def test_rows_labels_and_boxes(root):
    photos = [
        marked("a.jpg", ("cow", -3, 1, 60, 9), ("person", 2, 3, 4, 5, True), ("cow", 0, 0, 1, 1)),
        marked("b.jpg"),
        marked("c.jpg", ("person", 0, 0, 40, 30), size=None),
    ]
    source = Given(root, photos, roles={"train": {"a.jpg", "c.jpg"}, "query": {"b.jpg"}})
    assert source.ids.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert source.class_names == ("cow", "person")
    assert source.labels.tolist() == [[True, True], [False, False], [False, True]]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"train": [0, 2], "query": [1]}
    boxes, classes, difficult = source.boxes(0)
    assert (boxes.dtype, classes.dtype, difficult.dtype) == (np.float32, np.int64, np.bool_)
    assert boxes.tolist() == [[0, 1, 40, 9], [2, 3, 4, 5], [0, 0, 1, 1]]
    assert classes.tolist() == [0, 1, 0]
    assert difficult.tolist() == [False, True, False]
    assert len(source.boxes(1).boxes) == 0  # a negative stays
    assert source.unusable == source.unusable_parts == {}
    assert pickle.loads(pickle.dumps(source)).boxes(0).boxes.tolist() == boxes.tolist()


def test_boxes_that_cannot_be_used_are_left_out_of_photos_that_stay(root):
    bad = Mark("a.xml[3]", "cow", fault="no xmin")
    first = marked("a.jpg", ("cow", 50, 0, 60, 9), ("cow", 0, 0, 9, 9), ("cow", 5, 5, 5, 9))
    source = Given(root, [first._replace(marks=(*first.marks, bad)), marked("b.jpg")], stray={"x": "no photo"})
    assert source.boxes(0).boxes.tolist() == [[0, 0, 9, 9]]
    assert dict(source.unusable_parts) == {
        "x": "no photo",
        "a.jpg.xml[0]": "nothing of it lies in the photo of 40 × 30 pixels: 50, 0, 60, 9",
        "a.jpg.xml[2]": "no area, as it ends before it begins: 5, 5, 5, 9; wanted x0 < x1 and y0 < y1",
        "a.xml[3]": "no xmin",
    }
    assert len(source) == 2
    photos = [marked("a.jpg", ("cow", 50, 0, 60, 9), *[("cow", 0, 0, 9, 9)] * 8)]
    assert len(Given(root, photos, limit=0.12).boxes(0).boxes) == 8
    with pytest.raises(TooManyBadImagesError, match=r"1 of 9 annotated objects of .* \(11.11%.*a\.jpg\.xml\[0\]: noth"):
        _ = Given(root, photos, limit=0.1).labels
    with pytest.raises(DataError, match=r"a\.jpg\.xml\[0\]: nothing of it"):
        _ = Given(root, [marked("a.jpg", ("cow", 50, 0, 60, 9))]).labels


def test_annotations_that_cannot_be_used_make_no_row(root):
    photos = [marked("a.jpg", ("cow", 0, 0, 9, 9)), marked("b.jpg", ("cow", 0, 0, 9, 9), size=(80, 60))]
    source = Given(root, photos, unusable={"c.xml": "no XML"})
    assert source.ids.tolist() == ["a.jpg"]
    assert dict(source.unusable) == {
        "c.xml": "no XML",
        "b.jpg.xml": "it is of a photo of 80 × 60 pixels, but 'b.jpg' has 40 × 30; give the photo it is of",
    }
    with pytest.raises(TooManyBadImagesError, match="2 of 3 annotations of"):
        _ = Given(root, photos, unusable={"c.xml": "no XML"}, limit=0.5).ids


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_of_the_upright_photo(tmp_path, orientation):
    """A photo that is stored as 40 × 30: of 5 … 8, the upright one is 30 × 40."""
    photo(tmp_path / "a.jpg", orientation=orientation)
    upright = (30, 40) if orientation > 4 else (40, 30)
    source = Given(tmp_path, [marked("a.jpg", ("cow", 0, 0, 99, 99), size=upright)])
    assert source.boxes(0).boxes.tolist() == [[0, 0, *upright]]
    assert source.read(0).size == upright
    if orientation > 4:
        stored = Given(
            tmp_path, [marked("a.jpg", ("cow", 0, 0, 99, 99)), marked("a.jpg", ("cow", 0, 0, 9, 9), size=None)]
        )
        assert stored.unusable["a.jpg.xml"] == (
            "its boxes are of 40 × 30 pixels as the file stores them, but 'a.jpg' stands upright at 30 × 40; turn the "
            "boxes, or take the orientation out of the EXIF of the photo"
        )


def test_photos_that_cannot_be_read_are_rows_without_known_boxes(root):
    (root / "b.jpg").write_bytes(b"")
    photos = [marked(f"{name}.jpg", ("cow", 0, 0, 9, 9)) for name in ("a", "b", "no")]
    source = Given(root, photos)
    assert source.labels.tolist() == [[True], [False], [False]]
    for row, reason in ((1, "empty"), (2, "cannot be read: No such file")):
        with pytest.raises(BadImageError, match=reason):
            source.boxes(row)
        with pytest.raises(BadImageError, match=reason):
            source.read(row)


def test_classes_may_be_given(root):
    photos = [marked("a.jpg", ("cow", 0, 0, 9, 9)), marked("b.jpg", ("person", 0, 0, 9, 9))]
    assert Given(root, photos, classes=["person", "bus", "cow"]).labels.tolist() == [
        [False, False, True],
        [True, False, False],
    ]
    assert Given(root, photos, names=("person", "cow", "zebra")).class_names == ("person", "cow", "zebra")
    with pytest.raises(DataError) as caught:
        _ = Given(root, [*photos, marked("c.jpg", *[("cows", 0, 0, 9, 9)] * 2)], classes=["person", "cowboy"]).labels
    assert str(caught.value).splitlines()[1:3] == [
        "  'cows' (2 boxes); did you mean 'cowboy'?",
        "  'cow' (1 box); did you mean 'cowboy'?",
    ]
    with pytest.raises(DataError, match=r"1 class of .* is none of the 1 wanted"):
        _ = Given(root, photos, names=("person",)).labels
    with pytest.raises(DataError, match=r"no classes: no box in 1 photo of .*; give classes"):
        _ = Given(root, [marked("b.jpg")]).labels
    assert Given(root, [marked("b.jpg")], classes=["cow"]).labels.tolist() == [[False]]
    for classes, got in ((["a", "a"], "'a' twice"), ([""], "an empty name"), ([], "none")):
        with pytest.raises(ConfigError, match=f"classes must be names that differ and are not empty, got {got}"):
            Given(root, photos, classes=classes)


def test_classes_of_two_vocabularies_are_mapped_by_a_file(root):
    (root / "map.csv").write_text("motorcycle,motorbike\nzebra,\n")
    photos = [
        marked("a.jpg", ("motorcycle", 0, 0, 9, 9), ("zebra", 0, 0, 5, 5), ("motorbike", 1, 1, 2, 2)),
        marked("b.jpg", ("zebra", 0, 0, 5, 5)),
    ]
    source = Given(root, photos, class_map="map.csv", classes=["cow", "motorbike"])
    assert source.boxes(0).classes.tolist() == [1, 1]
    assert source.boxes(0).boxes.tolist() == [[0, 0, 9, 9], [1, 1, 2, 2]]
    assert len(source.boxes(1).boxes) == 0
    assert source.unusable_parts == {}  # left out is not unusable
    assert Given(root, photos, class_map=str(root / "map.csv")).class_names == ("motorbike",)
    assert Given(root, photos, class_map="map.csv", names=("zebra", "motorcycle", "cow", "motorbike")).class_names == (
        "motorbike",
        "cow",
    )
    with pytest.raises(DataError, match="class map not found"):
        Given(root, photos, class_map="no.csv")


def test_the_hash_tells_other_boxes(root):
    photos = [marked("a.jpg", ("cow", 0, 0, 9, 9), ("cow", 1, 1, 3, 3)), marked("b.jpg")]
    same, moved, harder, fewer, named = (
        Given(root, photos),
        Given(root, [marked("a.jpg", ("cow", 0, 0, 9, 9), ("cow", 1, 1, 3, 4)), marked("b.jpg")]),
        Given(root, [marked("a.jpg", ("cow", 0, 0, 9, 9), ("cow", 1, 1, 3, 3, True)), marked("b.jpg")]),
        Given(root, [marked("a.jpg", ("cow", 0, 0, 9, 9)), marked("b.jpg", ("cow", 1, 1, 3, 3))]),
        Given(root, photos, classes=["cow", "dog"]),
    )
    hashes = [source.boxes_sha256 for source in (Given(root, photos), same, moved, harder, fewer, named)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 5
    assert len(hashes[0]) == 64


def test_splits_leaks_and_the_list_of_what_is_skipped(root, tmp_path):
    """Sixteen photos, one of them empty, one with a box outside: splits are drawn and known again as elsewhere."""
    names = [f"p{number}.jpg" for number in range(16)]
    for seed, name in enumerate(names):
        photo(root / name, seed=10 + seed)
    (root / names[3]).write_bytes(b"")
    photos = [marked(name, (("cow", "person")[place % 2], 0, 0, 9, 9)) for place, name in enumerate(names)]
    photos[5] = marked(names[5], ("person", 0, 0, 9, 9), ("cow", 99, 0, 100, 9))
    source = Given(root, photos, limit=0.2)
    split = Protocol("counts", query=4, train=8).draw(source)
    data = prepare(
        source, split, InputSpec(size=8, resize=8), allow_duplicates=False, skipped_file=tmp_path / "skipped.csv"
    )
    assert sum(len(rows) for rows in (data.roles.query, data.roles.database)) == 15
    assert (tmp_path / "skipped.csv").read_text().splitlines() == [
        "path,reason",
        "p3.jpg,empty (0 bytes)",
        'p5.jpg.xml[1],"nothing of it lies in the photo of 40 × 30 pixels: 99, 0, 100, 9"',
    ]
    assert split.recognisable(source).differences(Given(root, photos, limit=0.2)) == []
    other = [marked(names[0], ("person", 0, 0, 9, 9)), *photos[1:]]
    assert split.recognisable(source).differences(Given(root, other, limit=0.2)) == ["labels"]
    split_rows = split.rows(source)
    query, twin = (next(row for row in rows.tolist() if row != 3) for rows in (split_rows.query, split_rows.database))
    (root / names[twin]).write_bytes((root / names[query]).read_bytes())
    with pytest.raises(LeakError, match="have the same content as an image in"):
        prepare(source, split, InputSpec(size=8, resize=8), allow_duplicates=False, skipped_file=tmp_path / "s.csv")


def test_a_box_alone_makes_a_list_of_what_is_skipped(root, tmp_path):
    photos = [marked(f"{name}.jpg", ("cow", 0, 0, 9, 9), ("cow", 99, 0, 100, 9)) for name in "abcd"]
    source = Given(root, photos, classes=["cow", "dog"])
    split = Protocol("counts", query=1).draw(source)
    prepare(source, split, InputSpec(size=8, resize=8), allow_duplicates=False, skipped_file=tmp_path / "skipped.csv")
    assert len((tmp_path / "skipped.csv").read_text().splitlines()) == 5
