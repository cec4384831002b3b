import numpy as np
import pytest
from PIL import Image

from dqh.data.image_list import ImageList
from dqh.errors import ConfigError, DataError


def write(root, **lists):
    for role, text in lists.items():
        (root / f"{role}.txt").write_text(text)
    return ImageList(root=root, **{role: f"{role}.txt" for role in lists})


def test_lists_become_rows_with_roles(tmp_path):
    source = write(
        tmp_path,
        query="images/a 1.jpg 1 0 1\n\n",
        database="./images/b.jpg 0 1 0\r\nimages/c.jpg\t0  0 0\n",
        train="images/b.jpg 0 1 0",
    )
    assert source.ids.tolist() == ["images/a 1.jpg", "images/b.jpg", "images/c.jpg"]
    assert source.labels.tolist() == [[True, False, True], [False, True, False], [False, False, False]]
    assert source.labels.dtype == np.bool_
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {
        "query": [0],
        "database": [1, 2],
        "train": [1],
    }
    assert source.class_names == ("0", "1", "2")


def test_images_are_read_below_root(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (3, 2), (9, 8, 7)).save(tmp_path / "images/b c.png")
    source = write(tmp_path, query="images/b c.png 1")
    assert source.read(0).getpixel((0, 0)) == (9, 8, 7)
    assert len(source.content_hash(0)) == 16


def test_names_that_are_no_utf8_are_kept(tmp_path):
    (tmp_path / "query.txt").write_bytes(b"caf\xe9.jpg 1\n")
    assert ImageList(root=tmp_path, query="query.txt").ids.tolist() == ["caf\udce9.jpg"]


def test_class_names_may_be_given(tmp_path):
    (tmp_path / "query.txt").write_text("a.jpg 1 0")
    assert ImageList(root=tmp_path, query="query.txt", classes=["cat", "dog"]).class_names == ("cat", "dog")
    with pytest.raises(DataError, match="got 1 names, the lists have 2 labels"):
        _ = ImageList(root=tmp_path, query="query.txt", classes=["cat"]).class_names


@pytest.mark.parametrize(
    ("lists", "match"),
    [
        ({"query": "a.jpg 1 0\nb.jpg 1"}, r"query\.txt:2: 1 labels, but .*query\.txt:1 has 2"),
        (
            {"query": "a.jpg 1 0", "train": "b.jpg 0 0\na.jpg 0 1"},
            r"train\.txt:2: labels 01 of 'a.jpg' differ from 10 at",
        ),
        ({"query": "a.jpg"}, r"query\.txt:1: no labels at the end of 'a.jpg'"),
        ({"query": "a.jpg 2"}, r"query\.txt:1: no labels"),
        ({"query": "../a.jpg 1"}, "must lie below root"),
        ({"query": "b/../../a.jpg 1"}, "must lie below root"),
        ({"query": "/etc/passwd 1"}, "must lie below root"),
        ({"query": "\n \n"}, "no lines in"),
    ],
)
def test_wrong_lists_name_file_and_line(tmp_path, lists, match):
    source = write(tmp_path, **lists)
    with pytest.raises(DataError, match=match):
        len(source)


def test_missing_lists_are_named(tmp_path):
    with pytest.raises(DataError, match=r"list file not found: looked for .*absent\.txt"):
        ImageList(root=tmp_path, query="absent.txt")
    with pytest.raises(ConfigError, match="at least one of query"):
        ImageList(root=tmp_path)
