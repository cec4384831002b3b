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


def test_the_data_are_named_after_their_folder(tmp_path):
    for folder in ("photos", "tab\there"):
        picture(tmp_path / folder / "hat/1.png")
    assert ImageFolder(root=tmp_path / "photos").name == "photos"
    assert ImageFolder(root=tmp_path / "photos" / "hat" / "..").name == "photos"
    assert ImageFolder(root=tmp_path / "photos", name="clothing").name == "clothing"
    assert ImageFolder(root=tmp_path / "tab\there").name == "image_folder", "a name that does not print"


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


def test_hidden_folders_are_no_classes_and_files_count_by_content(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in ["hat/1.png", "hat/._1.png", ".ipynb_checkpoints/2.png", "__MACOSX/hat/3.png", "shoe/4.jfif"]:
        picture(tmp_path / name)
    picture(tmp_path / "shoe/5.png").rename(tmp_path / "shoe/5")
    (tmp_path / "shoe/notes.txt").write_text("no image")
    (tmp_path / "Thumbs.db").touch()
    source = ImageFolder(root=tmp_path)
    assert source.ids.tolist() == ["hat/1.png", "shoe/4.jfif", "shoe/5"]
    assert source.class_names == ("hat", "shoe")
    assert caplog.messages == [
        "4 hidden or file managers' own files and folders are left out: "
        "._1.png, .ipynb_checkpoints, Thumbs.db, __MACOSX",
        "1 file is an image by content: 1 of no known suffix",
        "1 file is no image and is left out: 1 .txt",
    ]


@pytest.mark.parametrize(
    ("names", "depth", "classes", "told"),
    [
        (["hat/1", "shoe/2"], None, ["hat", "shoe"], []),
        (
            ["a/x/1", "a/y/2", "b/z/3", "c/4"],
            None,
            ["a/x", "a/y", "b/z", "c"],
            ["4 classes that are the folders with images, such as 'a/x'; 3 with data.depth=1"],
        ),
        (["a/1", "a/x/2", "b/y/3", "b/z/4"], None, ["a", "b"], ["2 classes of the first level; 4 with data.depth=2"]),
        (
            ["a/x/m/1", "a/x/n/2", "b/y/3"],
            None,
            ["a/x/m", "a/x/n", "b/y"],
            ["3 classes that are the folders with images, such as 'a/x/m'; 2 with data.depth=1; 2 with data.depth=2"],
        ),
        (["a/x/m/1", "a/x/n/2", "b/3"], 2, ["a/x", "b"], []),
        (["a/x/1", "a/y/2", "b/z/3"], 1, ["a", "b"], []),
        (["a/1", "a/x/2", "a/x/m/3"], 3, ["a", "a/x", "a/x/m"], []),
    ],
)
def test_classes_may_be_nested(tmp_path, caplog, names, depth, classes, told):
    caplog.set_level("INFO")
    for name in names:
        picture(tmp_path / f"{name}.png")
    source = ImageFolder(root=tmp_path, depth=depth)
    assert list(source.class_names) == classes
    wanted = [max((kind for kind in classes if f"{name}/".startswith(f"{kind}/")), key=len) for name in sorted(names)]
    assert [source.class_names[label] for label in source.labels] == wanted
    assert caplog.messages == told


def test_a_depth_below_all_images_is_refused(tmp_path):
    for name in ["a/x/1.png", "b/2.png"]:
        picture(tmp_path / name)
    wanted = r"depth must be at most 2, got 9: the deepest folder with images in .* is 'a/x'; take 1 … 2, or leave data"
    with pytest.raises(ConfigError, match=wanted):
        _ = ImageFolder(root=tmp_path, depth=9).labels


def test_a_folder_that_cannot_be_listed_holds_nothing_and_is_told(tmp_path, caplog, monkeypatch):
    for name in ["hat/1.png", "hat/inside/2.png", "shoe/3.png", "lost+found/4.png"]:
        picture(tmp_path / name)
    closed = {str(tmp_path / "hat/inside"), str(tmp_path / "lost+found")}
    scan = os.scandir

    def scandir(path):
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    source = ImageFolder(root=tmp_path)
    assert source.ids.tolist() == ["hat/1.png", "shoe/3.png"]
    assert source.unlisted == dict.fromkeys(sorted(closed), "a folder that was not looked into: Permission denied")
    assert source.unusable == {}
    assert caplog.messages == [
        "2 folders cannot be listed, and what is in there was not looked at: "
        + ", ".join(f"{folder!r} (Permission denied)" for folder in source.unlisted)
    ]


def test_nested_classes_are_the_same_in_every_role(tmp_path):
    for name in ["train/a/x/1.png", "train/a/y/2.png", "./test/a/x/3.png", "test/b/4.png"]:
        picture(tmp_path / name)
    source = ImageFolder(root=tmp_path, roles={"query": "./test", "database": "train"})
    assert source.ids.tolist() == ["test/a/x/3.png", "test/b/4.png", "train/a/x/1.png", "train/a/y/2.png"]
    assert source.class_names == ("a/x", "a/y", "b")
    assert source.labels.tolist() == [0, 2, 0, 1]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"query": [0, 1], "database": [2, 3]}


@pytest.mark.parametrize(
    ("folders", "advice"),
    [
        (["train", "val", "test"], "'data.roles={query: test, database: train, validation: val}' split.protocol=given"),
        (["Train", "Val", "extra"], "'data.roles={query: Val, database: Train}' split.protocol=given"),
        (["query", "database"], "'data.roles={query: query, database: database}'"),
        (["gallery", "query", "train"], "'data.roles={query: query, database: gallery, train: train}'"),
        (["train"], "data.root=.*/train, or data.roles="),
    ],
)
def test_folders_that_look_like_roles_propose_them(tmp_path, folders, advice):
    for folder in folders:
        picture(tmp_path / folder / "hat/1.png")
    with pytest.raises(DataError, match=f"look like parts .*; say what they are for: {advice}.*data.depth=1") as error:
        len(ImageFolder(root=tmp_path))
    assert "extra" not in str(error.value).partition(f" in {tmp_path}")[0]
    assert ImageFolder(root=tmp_path, depth=1).class_names == tuple(sorted(folders))


def test_a_train_among_vehicles_is_a_class(tmp_path):
    for folder in ["bus", "car", "train"]:
        picture(tmp_path / folder / "1.png")
    assert ImageFolder(root=tmp_path).class_names == ("bus", "car", "train")


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
        (["stray.jpg", "hat/1.png"], "1 image lies in .*stray.jpg"),
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
        ({"depth": 0}, "depth must be a whole number of at least 1, or null, got 0"),
        ({"max_pixels": 0, "max_bytes": 0}, "max_pixels.*\n.*max_bytes"),
    ],
)
def test_impossible_values_are_refused(tmp_path, options, match):
    with pytest.raises(ConfigError, match=match):
        ImageFolder(root=tmp_path, **options)


def test_labels_are_integers(tmp_path):
    picture(tmp_path / "hat/1.png")
    assert ImageFolder(root=tmp_path).labels.dtype == np.int64
