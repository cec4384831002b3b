"""Paths relative to a root and back, and where an artifact was."""

import os
from pathlib import Path

import pytest

from dqh.errors import NoArtifactError
from dqh.indexing.places import absolute, artifact_note, located, relative, remembered_artifact


@pytest.mark.parametrize(
    ("path", "root", "kept"),
    [
        ("/photos/a/1.jpg", "/photos", "a/1.jpg"),
        ("/photos2/1.jpg", "/photos", "../photos2/1.jpg"),
        ("/b/1.jpg", "/photos/a", "../../b/1.jpg"),
        (os.fsdecode(b"/q\xe9/1.jpg"), "/p", os.fsdecode(b"../q\xe9/1.jpg")),
        ("/1.jpg", "/", "1.jpg"),
        (os.fsdecode(b"/p\xe9/\xff.jpg"), os.fsdecode(b"/p\xe9"), os.fsdecode(b"\xff.jpg")),
    ],
)
def test_there_and_back(path: str, root: str, kept: str) -> None:
    assert relative(path, root) == kept
    assert absolute(kept, root) == path


def test_a_path_of_before_is_still_read() -> None:
    assert absolute("/other/1.jpg", "/photos") == "/other/1.jpg"


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


def test_the_artifact_behind_a_link_is_remembered(tmp_path: Path) -> None:
    index, real = tmp_path / "index", tmp_path / os.fsdecode(b"run\xe9")
    index.mkdir()
    with pytest.raises(NoArtifactError, match="does not say where its artifact is; name it: --artifact DIR"):
        remembered_artifact(index)
    real.mkdir()
    (tmp_path / "latest").symlink_to(real)
    (index / "encoder.json").write_bytes(artifact_note(tmp_path / "latest"))
    assert remembered_artifact(index) == real
    real.rmdir()
    with pytest.raises(NoArtifactError, match="which is not there"):
        remembered_artifact(index)


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"artifact": 1}', b" " * 2**17 + b'{"artifact": "/"}'])
def test_nonsense_is_no_hint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "encoder.json").write_bytes(content)
    with pytest.raises(NoArtifactError, match="does not say"):
        remembered_artifact(tmp_path)
