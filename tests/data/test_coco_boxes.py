import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.data.coco_boxes import COCOBoxes
from dqh.data.skipped import write_skipped
from dqh.errors import ConfigError, DataError, DqhError, TooManyBadImagesError
from tests.data.marked import BOXES, coco_folder, photo, said

KEYS = ["id", "file_name", "width", "height", "image_id", "category_id", "bbox", "iscrowd", "name"]


def changed(root, **parts):
    """The file with other parts; a function takes the part that is there."""
    file = root / "instances.json"
    content = json.loads(file.read_text())
    for key, part in parts.items():
        content[key] = part(content[key]) if callable(part) else part
    file.write_text(json.dumps(content))
    return root


def read(root, **more):
    return COCOBoxes(root=root, annotations="instances.json", images="photos", **more)


def test_one_file_without_roles(tmp_path):
    source = read(coco_folder(tmp_path))
    assert source.ids.tolist() == [f"photos/{name}.jpg" for name in "abcd"]
    assert source.class_names == ("person", "cow")  # by the ids of the categories
    assert said(source) == BOXES
    assert source.roles == {}


def test_a_file_for_each_role(tmp_path):
    """The photo `a` is in both files, of one folder, with the same boxes: one row with two roles."""
    coco_folder(tmp_path, {name: BOXES[name] for name in "ab"}, file="val.json", images="images")
    coco_folder(tmp_path, {name: BOXES[name] for name in "acd"}, file="train.json", images="images")
    files = {"query": "val.json", "train": "train.json"}
    source = COCOBoxes(root=tmp_path, annotations=files, images="images")
    assert source.ids.tolist() == [f"images/{name}.jpg" for name in "abcd"]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"query": [0, 1], "train": [0, 2, 3]}
    coco_folder(tmp_path, {"a": BOXES["c"], "c": BOXES["c"], "d": BOXES["d"]}, file="train.json", images="images")
    other = COCOBoxes(root=tmp_path, annotations=files, images="images", max_bad_fraction=0.5)
    assert other.unusable == {"train.json#images[0]": "'images/a.jpg' is annotated otherwise in val.json#images[0]"}


def test_a_folder_for_each_role(tmp_path):
    coco_folder(tmp_path, {name: BOXES[name] for name in "ab"}, file="val.json", images="val2017")
    coco_folder(tmp_path, {name: BOXES[name] for name in "ac"}, file="train.json", images="train2017")
    source = COCOBoxes(
        root=tmp_path,
        annotations={"train": "train.json", "query": "val.json"},
        images={"query": "val2017", "train": "train2017"},
    )
    assert source.ids.tolist() == ["train2017/a.jpg", "train2017/c.jpg", "val2017/a.jpg", "val2017/b.jpg"]


def test_a_crowd_is_difficult(tmp_path):
    root = changed(coco_folder(tmp_path), annotations=lambda rows: [rows[0] | {"iscrowd": 1}, *rows[1:]])
    assert read(root).boxes(0).difficult.tolist() == [True, False]


def test_texts_may_be_ids_and_flags_may_be_missing(tmp_path):
    root = changed(
        coco_folder(tmp_path),
        images=[{"id": "one", "file_name": "a.jpg"}],
        categories=[{"id": "x", "name": "cow"}],
        annotations=[{"image_id": "one", "category_id": "x", "bbox": [1, 2, 3, 4]}],
    )
    assert said(read(root)) == {"a": [("cow", 1, 2, 4, 6)]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]}, "image_id 5 is none of the images"),
        ({"image_id": [5], "category_id": 1, "bbox": [0, 0, 1, 1]}, "image_id [5] is none of the images"),
        ("text", "image_id None is none of the images"),
        ({"image_id": 100, "category_id": 1}, "bbox is None, wanted [x, y, width, height]"),
        ({"image_id": 100, "category_id": 1, "bbox": [0, 0, 1]}, "bbox is [0, 0, 1], wanted"),
        ({"image_id": 100, "category_id": 1, "bbox": [0, 0, "1", 1]}, "bbox is '1', wanted a number"),
        ({"image_id": 100, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 2}, "iscrowd is 2, wanted 0 or 1"),
        ({"image_id": 100, "category_id": 1, "bbox": [0, 0, -1, 1]}, "no area"),
        ({"image_id": 100, "category_id": 1, "bbox": [0, 0, float("nan"), 1]}, "a coordinate is no finite number"),
    ],
)
def test_objects_that_cannot_be_used_are_listed(tmp_path, row, reason):
    root = changed(coco_folder(tmp_path), annotations=lambda rows: [*rows, row])
    source = read(root, max_bad_fraction=0.5)
    assert said(source) == BOXES
    ((where, text),) = source.unusable_parts.items()
    assert where == "instances.json#annotations[4]"
    assert text.startswith(reason)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"id": 9, "file_name": "../../etc/passwd"}, "the path '../../etc/passwd' must lie below"),
        ({"id": 9, "file_name": "/etc/passwd"}, "the path '/etc/passwd' must lie below"),
        ({"id": 9}, "the photo is named None, wanted a path"),
        ({"id": 100, "file_name": "b.jpg"}, "its id 100 is that of an image above"),
        ({"id": [1], "file_name": "x.jpg"}, "its id is [1], wanted a number or a text"),
        ({"id": True, "file_name": "x.jpg"}, "its id is True, wanted"),
        (7, "its id is None, wanted"),
        ({"id": 9, "file_name": "./a.jpg"}, "'photos/a.jpg' is annotated otherwise in instances.json#images[0]"),
    ],
)
def test_images_that_cannot_be_used_make_no_row(tmp_path, image, reason):
    root = changed(coco_folder(tmp_path), images=lambda rows: [*rows, image])
    changed(root, annotations=lambda rows: [*rows, {"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}])
    source = read(root, max_bad_fraction=0.5)
    assert said(source) == BOXES
    assert list(source.unusable) == ["instances.json#images[4]"]
    assert source.unusable["instances.json#images[4]"].startswith(reason)
    with pytest.raises(TooManyBadImagesError, match="1 of 5 annotations"):
        _ = read(root).labels


def test_categories_that_are_not_there_are_told_together(tmp_path):
    root = changed(coco_folder(tmp_path), categories=[{"id": 1, "name": "person"}])
    with pytest.raises(
        DataError, match=r"1 class of .* is none of the 1 wanted \(person\):\n  'category_id 21' \(2 boxes\)"
    ):
        _ = read(root).labels
    source = read(coco_folder(tmp_path / "other"), classes=["cow"], max_bad_fraction=0.5)
    with pytest.raises(DataError, match=r"  'person' \(2 boxes\)"):
        _ = source.labels


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        (
            {"images": None},
            "wanted a list under 'images', got nothing; the keys are 'images', 'annotations', 'categories'",
        ),
        ({"annotations": {}}, "wanted a list under 'annotations', got a dict"),
        ({"categories": [7, {"id": 1}]}, r"categories\[0\] has the id None, .*categories\[1\] has the name None"),
        (
            {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}, {"id": 1, "name": "b"}]},
            r"categories\[1\], 2 'a', is there twice; categories\[2\], 1 'b', is there twice",
        ),
        ({"images": [], "annotations": []}, "no images in instances.json below"),
    ],
)
def test_files_that_are_none(tmp_path, parts, match):
    root = changed(coco_folder(tmp_path), **parts)
    with pytest.raises(DataError, match=match):
        _ = read(root).labels


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"annotations": {}}, "annotations: no file is given"),
        ({"annotations": {"gallery": "a.json"}}, "annotations: 'gallery' is no role; one of query, database"),
        (
            {"annotations": {"train": "a.json"}, "images": {"query": "b"}},
            "no folder for 'train'.*\n.*a folder for 'query'",
        ),
        ({"annotations": "a.json", "images": "../photos"}, "must be a folder below root"),
        ({"annotations": "a.json", "images": "/photos"}, "must be a folder below root"),
    ],
)
def test_values_that_are_impossible(tmp_path, options, match):
    with pytest.raises(ConfigError, match=match):
        COCOBoxes(root=tmp_path, **options)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"annotation file not found: looked for .*instances\.json"):
        read(tmp_path)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["a.jpg", "../a.jpg", "cow", "\ud800", ""]),
    lambda part: st.lists(part, max_size=5) | st.dictionaries(st.sampled_from(KEYS), part, max_size=5),
    max_leaves=12,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=st.lists(VALUES, max_size=3), annotations=st.lists(VALUES, max_size=3), categories=VALUES)
def test_whatever_a_file_holds_there_are_rows_or_an_error_of_ours(tmp_path, images, annotations, categories):
    """Beside one photo that is right: it stays, unless the whole file is refused."""
    if not (tmp_path / "right.jpg").exists():
        photo(tmp_path / "right.jpg")
    content = {
        "images": [{"id": "right", "file_name": "right.jpg"}, *images],
        "annotations": [{"image_id": "right", "category_id": "x", "bbox": [0, 0, 5, 5]}, *annotations],
        "categories": [{"id": "x", "name": "cow"}, *(categories if isinstance(categories, list) else [])],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    source = COCOBoxes(root=tmp_path, annotations="instances.json", max_bad_fraction=1.0)
    try:
        rows = source.ids.tolist()
    except DqhError:
        return
    assert source.boxes(rows.index("right.jpg")).boxes[0].tolist() == [0, 0, 5, 5]
    write_skipped(tmp_path / "skipped.csv", source, {})
