import json

import pytest

from dqh.data.json_boxes import JSONBoxes
from dqh.errors import DataError
from tests.data.marked import BOXES, json_folder, said


def changed(root, **parts):
    file = root / "annotations.json"
    content = json.loads(file.read_text())
    for key, part in parts.items():
        content[key] = part(content[key]) if callable(part) else part
    file.write_text(json.dumps(content))
    return root


def test_a_file_without_lists(tmp_path):
    source = JSONBoxes(root=json_folder(tmp_path))
    assert source.ids.tolist() == [f"images/{name}.jpg" for name in "abcd"]
    assert source.class_names == ("person", "cow")
    assert said(source) == BOXES
    assert not source.boxes(0).difficult.any()
    assert source.roles == {}


def test_lists_hand_out_roles_and_order(tmp_path):
    root = json_folder(tmp_path)
    (root / "query.txt").write_text("images/d.jpg 0 1\n./images/b.jpg 0 0\n")
    (root / "train.txt").write_text("images/a.jpg\nimages/d.jpg\n")
    source = JSONBoxes(root=root, query="query.txt", train="train.txt")
    assert source.ids.tolist() == ["images/d.jpg", "images/b.jpg", "images/a.jpg"]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"query": [0, 1], "train": [0, 2]}


def test_what_lists_name_and_is_not_there(tmp_path):
    root = json_folder(tmp_path)
    (root / "train.txt").write_text("images/a.jpg\nimages/no.jpg 1 0\n../x.jpg\n")
    source = JSONBoxes(root=root, train="train.txt", max_bad_fraction=0.7)
    assert source.ids.tolist() == ["images/a.jpg"]
    assert source.unusable == {
        "train.txt:2": "'images/no.jpg' has no annotation in annotations.json",
        "train.txt:3": "'../x.jpg' has no annotation in annotations.json",
    }


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (7, "7, wanted an object with file and boxes"),
        ({"boxes": []}, "the photo is named None, wanted a path"),
        ({"file": "../x.jpg", "boxes": []}, "the path '../x.jpg' must lie below"),
        ({"file": "x.jpg"}, "boxes of 'x.jpg' are None, wanted a list; [] where nothing"),
        ({"file": "images/a.jpg", "boxes": []}, "'images/a.jpg' is annotated otherwise in annotations.json#images[0]"),
    ],
)
def test_photos_that_cannot_be_used_make_no_row(tmp_path, image, reason):
    root = changed(json_folder(tmp_path), images=lambda rows: [*rows, image])
    source = JSONBoxes(root=root, max_bad_fraction=0.3)
    assert said(source) == BOXES
    ((where, text),) = source.unusable.items()
    assert where == "annotations.json#images[4]"
    assert text.startswith(reason)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (7, "7, wanted [class, x0, y0, x1, y1]"),
        (["cow", 0, 0, 1], "['cow', 0, 0, 1], wanted"),
        ([3, 0, 0, 1, 1], "[3, 0, 0, 1, 1], wanted"),
        (["", 0, 0, 1, 1], "['', 0, 0, 1, 1], wanted"),
        (["cow", 0, 0, "1", 1], "a corner is '1', wanted a number"),
        (["cow", 0, 0, float("inf"), 1], "a coordinate is no finite number"),
        (["cow", 41, 0, 42, 1], "nothing of it lies in the photo of 40 × 30"),
    ],
)
def test_boxes_that_cannot_be_used_are_listed(tmp_path, box, reason):
    root = json_folder(tmp_path)
    changed(root, images=lambda rows: [rows[0] | {"boxes": [*rows[0]["boxes"], box]}, *rows[1:]])
    source = JSONBoxes(root=root, max_bad_fraction=0.3)
    assert said(source) == BOXES
    ((where, text),) = source.unusable_parts.items()
    assert where == "annotations.json#images[0].boxes[2]"
    assert text.startswith(reason)


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ({"classes": None}, "wanted a list under 'classes'"),
        ({"classes": ["cow", 7]}, "classes must be a list of names that differ and are not empty, got 7"),
        ({"classes": ["cow", "\ud800"]}, r"got '\\ud800'"),
        ({"classes": ["cow", "cow", "person"]}, "got one of them twice"),
        ({"images": []}, r"no images in .*annotations\.json$"),
        ({"classes": ["person", "cows"]}, r"'cow' \(2 boxes\); did you mean 'cows'\?"),
    ],
)
def test_files_that_are_none(tmp_path, parts, match):
    root = changed(json_folder(tmp_path), **parts)
    with pytest.raises(DataError, match=match):
        _ = JSONBoxes(root=root).labels


def test_files_that_are_missing(tmp_path):
    with pytest.raises(DataError, match=r"annotation file not found: looked for .*annotations\.json"):
        JSONBoxes(root=tmp_path)
    with pytest.raises(DataError, match=r"list file not found: looked for .*query\.txt"):
        JSONBoxes(root=json_folder(tmp_path), query="query.txt")
