import errno
import hashlib
import os
from pathlib import Path

import pytest

from dqh.errors import StoreError
from dqh.index.store.durable import FileEntry, make_folder, publish, replace, write_new
from dqh.index.store.faults import Step, watched


def test_a_file_is_written_with_its_hash(tmp_path: Path) -> None:
    entry = write_new(tmp_path / "a", [b"one", memoryview(b"two"), b"", b"3"])
    assert (tmp_path / "a").read_bytes() == b"onetwo3"
    assert entry == FileEntry(hashlib.sha256(b"onetwo3").hexdigest(), 7)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", [b"again"])
    assert (tmp_path / "a").read_bytes() == b"onetwo3"


def test_a_file_is_caught_half_written(tmp_path: Path) -> None:
    sizes = []
    with watched(lambda step, path: sizes.append((step, path.stat().st_size))):
        write_new(tmp_path / "a", [b"abcd"])
    assert sizes == [
        (Step.FILE_OPENED, 0),
        (Step.FILE_HALF, 2),
        (Step.FILE_HALF, 4),
        (Step.FILE_WRITTEN, 4),
        (Step.FILE_SYNCED, 4),
    ]


def test_folders_are_made_and_flushed_from_above(tmp_path: Path) -> None:
    steps = []
    with watched(lambda step, path: steps.append((step, path))):
        make_folder(tmp_path / "a" / "b")
        make_folder(tmp_path / "a" / "b")
    assert steps == [
        (Step.FOLDER_MADE, tmp_path / "a"),
        (Step.FOLDER_SYNCED, tmp_path),
        (Step.FOLDER_MADE, tmp_path / "a" / "b"),
        (Step.FOLDER_SYNCED, tmp_path / "a"),
    ]


def refused(*arguments: object, **options: object) -> None:
    raise PermissionError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("links", [True, False])
def test_publishing_never_replaces(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(os, "link", refused)
    seen = []
    publish(tmp_path / "v1.json", b"first", check=lambda file: seen.append(file.read_bytes()))
    with pytest.raises(StoreError, match="exists already: another writer was at work"):
        publish(tmp_path / "v1.json", b"second", check=lambda file: None)
    assert (tmp_path / "v1.json").read_bytes() == b"first"
    assert seen == [b"first"]


def test_what_the_check_refuses_is_not_published(tmp_path: Path) -> None:
    def check(file: Path) -> None:
        raise ValueError(f"{file.name} cannot be read")

    with pytest.raises(ValueError, match=r"v1.json.new cannot be read"):
        publish(tmp_path / "v1.json", b"first", check=check)
    assert not (tmp_path / "v1.json").exists()


def test_replacing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("of another")
    (tmp_path / "file").symlink_to("other")
    replace(tmp_path / "file", b"new")
    assert (tmp_path / "other").read_text() == "of another"
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]
