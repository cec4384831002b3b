import os
from pathlib import Path

import pytest

from dqh import intent
from dqh.intent import announce, announced, clear, notes, withdraw
from dqh.sealed import seal


def test_what_was_announced_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "thesis.txt").write_text("mine")
    announce(tmp_path, ["parts/a.npy", "b.json", "staging/", "never.bin"])
    announce(tmp_path, ["parts/c.npy"])
    for name in ("parts/a.npy", "parts/c.npy", "b.json"):
        (tmp_path / name).write_text("half")
    (tmp_path / "staging" / "deep").mkdir(parents=True)
    (tmp_path / "staging" / "deep" / "file").write_text("half")
    assert announced(tmp_path) == {"parts/a.npy", "parts/c.npy", "b.json", "staging/", "never.bin"}
    assert clear(tmp_path) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["parts", "thesis.txt"]


def test_names_of_a_manifest_stay(tmp_path: Path) -> None:
    announce(tmp_path, ["a", "b"])
    (tmp_path / "a").write_text("listed")
    (tmp_path / "b").write_text("not listed")
    assert clear(tmp_path, keep={"a"}) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_there_cannot_be_announced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("link", "link/"):
        with pytest.raises(FileExistsError, match="not ours"):
            announce(tmp_path, [name, "new"])
    assert notes(tmp_path) == {}


@pytest.mark.parametrize("name", ["", "/", "..", "../a", "/a", "a/../b", "a//b", "./a", "a\0b", "a//"])
def test_a_name_stays_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="below"):
        announce(tmp_path, [name])
    note = tmp_path / ".intent-1.json"
    note.write_bytes(seal({"format_version": 1, "creates": [name]}))
    assert announced(tmp_path) == frozenset()


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    other.mkdir()
    folder.mkdir()
    announce(folder, ["parts/a", "b", "staging/", "c/"])
    for name in ("a", "b"):
        (other / name).write_text("of another")
    (folder / "parts").symlink_to(other)
    (folder / "b").symlink_to(other / "b")
    (folder / "staging").mkdir()
    (folder / "staging" / "out").symlink_to(other)
    (folder / "c").symlink_to(other)
    assert set(clear(folder)) == {folder / "parts" / "a", folder / "b", folder / "c"}
    assert sorted(path.name for path in other.iterdir()) == ["a", "b"]
    assert not (folder / "staging").exists()


@pytest.mark.parametrize("content", [b"", b"{}", seal({"creates": ["a"]}), seal({"format_version": 1, "creates": "a"})])
def test_what_is_no_note_announces_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".intent-1.json").write_bytes(content)
    (tmp_path / "a").write_text("mine")
    clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".intent-1.json", "a"]
    announce(tmp_path, ["b"])
    assert list(notes(tmp_path)) == [tmp_path / ".intent-2.json"]


def test_a_pipe_in_the_place_of_a_note_is_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".intent-1.json")
    assert announced(tmp_path) == frozenset()


def test_withdrawing_leaves_the_files(tmp_path: Path) -> None:
    announce(tmp_path, ["a"])
    (tmp_path / "a").write_text("whole")
    withdraw(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_where_there_are_no_nameless_files_a_note_is_created_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(intent.os, "link", refused)
    announce(tmp_path, ["a"])
    monkeypatch.delattr(intent.os, "O_TMPFILE")
    announce(tmp_path, ["b"])
    assert announced(tmp_path) == {"a", "b"}


def test_an_empty_folder_has_no_notes(tmp_path: Path) -> None:
    assert notes(tmp_path / "missing") == {}
    assert clear(tmp_path) == []
