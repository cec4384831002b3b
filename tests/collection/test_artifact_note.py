"""Paths relative to a root and back, and where an artifact was."""

import os
from pathlib import Path

import pytest

from dqh.collection.artifact_note import (
    absolute,
    artifact_note,
    relative,
    remembered_artifact,
    remembered_detector,
)
from dqh.errors import NoArtifactError, NoDetectorError


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


def test_the_detector_is_remembered(tmp_path: Path) -> None:
    index, real = tmp_path / "index", tmp_path / "seer"
    index.mkdir()
    with pytest.raises(NoDetectorError, match="does not say where the detector of its objects is; name it: --x"):
        remembered_detector(index, option="--x")
    (index / "encoder.json").write_bytes(artifact_note(tmp_path))
    with pytest.raises(NoDetectorError, match="does not say where"):
        remembered_detector(index, option="--x")
    (index / "encoder.json").write_bytes(artifact_note(tmp_path, real))
    with pytest.raises(NoDetectorError, match=r"with the detector at .*seer, which is not there; name it: --x"):
        remembered_detector(index, option="--x")
    real.mkdir()
    assert remembered_detector(index, option="--x") == real
    assert remembered_artifact(index) == tmp_path
