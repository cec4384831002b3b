import os

import numpy as np
import pytest
from PIL import Image

from dqh.data.image_folder import ImageFolder
from dqh.errors import BadImageError, ConfigError, DataError


def picture(path, colour=(255, 0, 0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)
    return path


def test_classes_are_folders(tmp_path):
    for name in ["shoe/b.png", "hat/2.PNG", "hat/deep/er/1.jpg", "hat/10.png"]:
        picture(tmp_path / name)
    (tmp_path / "hat/notes.txt").write_text("no image")
    source = ImageFolder(root=tmp_path)
    assert source.ids.tolist() == ["hat/10.png", "hat/2.PNG", "hat/deep/er/1.jpg", "shoe/b.png"]
    assert source.class_names == ("hat", "shoe")
    assert source.labels.tolist() == [0, 0, 0, 1]
    assert source.roles == {}
    assert source.read(3).getpixel((0, 0)) == (255, 0, 0)


def test_roles_are_folders_and_may_share_one(tmp_path):
    for name in ["fit/hat/1.png", "fit/shoe/2.png", "held out/hat/3.png", "unused/hat/4.png"]:
        picture(tmp_path / name)
    source = ImageFolder(root=tmp_path, roles={"query": "held out", "database": "fit", "train": "fit"})
    assert source.ids.tolist() == ["fit/hat/1.png", "fit/shoe/2.png", "held out/hat/3.png"]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {
        "query": [2],
        "database": [0, 1],
        "train": [0, 1],
    }
    assert source.labels.tolist() == [0, 1, 0]


def test_unusable_files_are_rows_that_say_why(tmp_path):
    picture(tmp_path / "hat/good.png")
    content = picture(tmp_path / "hat/noise.png").read_bytes()
    (tmp_path / "hat/noise.png").unlink()
    (tmp_path / "hat/cut.png").write_bytes(content[:40])
    (tmp_path / "hat/dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "hat/empty.jpg").touch()
    picture(tmp_path / "hat/folder.jpg/inside.jpg")
    (tmp_path / "hat/text.jpg").write_text("not an image")
    source = ImageFolder(root=tmp_path)
    reasons = {}
    for row, name in enumerate(source.ids.tolist()):
        try:
            source.read(row)
        except BadImageError as error:
            reasons[name.removeprefix("hat/")] = str(error)
    assert reasons.keys() == {"cut.png", "dangling.jpg", "empty.jpg", "folder.jpg", "text.jpg"}
    assert reasons["dangling.jpg"] == "dangling link"
    assert reasons["empty.jpg"] == "empty (0 bytes)"
    assert reasons["folder.jpg"] == "a folder, not a file"


def test_names_that_are_no_utf8_work(tmp_path):
    (tmp_path / "hat").mkdir()
    image = picture(tmp_path / "good.png")
    try:
        image.rename(tmp_path / "hat" / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    source = ImageFolder(root=tmp_path)
    assert source.ids.tolist() == ["hat/caf\udce9.png"]
    assert source.read(0).size == (4, 4)


def test_links_are_followed_but_not_in_circles(tmp_path):
    picture(tmp_path / "elsewhere/1.png")
    (tmp_path / "set/hat").mkdir(parents=True)
    (tmp_path / "set/hat/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/hat/circle").symlink_to(tmp_path / "set/hat")
    assert ImageFolder(root=tmp_path / "set").ids.tolist() == ["hat/linked/1.png"]


def test_equal_files_have_equal_hashes(tmp_path):
    for name, colour in {"a/1.png": (1, 2, 3), "a/2.png": (1, 2, 4), "b/3.png": (1, 2, 3)}.items():
        picture(tmp_path / name, colour)
    hashes = [ImageFolder(root=tmp_path).content_hash(row) for row in range(3)]
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([], "no images in .*looked for CLASS"),
        (["hat/notes.txt"], "no images in"),
        (["stray.jpg", "hat/1.png"], "1 images lie in .*stray.jpg"),
        (["train/hat/1.png", "test/hat/2.png"], "look like parts .*roles="),
    ],
)
def test_folders_that_are_no_classes_are_refused(tmp_path, files, match):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=match):
        len(ImageFolder(root=tmp_path))


def test_missing_folders_are_named_together(tmp_path):
    with pytest.raises(DataError, match=r"a/fit.*, .*a/held|a/held.*, .*a/fit"):
        ImageFolder(root=tmp_path / "a", roles={"query": "held", "train": "fit"})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"roles": {"gallery": "fit"}}, "'gallery' is no role; one of query, database"),
        ({"roles": {"query": "../fit"}}, "without '..'"),
        ({"roles": {"query": "fit", "train": "fit/deep"}}, "hold the same images"),
        ({"max_bad_fraction": 2}, "max_bad_fraction"),
        ({"max_pixels": 0, "max_bytes": 0}, "max_pixels.*\n.*max_bytes"),
    ],
)
def test_impossible_values_are_refused(tmp_path, options, match):
    with pytest.raises(ConfigError, match=match):
        ImageFolder(root=tmp_path, **options)


def test_labels_are_integers(tmp_path):
    picture(tmp_path / "hat/1.png")
    assert ImageFolder(root=tmp_path).labels.dtype == np.int64
