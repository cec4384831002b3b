import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.data.image_list import ImageList
from dqh.errors import ConfigError, DataError, TooManyBadImagesError


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


@pytest.mark.parametrize(
    ("text", "options", "names", "labels"),
    [
        ("a 1.jpg 3\nb.jpg 90007\nc.jpg 3", {}, ("3", "90007"), [0, 1, 0]),
        ("a.jpg 1\nb.jpg 0\nc.jpg 1", {}, ("0", "1"), [1, 0, 1]),
        ("a.jpg 1\nb.jpg 2\nc.jpg 1", {}, ("1", "2"), [0, 1, 0]),
        ("a 1.jpg hat\nb.jpg shoe\nc.jpg hat", {}, ("hat", "shoe"), [0, 1, 0]),
        ("a.jpg\t3\nb.jpg\t20\nc.jpg\t3", {}, ("3", "20"), [0, 1, 0]),
        ("a, 1.jpg 3\nb.jpg 20\nc.jpg 3", {}, ("3", "20"), [0, 1, 0]),
        ("a.jpg, 3, 1\nb.jpg, 2, 1\nc.jpg, 3, 1", {"label": 1}, ("2", "3"), [1, 0, 1]),
        ("a.jpg;big hat;x\nb.jpg;shoe;x\nc.jpg;big hat;x", {"label": 1}, ("big hat", "shoe"), [0, 1, 0]),
        ("a 1.jpg hat 7\nb.jpg shoe 8\nc.jpg hat 7", {"label": 2}, ("7", "8"), [0, 1, 0]),
        ("path,fine,coarse\na.jpg,3,x\nb.jpg,4,x\nc.jpg,3,y", {"label": "fine"}, ("3", "4"), [0, 1, 0]),
        ("path,fine,coarse\na.jpg,3,x\nb.jpg,4,x\nc.jpg,3,y", {"label": "coarse"}, ("x", "y"), [0, 0, 1]),
        ('label;"File"\nhat;"a;1.jpg"\nshoe;b.jpg\nhat;c.jpg', {}, ("hat", "shoe"), [0, 1, 0]),
        ("hat,a.jpg\nshoe,b.jpg\nhat,c.jpg", {"label": 0, "delimiter": ","}, ("hat", "shoe"), [0, 1, 0]),
        ("Class Where\nhat a\nshoe b\nhat c", {"label": "Class", "path": "Where"}, ("hat", "shoe"), [0, 1, 0]),
        ("1,one,0\n2,two,1\n3,one,0", {"label": 2, "delimiter": ","}, ("0", "1"), [0, 1, 0]),
        ("a.jpg 1\nb.jpg 0\nc.jpg 1", {"classes": ["cat", "dog", "fox"]}, ("cat", "dog", "fox"), [1, 0, 1]),
        ("a.jpg fox\nb.jpg dog\nc.jpg fox", {"classes": ["fox", "dog"]}, ("fox", "dog"), [0, 1, 0]),
    ],
)
def test_one_column_is_the_class(tmp_path, text, options, names, labels):
    (tmp_path / "all.csv").write_text(text)
    source = ImageList(root=tmp_path, database="all.csv", **options)
    assert source.class_names == names
    assert source.labels.dtype == np.int64
    assert source.labels.tolist() == labels
    assert len(source.ids) == 3


def test_a_header_names_the_labels_of_several_columns(tmp_path):
    source = write(tmp_path, query="file,cat,dog\na.jpg,1,1\nb.jpg,0,1", train="file,cat,dog\nc.jpg,0,0")
    assert source.class_names == ("cat", "dog")
    assert source.labels.tolist() == [[True, True], [False, True], [False, False]]


def test_a_path_that_is_listed_again_is_told(tmp_path, caplog):
    source = write(tmp_path, query="a.jpg 3\nb.jpg 4\n\na.jpg 3\nb.jpg 4", train="c.jpg 3\na.jpg 3")
    assert len(source) == 3
    assert caplog.messages == [
        f"{tmp_path}/query.txt names 2 paths again, such as 'a.jpg' in the lines 1 and 4; an image counts once"
    ]


@pytest.mark.parametrize(
    ("classes", "text", "match"),
    [
        (["cat", "dog"], "a.jpg 0\nb.jpg 2", r"query\.txt:2: the class '2' is none of the 2 .* numbered from 0 to 1"),
        (["cat", "dog"], "a.jpg cat\nb.jpg fox", r"query\.txt:2: the class 'fox' is none of the 2 .* add it there"),
    ],
)
def test_a_class_without_a_given_name_is_refused(tmp_path, classes, text, match):
    (tmp_path / "query.txt").write_text(text)
    with pytest.raises(DataError, match=match):
        _ = ImageList(root=tmp_path, query="query.txt", classes=classes).labels


def test_columns_that_are_not_there_are_told(tmp_path):
    (tmp_path / "query.txt").write_text("path,kind\na.jpg,hat")
    for label, match in {
        "class": "no column 'class'; the header has 'path', 'kind'",
        5: "no column 5 among 2, which are counted from 0: 'a.jpg,hat'",
    }.items():
        with pytest.raises(DataError, match=match):
            len(ImageList(root=tmp_path, query="query.txt", label=label))
    with pytest.raises(ConfigError, match=r"number from 0, got -1\ndelimiter must be one sign.*got ', '"):
        ImageList(root=tmp_path, query="query.txt", label=-1, delimiter=", ")
    with pytest.raises(ConfigError, match="label and path are both column 1"):
        ImageList(root=tmp_path, query="query.txt", label=1, path=1)


def test_class_names_may_be_given(tmp_path):
    (tmp_path / "query.txt").write_text("a.jpg 1 0")
    assert ImageList(root=tmp_path, query="query.txt", classes=["cat", "dog"]).class_names == ("cat", "dog")
    with pytest.raises(DataError, match="got 1 names, the lists have 2 labels"):
        _ = ImageList(root=tmp_path, query="query.txt", classes=["cat"]).class_names


@pytest.mark.parametrize(
    ("lists", "match"),
    [
        ({"query": "a.jpg 1 0\nb.jpg 1"}, r"query\.txt:2: 1 label behind 'b.jpg', but most lines have 2"),
        (
            {"query": "a.jpg 1 0", "train": "b.jpg 0 0\na.jpg 0 1"},
            r"train\.txt:2: labels 01 of 'a.jpg' differ from 10 at",
        ),
        ({"query": "a.jpg"}, r"query\.txt:1: no labels behind 'a.jpg'; a line is `path class` or"),
        ({"query": "a.jpg 3 1"}, r"query\.txt:1: labels 3, 1; several columns .* the class: data.label=1 … 2"),
        ({"query": "path,w,h\na.jpg,3,1"}, r"query\.txt:2: labels 3, 1; .* data.label=1 … 2 or w, h"),
        ({"query": "a.jpg -1\nb.jpg 2"}, r"query\.txt:1: the class -1; class numbers must be at least 0; leave"),
        ({"query": "path,c\na.jpg,1", "train": "b.jpg 0"}, r"train\.txt:1: the header names nothing, .*:2 c"),
        ({"query": "path,c\na.jpg"}, r"query\.txt:2: 1 column, but the header has 2: 'a.jpg'"),
        ({"query": "a.jpg,x\nb.jpg,"}, r"query\.txt:2: no labels behind 'b.jpg'"),
        ({"query": 'a.jpg,x\n"b.jpg,y'}, r"query\.txt:2: no line of a CSV file .*: '\"b.jpg,y'"),
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


BAD = {
    "c.jpg 1\n": "1 label behind 'c.jpg', but most lines have 2",
    "c.jpg 1 0 1 1 0\n": "5 labels behind 'c.jpg', but most lines have 2",
    "c.jpg 1 2\n": "labels 1, 2; several columns hold a 0 or 1",
    "c\0.jpg 1 0\n": "the character NUL",
    "c/" * 2500 + "c.jpg 1 0\n": "a path of 5005 bytes, above 4096",
    "c" * 252 + ".jpg 1 0\n": "a name of 256 letters in the path, above 255",
    "../c.jpg 1 0\n": "must lie below root",
    "b.jpg 0 0\n": "labels 00 of 'b.jpg' differ from 01",
}


@pytest.mark.parametrize(("line", "fault"), BAD.items())
@pytest.mark.parametrize("at", [0, 50])
def test_a_bad_line_is_one_unusable_image(tmp_path, line, fault, at):
    """Also where it is the first one: what most lines say counts."""
    good = ["b.jpg 0 1\n", *(f"{number}.jpg 1 0\n" for number in range(198))]
    at = at + 1 if "b.jpg" in line else at
    source = write(tmp_path, query="".join([*good[:at], line, *good[at:]]), train="a.jpg 1 1")
    assert len(source) == 200
    assert list(source.unusable) == [f"{tmp_path}/query.txt:{at + 1}"]
    assert fault in source.unusable[f"{tmp_path}/query.txt:{at + 1}"]
    assert len(source.roles["query"]) == 199
    assert source.labels[source.ids.tolist().index("b.jpg")].tolist() == [False, True]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("c.jpg 1234567890123456789\n", "a class number of 19 digits, above 18"),
        ("c.jpg -1\n", "the class -1; class numbers must be at least 0"),
        ("c.jpg\n", "no labels behind 'c.jpg'"),
        ("c.jpg caf\udce9\n", r"the label 'caf\udce9' is not UTF-8; write the list anew, from Latin-1 by iconv -f ISO"),
    ],
)
def test_a_bad_class_is_one_unusable_image(tmp_path, line, fault):
    text = "".join([f"{number}.jpg {number % 10}\n" for number in range(199)] + [line])
    (tmp_path / "query.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    source = ImageList(root=tmp_path, query="query.txt")
    assert source.class_names == tuple("0123456789")
    assert fault in source.unusable[f"{tmp_path}/query.txt:200"]
    with pytest.raises(TooManyBadImagesError, match=r"1 of 200 lines of test_a_bad_.* \(0.50%, above .*=0.004\)"):
        _ = ImageList(root=tmp_path, query="query.txt", max_bad_fraction=0.004).labels


def test_a_list_without_one_usable_line_is_refused(tmp_path):
    source = ImageList(root=write(tmp_path, query="a.jpg\nb.jpg")._files.root, query="query.txt", max_bad_fraction=1)
    with pytest.raises(DataError, match=r"query\.txt:1: no labels .*\(and so on: no line can be used\)"):
        _ = source.labels


@pytest.mark.slow
def test_one_long_name_does_not_make_all_labels_long(tmp_path):
    text = "".join([f"{number}.jpg hat\n" for number in range(10_000)] + [f"x.jpg {'s' * 30_000}\n"])
    (tmp_path / "query.txt").write_text(text)
    source = ImageList(root=tmp_path, query="query.txt")
    tracemalloc.start()
    assert len(source.class_names) == 2
    assert tracemalloc.get_traced_memory()[1] < 100e6  # 1.2 GB as an array of texts
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "what"),
    [(os.mkfifo, "a named pipe"), (lambda path: path.symlink_to("/dev/zero"), "a device"), (Path.mkdir, "a folder")],
)
def test_only_regular_files_are_opened(tmp_path, make, what):
    make(tmp_path / "query.txt")
    with pytest.raises(
        DataError, match=rf"query\.txt is {what} where a (regular )?file is wanted; put the files there"
    ):
        ImageList(root=tmp_path, query="query.txt")
    source = write(tmp_path, train="a.jpg 1")
    (tmp_path / "train.txt").unlink()
    make(tmp_path / "train.txt")  # behind the back of the source
    with pytest.raises(DataError, match=rf"train\.txt is {what} where a"):
        _ = source.labels


def test_missing_lists_are_named(tmp_path):
    with pytest.raises(DataError, match=r"list file not found: looked for .*absent\.txt"):
        ImageList(root=tmp_path, query="absent.txt")
    with pytest.raises(ConfigError, match="at least one of query"):
        ImageList(root=tmp_path)


def test_digits_of_another_script_are_names(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (8, 8), (60 * number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "all.txt").write_text("0.png ٣\n1.png ٣\n2.png ٤\n3.png ٤\n")
    source = ImageList(root=tmp_path, database="all.txt")
    assert source.class_names == ("٣", "٤")
