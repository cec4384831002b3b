"""A few files into a folder of their own, whole or not at all; what a detector's writer asks of it is in its test."""

import os
from pathlib import Path

import pytest

from dqh import intent
from dqh.artifact import new_folder
from dqh.artifact.new_folder import publish_new
from dqh.errors import ArtifactError, ConfigError
from dqh.locks import locked_folder

CONTENTS = {"a.json": b"first", "whole.json": b"last"}


def publish(out: Path) -> None:
    publish_new(out, CONTENTS, kind="thing", check=lambda folder: None, error=ArtifactError)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_last_file_makes_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is announced before; the note is gone at the end."""
    created = []
    create = new_folder.create

    def told(path: Path, content: bytes) -> None:
        assert path.name in intent.announced(path.parent)
        created.append(path.name)
        create(path, content)

    monkeypatch.setattr(new_folder, "create", told)
    publish(tmp_path / "a" / "b")
    assert created == ["a.json", "whole.json"]
    assert names(tmp_path / "a" / "b") == ["a.json", "whole.json"]


def test_files_may_lie_in_folders_of_it(tmp_path: Path) -> None:
    def check(folder: Path) -> None:
        assert intent.announced(folder) == {"of/one", "of/", "whole.json"}
        if (tmp_path / "no").exists():
            raise ArtifactError("no")

    contents = {"of/one": b"first", "whole.json": b"last"}
    publish_new(tmp_path / "a", contents, kind="thing", check=check, error=ArtifactError)
    assert (tmp_path / "a" / "of" / "one").read_bytes() == b"first"
    assert names(tmp_path / "a") == ["of", "whole.json"]
    (tmp_path / "no").touch()
    with pytest.raises(ArtifactError, match="no"):
        publish_new(tmp_path / "b", contents, kind="thing", check=check, error=ArtifactError)
    assert names(tmp_path) == ["a", "no"]


def test_what_is_whole_already(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(ConfigError, match="holds a thing already; choose another folder, or remove it first"):
        publish(tmp_path)
    (tmp_path / "whole.json").rename(tmp_path / "other.json")
    with pytest.raises(ConfigError, match="is not empty"):
        publish(tmp_path)


def test_what_the_check_refuses_leaves_nothing(tmp_path: Path) -> None:
    def check(folder: Path) -> None:
        assert names(folder)[-2:] == ["a.json", "whole.json"]
        raise ArtifactError("no")

    with pytest.raises(ArtifactError, match="no"):
        publish_new(tmp_path / "a" / "b", CONTENTS, kind="thing", check=check, error=ArtifactError)
    assert names(tmp_path) == []


def test_a_writer_that_was_killed_leaves_what_the_next_one_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, content: bytes) -> None:
        path.write_bytes(content[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(new_folder, "create", killed)
        patch.setattr(intent, "clear", lambda folder: [])  # no time for it
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path)
    assert "a.json" in names(tmp_path)
    publish(tmp_path)
    assert (tmp_path / "a.json").read_bytes() == b"first"
    assert names(tmp_path) == ["a.json", "whole.json"]


def test_another_writer_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("out").mkdir()
    with locked_folder(tmp_path / "out", error=ArtifactError), pytest.raises(ArtifactError, match="another"):
        publish(tmp_path / "out")

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(new_folder, "create", full)
    with pytest.raises(OSError, match="No space left") as raised:
        publish(tmp_path / "new")
    assert raised.value.filename == str(tmp_path / "new")
    assert names(tmp_path) == ["out"]
