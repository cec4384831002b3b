import pytest

from dqh.data.listing import ImageWalk
from dqh.data.voc_boxes import VOCBoxes
from dqh.errors import ConfigError, DataError, TooManyBadImagesError
from tests.data.marked import BOXES, photo, said, voc_folder, voc_text


def test_folders_without_lists(tmp_path):
    source = VOCBoxes(root=voc_folder(tmp_path))
    assert source.ids.tolist() == [f"JPEGImages/{name}.jpg" for name in "abcd"]
    assert source.class_names == ("cow", "person")
    assert said(source) == BOXES
    assert source.roles == {}
    assert source.labels.tolist() == [[True, True], [False, False], [False, True], [True, False]]
    assert len(source.content_hash(0)) == 16
    assert source.name == tmp_path.name


def test_corners_may_be_edges(tmp_path):
    root = voc_folder(tmp_path)
    for name, boxes in BOXES.items():
        (root / "Annotations" / f"{name}.xml").write_text(voc_text(name, boxes, first_pixel=0))
    assert said(VOCBoxes(root=root, first_pixel=0)) == BOXES


def test_lists_hand_out_roles_and_order(tmp_path):
    root = voc_folder(tmp_path, BOXES | {"my photo": [("cow", 0, 0, 5, 5)], "x 1": [("cow", 0, 0, 5, 5)]})
    (root / "ImageSets" / "Main" / "val.txt").write_text("d\n\nmy photo\nb  -1\n")
    (root / "train.txt").write_text("a  1\nd\t0\nx 1\n")
    source = VOCBoxes(root=root, query="ImageSets/Main/val.txt", train="train.txt")
    assert source.ids.tolist() == [f"JPEGImages/{name}.jpg" for name in ("d", "my photo", "b", "a", "x 1")]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"query": [0, 1, 2], "train": [0, 3, 4]}
    assert source.unusable == {}


def test_what_lists_name_and_is_not_there(tmp_path):
    root = voc_folder(tmp_path)
    (root / "Annotations" / "b.xml").unlink()
    (root / "Annotations" / "c.xml").write_text("<annotation>")
    (root / "JPEGImages" / "d.jpg").unlink()
    (root / "list.txt").write_text("a\nb\nc\nd\nno\n../../etc/passwd\n/etc/passwd\nc\n")
    source = VOCBoxes(root=root, train="list.txt", max_bad_fraction=0.9)
    assert source.ids.tolist() == ["JPEGImages/a.jpg"]
    assert list(source.unusable) == [
        "list.txt:2",
        "Annotations/c.xml",
        "Annotations/d.xml",
        *(f"list.txt:{n}" for n in (5, 6, 7)),
    ]
    reasons = list(source.unusable.values())
    assert reasons[0].startswith("no annotation Annotations/b.xml; where that means that nothing is in the photo")
    assert reasons[1].startswith("no XML that can be read")
    assert reasons[2:] == [
        f"no photo JPEGImages/{name}.jpg, nor one of another suffix"
        for name in ("d", "no", "../../etc/passwd", "/etc/passwd")
    ]
    with pytest.raises(TooManyBadImagesError, match="6 of 7 annotations"):
        _ = VOCBoxes(root=root, train="list.txt").labels


def test_photos_without_a_file_may_be_negatives(tmp_path):
    root = voc_folder(tmp_path)
    (root / "Annotations" / "b.xml").unlink()
    assert VOCBoxes(root=root, max_bad_fraction=0.3).unusable.keys() == {"JPEGImages/b.jpg"}
    source = VOCBoxes(root=root, unannotated="negative")
    assert said(source) == BOXES
    assert source.unusable == {}


def test_the_photo_is_the_image_of_the_same_name(tmp_path):
    """Of two, the one that the annotation names; what is no image, and what file managers keep, is none."""
    root = voc_folder(tmp_path)
    photo(root / "JPEGImages" / "a.png")
    photo(root / "JPEGImages" / "c.png")
    (root / "JPEGImages" / "c.jpg").unlink()
    (root / "JPEGImages" / "d.txt").write_text("text")
    photo(root / "JPEGImages" / "._d.jpg")
    (root / "Annotations" / "._a.xml").write_text("no XML")
    (root / "Annotations" / "notes.txt").write_text("no XML")
    source = VOCBoxes(root=root)
    assert source.ids.tolist() == [f"JPEGImages/{name}" for name in ("a.jpg", "b.jpg", "c.png", "d.jpg")]
    (root / "Annotations" / "a.xml").write_text(voc_text("../../other", BOXES["a"]))
    source = VOCBoxes(root=root, max_bad_fraction=0.3)
    assert dict(source.unusable) == {
        "Annotations/a.xml": "2 photos of this name, a.jpg, a.png, and the annotation calls its own '../../other.jpg'"
    }
    (root / "Annotations" / "a.xml").unlink()
    source = VOCBoxes(root=root, max_bad_fraction=0.3, unannotated="negative")
    assert list(source.unusable) == ["JPEGImages/a.jpg"]
    assert "no annotation that tells its own" in source.unusable["JPEGImages/a.jpg"]


def test_annotations_that_are_no_files(tmp_path):
    root = voc_folder(tmp_path)
    (root / "Annotations" / "b.xml").unlink()
    (root / "Annotations" / "b.xml").mkdir()
    source = VOCBoxes(root=root, max_bad_fraction=0.3)
    assert source.unusable == {"Annotations/b.xml": "cannot be read: Is a directory"}


def test_other_folders(tmp_path):
    root = voc_folder(tmp_path)
    (root / "JPEGImages").rename(root / "photos")
    (root / "Annotations").rename(root / "boxes")
    assert said(VOCBoxes(root=root, images="photos", annotations="boxes")) == BOXES
    with pytest.raises(
        DataError, match=r"folder not found: looked for .*Annotations, .*JPEGImages; put the files there"
    ):
        VOCBoxes(root=root)


def test_values_that_are_impossible(tmp_path):
    root = voc_folder(tmp_path)
    with pytest.raises(ConfigError) as caught:
        VOCBoxes(root=root, unannotated="skip", first_pixel=2)
    assert caught.value.problems == (
        "unannotated must be unusable or negative, got 'skip'",
        "first_pixel must be 0 or 1, got 2",
    )
    with pytest.raises(DataError, match=r"list file not found: looked for .*no\.txt"):
        VOCBoxes(root=root, train="no.txt")
    (root / "empty").mkdir()
    with pytest.raises(DataError, match=r"no XML files in .*empty, and no images beside them"):
        _ = VOCBoxes(root=root, annotations="empty", images="empty").ids


@pytest.mark.parametrize("backwards", [False, True])
def test_of_two_annotations_of_a_name_it_is_not_the_disk_that_chooses(tmp_path, monkeypatch, backwards):
    root = voc_folder(tmp_path)
    (root / "Annotations" / "a.XML").write_text(voc_text("a", BOXES["c"]))
    plain = ImageWalk.entries

    def entries(self, folder):
        return sorted(plain(self, folder), key=lambda entry: entry.name, reverse=backwards)

    monkeypatch.setattr(ImageWalk, "entries", entries)
    assert said(VOCBoxes(root=root)) == BOXES
