import json

import pytest

from dqh.data import annotations
from dqh.data.annotations import Annotation, AnnotationError, Collected, Mark, list_at, number, photo_path, read_json
from dqh.errors import DataError


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("", "a/1.jpg", "a/1.jpg"),
        ("train", "./1.jpg", "train/1.jpg"),
        ("a/b", "../b/1.jpg", None),
        ("", "a/../1.jpg", "1.jpg"),
    ],
)
def test_paths_of_photos_stay_in_their_folder(folder, name, path):
    if path is None:
        with pytest.raises(AnnotationError, match="must lie below the folder"):
            photo_path(folder, name)
    else:
        assert photo_path(folder, name) == path


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../1.jpg", "a/../../1.jpg", "..", "a\0.jpg", "a\ud800.jpg", "", None, 7, ["a"]]
)
def test_paths_that_lead_elsewhere_are_faults(name):
    with pytest.raises(AnnotationError, match=r"must lie below|wanted a path|half a character"):
        photo_path("images", name)


def test_bytes_of_names_on_the_disk_are_kept():
    assert photo_path("", "caf\udce9.jpg") == "caf\udce9.jpg"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"[1, 2]", "holds a JSON list, wanted an object"),
        (b"{", "is no JSON that can be read"),
        (b"\xff\xfe{", "is no JSON that can be read"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is no JSON that can be read"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is no JSON that can be read"),
    ],
)
def test_what_is_no_json_object(tmp_path, content, match):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_json(tmp_path / "a.json")


def test_files_that_are_missing_too_large_or_no_files(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"annotation file not found: looked for .*a\.json"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="is a folder where a file is wanted"):
        read_json(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps({"images": []}))
    monkeypatch.setattr(annotations, "MAX_JSON", 3)
    with pytest.raises(DataError, match="more than 3 bytes"):
        read_json(tmp_path / "a.json")


def test_lists_by_key(tmp_path):
    assert list_at({"images": [1]}, "images", tmp_path) == [1]
    with pytest.raises(DataError, match=r"wanted a list under 'images', got a dict; the keys are 'images', 'b'"):
        list_at({"images": {}, "b": 1}, "images", tmp_path)
    with pytest.raises(DataError, match="got nothing; the keys are none"):
        list_at({}, "images", tmp_path)


@pytest.mark.parametrize("value", [True, "1", None, [1], 10**400])
def test_what_is_no_number(value):
    assert number(3, "x") == 3.0
    with pytest.raises(AnnotationError, match=r"^x is "):
        number(value, "x")


def test_annotations_of_one_photo_must_agree():
    collected = Collected(["train", "query"])
    first = Annotation("1.jpg", "a", (Mark("a[0]", "cow", (0, 0, 1, 1)),))
    collected.add(first, "train")
    collected.add(first._replace(where="b", marks=(first.marks[0]._replace(where="b[0]"),)), "query")
    collected.add(first._replace(where="c", marks=()), "query")
    read = collected.as_read(None)
    assert read.photos == [first]
    assert read.roles == {"train": {"1.jpg"}, "query": {"1.jpg"}}
    assert read.unusable == {"c": "'1.jpg' is annotated otherwise in a"}
