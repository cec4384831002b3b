"""The manifest: hashed, replaced in one step, and never in front of files that are not there."""

import json
from pathlib import Path

import pytest

from dqh.errors import ArtifactError
from dqh.export import load_artifact, manifest, verify_onnx
from dqh.export.manifest import (
    EXPORT_MANIFEST,
    damages,
    listing_of,
    manifest_name,
    read_listed,
    read_manifest,
    replace_forms,
    unlisted,
    write_files,
    write_manifest,
)


def begin(path: Path) -> None:
    path.mkdir()
    write_manifest(path, {"format_version": 2, "files": write_files(path, {"a": b"1", "sub/b": b"2"})})


def test_files_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    begin(tmp_path / "x")
    files = listing_of(tmp_path / "x", read_manifest(tmp_path / "x"))
    assert damages(tmp_path / "x", files) == []
    assert read_listed(tmp_path / "x", files, "sub/b") == b"2"
    (tmp_path / "x" / "a").write_bytes(b"3")
    (tmp_path / "x" / "sub" / "b").unlink()
    (tmp_path / "x" / "other").touch()
    found = damages(tmp_path / "x", files)
    assert [each.partition(" is ")[2].split(":")[0] for each in found] == ["damaged", "incomplete"]
    with pytest.raises(ArtifactError, match=r"a is damaged: it does not match the hash in artifact.json"):
        read_listed(tmp_path / "x", files, "a")
    with pytest.raises(ArtifactError, match=r"incomplete: sub/b is missing"):
        read_listed(tmp_path / "x", files, "sub/b")
    with pytest.raises(ArtifactError, match=r"does not list other"):
        read_listed(tmp_path / "x", files, "other")
    assert unlisted(tmp_path / "x", files) == ["other"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no list of files"),
        ({"a": {"sha256": 1, "size": 1}}, "no list of files"),
        ({"a": {"sha256": "x"}}, "no list of files"),
        ({"../a": {"sha256": "x", "size": 1}}, "names a file outside its folder: ../a"),
        ({"/a": {"sha256": "x", "size": 1}}, "names a file outside its folder: /a"),
    ],
)
def test_listings_that_are_refused(tmp_path: Path, files: object, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        listing_of(tmp_path, {"files": files})


def test_a_form_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    begin(tmp_path / "x")
    replace_forms(tmp_path / "x", {"f": {"f/1": b"old", "f/2": b"old"}, "g": {"g": b"kept"}})
    replace_forms(tmp_path / "x", {"f": {"f/1": b"new"}}, fields={"metrics": 1})
    found = read_manifest(tmp_path / "x")
    assert {name: entry.get("form") for name, entry in found["files"].items()} == {
        "a": None,
        "sub/b": None,
        "f/1": "f",
        "g": "g",
    }
    assert found["metrics"] == 1
    assert damages(tmp_path / "x", found["files"]) == []
    assert unlisted(tmp_path / "x", found["files"]) == []


@pytest.mark.parametrize("step", range(4))
def test_a_crash_at_any_write_leaves_a_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Two commits and two files: four writes. The form is the old one, absent, or the new one, never a mixture."""
    begin(tmp_path / "x")
    replace_forms(tmp_path / "x", {"f": {"f/1": b"old", "f/2": b"old"}})
    real, calls = manifest.write_bytes, []

    def failing(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) > step:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(manifest, "write_bytes", failing)
    with pytest.raises(KeyboardInterrupt):
        replace_forms(tmp_path / "x", {"f": {"f/1": b"new", "f/2": b"new"}})
    files = read_manifest(tmp_path / "x")["files"]
    assert damages(tmp_path / "x", files) == []
    assert sorted(files) == (["a", "f/1", "f/2", "sub/b"] if step == 0 else ["a", "sub/b"])
    monkeypatch.undo()
    replace_forms(tmp_path / "x", {"f": {"f/1": b"new", "f/2": b"new"}})
    assert damages(tmp_path / "x", read_manifest(tmp_path / "x")["files"]) == []


def test_which_manifest_a_folder_has(tmp_path: Path) -> None:
    assert manifest_name(tmp_path) == "artifact.json"
    (tmp_path / EXPORT_MANIFEST).touch()
    assert manifest_name(tmp_path) == EXPORT_MANIFEST
    (tmp_path / "artifact.json").touch()
    assert manifest_name(tmp_path) == "artifact.json"


def test_manifests_that_nobody_wrote(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (saved / "artifact.json").write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="damaged: not the JSON that was written"):
        load_artifact(saved)
    (saved / "artifact.json").write_text(json.dumps({"a": float("nan"), "self_sha256": ""}))
    with pytest.raises(ArtifactError, match="damaged"):
        load_artifact(saved)
    monkeypatch.setattr(manifest, "MAX_BYTES", 5)
    with pytest.raises(ArtifactError, match="larger than 5 bytes"):
        load_artifact(saved)


@pytest.mark.parametrize(("old", "new"), [(b"\n", b""), (b"1e-07", b"1E-07"), (b"u00e9", b"u00E9"), (b"}", b"} ")])
def test_the_same_values_in_other_bytes_are_damage(tmp_path: Path, old: bytes, new: bytes) -> None:
    """A flipped bit makes 1E-07 of 1e-07, which reads as the same number."""
    write_manifest(tmp_path, {"format_version": 2, "files": {}, "a": 1e-07, "b": "é"})
    read_manifest(tmp_path)
    content = (tmp_path / "artifact.json").read_bytes()
    assert old in content
    (tmp_path / "artifact.json").write_bytes(content.replace(old, new))
    with pytest.raises(ArtifactError, match="damaged: not the bytes that were written"):
        read_manifest(tmp_path)
    with pytest.raises(verify_onnx.Damaged, match="does not match its hash"):
        verify_onnx.read_manifest(tmp_path)
