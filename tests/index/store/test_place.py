"""What may become an index, and what an index asks of a file system."""

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from dqh.errors import NoStoreError, StoreError
from dqh.index.store import Writer, check, place
from dqh.index.store.manifest import Manifest
from dqh.index.store.place import at_newest, entries, newest_version, no_index, read_manifest, strangers
from dqh.intent import announce
from tests.index.store.conftest import HEADER, add, opened
from tests.index.store.test_manifest import MANIFEST


@pytest.mark.parametrize(
    "name",
    [
        "cache/thesis.txt",
        "deleted/thesis.txt",
        "segments/thesis.txt",
        "quantizer.safetensors",
        "LOCK",
        ".v1.json.new",
        ".intent-1.json",
        "skipped.csv",
        "encoder.json",
        "photos/",
        "cache/photos/",
        "v1.json",
        "segments/000000001-000000/codes.npy",
        "a link",
    ],
)
def test_a_folder_of_others_is_refused(tmp_path: Path, name: str) -> None:
    """Whatever it is called: nothing is created, replaced or removed."""
    place = tmp_path / "index" / name
    place.parent.mkdir(parents=True)
    if name.endswith("/"):
        place.mkdir()
    elif name == "a link":
        place.symlink_to(tmp_path)
    else:
        place.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=f"{name.rstrip('/')}|has lost its"):
        Writer(tmp_path / "index", HEADER)
    assert sorted(tmp_path.rglob("*")) == before
    assert place.is_dir() or place.read_text() == "mine"


def test_a_file_system_without_maps_is_told_before_anything_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: bytes) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("dqh.index.store.place.pa.memory_map", refused)
    with pytest.raises(StoreError, match=r"without memory maps, .*name a folder on a local disk"):
        Writer(tmp_path / "index", HEADER)
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["LOCK"]


def test_segments_without_their_manifest_are_not_removed(index: Path) -> None:
    (index / "v2.json").unlink()
    with pytest.raises(StoreError, match=r"has lost its v<N>.json, its segments are there; copy the whole folder"):
        Writer(index, HEADER)
    assert len(list((index / "segments").iterdir())) == 4


def test_a_lost_first_version_is_told_alike_to_readers_and_writers(tmp_path: Path) -> None:
    """The notes that dqh index leaves beside it tell it from a first commit that did not end."""
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0])
        writer.commit()
    (tmp_path / "encoder.json").touch()
    (tmp_path / "v1.json").unlink()
    uses = (lambda: opened(tmp_path), lambda: Writer(tmp_path), lambda: Writer(tmp_path, HEADER))
    for use in uses:
        with pytest.raises(StoreError, match=r"has lost its v<N>.json, its segments are there; copy the whole folder"):
            use()
    assert [problem.file for problem in check(tmp_path).problems] == ["v<N>.json"]
    assert (tmp_path / "segments" / "000000001-000000" / "codes.npy").exists()


def test_the_newest_version(tmp_path: Path) -> None:
    assert newest_version(tmp_path / "none") is None
    for name in ("v9.json", "v10.json", "v010.json", "v11.json.new", ".v12.json.new", "v.json", "w13.json"):
        (tmp_path / name).touch()
    assert newest_version(tmp_path) == 10


def test_reading_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v3.json").write_bytes(MANIFEST.to_bytes())
    (tmp_path / "v4.json").write_bytes(MANIFEST.to_bytes())
    assert read_manifest(tmp_path, 3) == MANIFEST
    with pytest.raises(StoreError, match=r"v4.json: it says that it is version 3; copy the index again"):
        read_manifest(tmp_path, 4)
    monkeypatch.setattr(place, "MANIFEST_BYTES", 100)
    (tmp_path / "v4.json").unlink()
    with pytest.raises(StoreError, match=r"cannot be read: .*larger than 100 bytes"):
        at_newest(tmp_path, lambda manifest: manifest)


def test_a_version_that_goes_away_is_looked_for_again(tmp_path: Path) -> None:
    """A writer publishes version 4 and removes version 3 while a reader opens the files of version 3."""
    (tmp_path / "v3.json").write_bytes(MANIFEST.to_bytes())
    seen = []

    def use(manifest: Manifest) -> int:
        seen.append(manifest.version)
        if manifest.version == 3:
            (tmp_path / "v4.json").write_bytes(dataclasses.replace(MANIFEST, version=4).to_bytes())
            (tmp_path / "v3.json").unlink()
            raise FileNotFoundError(2, "No such file", "segments/1")
        return manifest.version

    assert at_newest(tmp_path, use) == 4
    assert seen == [3, 4]


def test_what_is_missing_for_good(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match=r"no index at .*: it has no v<N>.json; make one with dqh index"):
        at_newest(tmp_path, lambda manifest: manifest)
    (tmp_path / "v3.json").write_bytes(MANIFEST.to_bytes())
    with pytest.raises(StoreError, match=r"is incomplete: .*codes.npy is missing; copy the whole folder"):
        at_newest(tmp_path, lambda manifest: (tmp_path / "codes.npy").read_bytes())
    with pytest.raises(StoreError, match=r"cannot be read: .*Is a directory"):
        at_newest(tmp_path, lambda manifest: tmp_path.read_bytes())


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], NoStoreError, "no index at .*; make one with dqh index ARTIFACT IMAGES --out {path}$"),
        (["LOCK"], NoStoreError, "no index at .* --out {path}$"),
        (["LOCK", "segments/000000001-000000/codes.npy"], StoreError, "has lost its v<N>.json"),
        (["a.jpg"], NoStoreError, "no index at .* --out NEW$"),
        (["segments/a.jpg", "encoder.json"], NoStoreError, "no index at .* --out NEW$"),
        (["segments/000000001-000000/codes.npy", "encoder.json"], StoreError, "has lost its v<N>.json.* --out NEW$"),
        (["segments/000000002-000000/codes.npy"], StoreError, "has lost its v<N>.json, its segments are there; copy"),
    ],
)
def test_a_folder_without_a_manifest(tmp_path: Path, names: list[str], error: type, message: str) -> None:
    """Never filled, left by a first commit that did not end, of somebody else, or an index that lost it."""
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(StoreError, match=message.format(path=tmp_path)) as caught:
        at_newest(tmp_path, lambda manifest: manifest)
    assert caught.type is error


def test_a_file_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoStoreError, match=r"no index at .* --out NEW$"):
        at_newest(tmp_path / "file", lambda manifest: manifest)


def test_what_a_first_commit_has_announced_is_no_index_yet(tmp_path: Path) -> None:
    segment = "segments/000000001-000000"
    announce(tmp_path, [f"{segment}/codes.npy"])
    (tmp_path / segment).mkdir(parents=True)
    (tmp_path / segment / "codes.npy").touch()
    with pytest.raises(NoStoreError, match=f"--out {tmp_path}$"):
        at_newest(tmp_path, lambda manifest: manifest)
    (tmp_path / segment / "rows.parquet").touch()  # nobody has announced this one
    with pytest.raises(StoreError, match="has lost its"):
        at_newest(tmp_path, lambda manifest: manifest)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "broken link"])
def test_a_manifest_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").write_bytes(MANIFEST.to_bytes())
    place = tmp_path / "v3.json"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("elsewhere" if kind == "link" else "nowhere")
    message = "is a symbolic link; .*cp -rL" if "link" in kind else "cannot be read: .*put that right"
    with pytest.raises(StoreError, match=message):
        at_newest(tmp_path, lambda manifest: manifest)


def test_what_a_folder_holds(tmp_path: Path) -> None:
    """Links are named and not followed; empty folders, lock and notes as an index has them hold nothing."""
    for folder in ("segments/000000001-000000", "deleted", "cache/empty", "photos"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("LOCK", ".intent-1.json", "segments/notes.txt", ".intent.json"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("/")
    os.mkfifo(tmp_path / "deleted" / "pipe")
    wanted = [".intent.json", "cache/empty", "deleted/pipe", "link", "photos", "segments/notes.txt"]
    assert sorted(entries(tmp_path)) == strangers(tmp_path) == wanted
    (tmp_path / "LOCK").write_text("mine")
    assert "LOCK" in strangers(tmp_path)


def test_what_is_announced_is_no_stranger_where_it_is_a_file(tmp_path: Path) -> None:
    announce(tmp_path, ["quantizer.safetensors", "deleted/1.bitmap"])
    (tmp_path / "quantizer.safetensors").touch()
    assert strangers(tmp_path) == []
    (tmp_path / "deleted").mkdir()
    (tmp_path / "deleted" / "1.bitmap").symlink_to("elsewhere")
    assert strangers(tmp_path) == ["deleted/1.bitmap"]


def test_a_folder_that_cannot_be_listed_is_no_free_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        strangers(tmp_path)
    error = no_index(tmp_path)
    assert isinstance(error, NoStoreError)
    assert str(error).endswith("--out NEW")
