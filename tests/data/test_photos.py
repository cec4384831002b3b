"""What folders, lists, tables and single images stand for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.data import Photos, read_photo
from dqh.data.photo_files import located
from dqh.errors import BadImageError, DataError
from tests.data.conftest import picture, png


def test_a_folder_gives_its_images_with_the_folder_they_lie_in(folder: Callable[[int], Path]) -> None:
    root = folder(3)
    (root / "top.png").write_bytes(png(9))
    (root / "notes.txt").write_text("no image")
    (root / "x.jpg").mkdir()
    photos = Photos([root])
    assert [(os.path.relpath(each.path, root), each.labels) for each in photos.photos] == [
        ("a/0.png", ("a",)),
        ("a/2.png", ("a",)),
        ("b/1.png", ("b",)),
        ("top.png", None),
        ("x.jpg", None),
    ]
    assert photos.common_folder == str(root)
    assert photos.class_names == ("a", "b")
    assert photos.labels.tolist() == [[True, False], [True, False], [False, True], [False, False], [False, False]]
    with pytest.raises(BadImageError, match="a folder, not a file"):
        photos.read(4)


def test_images_of_any_name_and_nothing_that_is_hidden(
    folder: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    root = folder(1)
    for name in ("a.jfif", "b.avif", "c", "._d.png", ".thumbnails/e.png", "notes.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"text" if name == "notes.txt" else png(3))
    photos = Photos([root, root / "c", root / "a.jfif"])
    assert [os.path.relpath(each.path, root) for each in photos.photos] == ["a.jfif", "a/0.png", "b.avif", "c"]
    assert [message.split(":")[0] for message in caplog.messages] == [
        "2 hidden or file managers' own files and folders are left out",
        "1 file is an image by content",
        "1 file is no image and is left out",
    ]
    assert [Path(each.path).name for each in Photos([root / "c", root / "a.jfif"]).photos] == ["c", "a.jfif"]


def test_several_paths_give_each_image_once(folder: Callable[[int], Path]) -> None:
    root = folder(4)
    photos = Photos([root / "b" / "1.png", root / "b", root / "a"])
    assert [Path(each.path).name for each in photos.photos] == ["1.png", "3.png", "0.png", "2.png"]
    assert photos.photos[0].labels is None
    assert photos.common_folder == str(root)


def test_a_list_names_paths_of_any_bytes_with_or_without_labels(folder: Callable[[int], Path]) -> None:
    root = folder(2)
    odd = os.fsdecode(b"caf\xe9 1.png")
    (root / odd).write_bytes(png(5))
    lines = (
        b"\xef\xbb\xbfa/0.png 0 1 1\r\n\n" + os.fsencode(odd) + b"\n" + os.fsencode(root / "b" / "1.png") + b" 0 0 0"
    )
    (root / "list.txt").write_bytes(lines)
    photos = Photos([root / "list.txt"])
    assert [(each.path, each.labels) for each in photos.photos] == [
        (str(root / "a" / "0.png"), ("1", "2")),
        (str(root / odd), None),
        (str(root / "b" / "1.png"), ()),
    ]
    assert photos.read(1).size == (24, 20)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a/0.png 3\nb/1.png 1\n", [("3",), ("1",)]),
        ("a/0.png hat\nb/1.png\n", [("hat",), None]),
        ("file;kind\na/0.png;big hat\nb/1.png;\n", [("big hat",), ()]),
        ("path,cat,dog\na/0.png,1,1\nb/1.png,0,1\n", [("cat", "dog"), ("dog",)]),
    ],
)
def test_a_list_may_name_classes(text: str, labels: list, folder: Callable[[int], Path]) -> None:
    root = folder(2)
    (root / "list.csv").write_text(text)
    photos = Photos([root / "list.csv"])
    assert [(each.path, each.labels) for each in photos.photos] == [
        (str(root / "a" / "0.png"), labels[0]),
        (str(root / "b" / "1.png"), labels[1]),
    ]


def test_the_parent_of_a_linked_folder_is_that_of_its_target(folder: Callable[[int], Path], tmp_path: Path) -> None:
    root = folder(1)
    (root / "deep").mkdir()
    (tmp_path / "link").symlink_to(root / "deep")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(png(7))  # what the letters of the path alone would name
    (tmp_path / "list.txt").write_text("link/../a/0.png\n")
    for path in (f"{tmp_path}/link/../a/0.png", f"{tmp_path}/list.txt"):
        (photo,) = Photos([path]).photos
        assert photo.path == str(root / "a" / "0.png")


@pytest.mark.parametrize(
    ("labels", "wanted"), [([3, 1], "31"), ([3_000_000_000, 7], ["3000000000", "7"]), (["x", "y"], "xy"), (None, None)]
)
def test_a_table_gives_its_rows(labels: list | None, wanted: str | list[str] | None, tmp_path: Path) -> None:
    columns = {"image": pa.array([png(0), png(1)])} | ({} if labels is None else {"label": labels})
    file = tmp_path / "t[1].parquet"
    pq.write_table(pa.table(columns), file)
    photos = Photos([file])
    assert [each.path for each in photos.photos] == [f"{file}#0", f"{file}#1"]
    assert [each.labels for each in photos.photos] == ([None] * 2 if wanted is None else [(each,) for each in wanted])
    assert np.array_equal(photos.read(1), picture(1))
    assert np.array_equal(read_photo(f"{file}#1"), picture(1))
    assert photos.content_hash(0) != photos.content_hash(1)
    with pytest.raises(BadImageError, match="row must be in 0 … 1, got 2"):
        read_photo(f"{file}#2")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty", None, r"no images in .*empty: looked for \*\{\.apng,.* and for files that hold images"),
        ("missing", None, "no images at .*missing: give folders, list files"),
        ("list.txt", b"a\0b.png 1\n", "list.txt:1: the character NUL: 'a.x00b.png 1'$"),
        (
            "list.txt",
            b"a\0b.png 1\n\0\n",
            r"list.txt:1: the character NUL: .* \(and so on: no line or row can be used\)",
        ),
        ("list.txt", "a.png\n".encode("utf-16"), "list.txt is UTF-16, wanted UTF-8; write it anew: iconv -f UTF-16 -t"),
        ("list.csv", b"file,w,h\na.png,3,4\n", "list.csv:2: labels 3, 4; .* keep the column of the class alone"),
        ("t.parquet", b"PAR1", "t.parquet cannot be read"),
    ],
)
def test_what_stands_for_nothing(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        Photos([tmp_path / name])


@pytest.mark.parametrize("name", ["list.txt", "list", "t.parquet"])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(os.path.relpath(path)), "a socket"),
    ],
)
def test_what_is_no_regular_file_is_said_to_be_so(
    name: str, make: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name} is {what} where a regular file is wanted; (give|put)"):
        Photos([tmp_path / name])


def test_most_lines_say_how_many_labels_there_are(folder: Callable[[int], Path]) -> None:
    root = folder(4)
    (root / "list.txt").write_text("a/0.png 1\nb/1.png 1 0\na/2.png\nb/3.png 0 1\n")
    photos = Photos([root / "list.txt"])
    assert [(each.labels, each.fault) for each in photos.photos] == [
        (None, "1 label behind 'a/0.png', but most lines have 2"),
        (("0",), ""),
        (None, ""),
        (("1",), ""),
    ]
    with pytest.raises(BadImageError, match="1 label behind"):
        photos.read(0)
    assert photos.ids[0] == f"{root}/list.txt:1"


def test_an_image_named_again_with_other_labels_is_told(
    folder: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = folder(2)
    (root / "list.txt").write_text("a/0.png 0 1\nb/1.png 0 0\na/0.png 0 1\na/0.png 1 0\na/0.png\n")
    photos = Photos([root / "list.txt"])
    assert [each.labels for each in photos.photos] == [("1",), ()]
    message = f"1 image is named again with other labels; what was named first counts: {str(root / 'a/0.png')!r}"
    again = f"{root}/list.txt names 3 paths again, such as 'a/0.png' in the lines 1 and 3; an image counts once"
    assert caplog.messages == [again, f"{message} has 1, later 0"]
    caplog.clear()
    caplog.set_level("WARNING", logger="dqh")  # which a command that ran before in this process has lowered
    assert Photos([root, root / "b" / "1.png"]).photos[-1].labels == ("b",)
    assert not caplog.messages


def test_a_row_of_more_digits_than_python_reads_is_a_bad_path(tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match="cannot be read"):
        read_photo(f"{tmp_path}/t.parquet#{'9' * 5000}")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("./a//b/./", "a/b"),
        ("a/b/../1.jpg", "a/1.jpg"),
        ("link/1.jpg", "link/1.jpg"),
        ("link/../1.jpg", "a/1.jpg"),
        ("a/../link/../b/../1.jpg", "a/1.jpg"),
        ("link/.", "link"),
        ("none/../1.jpg", "none/../1.jpg"),
        ("a/1.jpg/../b/../1.jpg", "a/1.jpg/../b/../1.jpg"),
    ],
)
def test_a_path_names_the_file_that_the_system_opens(
    path: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`link` points to a/b, so that link/.. is a."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    assert located(path) == located(path, str(tmp_path)) == located(f"{tmp_path}/{path}") == f"{tmp_path}/{wanted}"
    assert Path(path).exists() == Path(located(path)).exists()
    assert not Path(path).exists() or Path(path).samefile(located(path))
