import os
from pathlib import Path

import pytest

from dqh.errors import NoStoreError
from dqh.index.store.strangers import entries, no_index, strangers
from dqh.intent import announce


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
