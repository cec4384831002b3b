"""What is opened as a file of a data set, and what is said of the rest."""

import os
from pathlib import Path

import pytest

from dqh.data.data_file import open_data, require_files
from dqh.errors import DataError


def test_regular_files_are_opened_and_links_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_data(tmp_path / "link", kind="list", advice="give one") as file:
        assert file.read() == b"content"
    require_files([tmp_path / "file", tmp_path / "link"], kind="list", advice="give one")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere", "list not found: looked for .*nowhere; give one"),
        ("dangling", "list not found: looked for .*dangling; give one"),
        ("folder", "folder is a folder where a file is wanted; give one"),
        ("pipe", "pipe is a named pipe where a regular file is wanted; give one"),
        ("device", "device is a device where a regular file is wanted; give one"),
        ("a\0b", "cannot be read: embedded null (byte|character.*); give one"),
        ("n" * 300, "cannot be read: File name too long; give one"),
    ],
)
def test_what_is_wanted_is_said(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to(os.devnull)
    with pytest.raises(DataError, match=what):
        open_data(tmp_path / name, kind="list", advice="give one")
    with pytest.raises(DataError, match=what):
        require_files([tmp_path / name], kind="list", advice="give one")


def test_what_is_missing_is_told_together(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list not found: looked for .*/a, .*/b; give one"):
        require_files([tmp_path / "a", tmp_path / "b"], kind="list", advice="give one")
