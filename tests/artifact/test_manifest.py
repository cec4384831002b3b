"""The manifest: hashed, in front of nothing but regular files below its folder, each where such a file belongs."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqh.artifact import load_artifact, manifest
from dqh.artifact.manifest import (
    EXPORT_MANIFEST,
    damages,
    listing_of,
    manifest_name,
    read_listed,
    read_manifest,
    unlisted,
)
from dqh.errors import ArtifactError, NoArtifactError
from dqh.export import verify_onnx
from tests.artifact.forging import write_files, write_manifest

HASH = "0" * 64


def begin(path: Path) -> dict[str, Any]:
    path.mkdir()
    files = write_files(path, {"split.json": b"1", "golden/b": b"2"})
    write_manifest(path, {"format_version": 2, "files": files})
    return files


def test_files_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    begin(tmp_path / "x")
    files = listing_of(tmp_path / "x", read_manifest(tmp_path / "x"))
    assert damages(tmp_path / "x", files) == []
    assert read_listed(tmp_path / "x", files, "golden/b") == b"2"
    (tmp_path / "x" / "split.json").write_bytes(b"3")
    (tmp_path / "x" / "golden" / "b").unlink()
    (tmp_path / "x" / "other").touch()
    (tmp_path / "x" / "link").symlink_to(tmp_path)
    found = damages(tmp_path / "x", files)
    assert [each.partition(" is ")[2].split(":")[0] for each in found] == ["incomplete", "damaged"]
    with pytest.raises(ArtifactError, match=r"split.json is damaged: it does not match the hash in artifact.json"):
        read_listed(tmp_path / "x", files, "split.json")
    with pytest.raises(ArtifactError, match=r"incomplete: golden/b is missing"):
        read_listed(tmp_path / "x", files, "golden/b")
    with pytest.raises(ArtifactError, match=r"does not list other"):
        read_listed(tmp_path / "x", files, "other")
    assert unlisted(tmp_path / "x", files) == ["link", "other"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"files must be an object, got \[\]"),
        ({"split.json": {"sha256": 1, "size": 1}}, "files.split.json.sha256 must be 64 hexadecimal digits, got 1"),
        ({"split.json": {"sha256": HASH}}, "files.split.json.size is missing"),
        (
            {"split.json": {"sha256": HASH, "size": True}},
            r"files.split.json.size must be an integer from 0 to \d+, got True",
        ),
        (
            {"split.json": {"sha256": HASH, "size": -1}},
            r"files.split.json.size must be an integer from 0 to \d+, got -1",
        ),
        ({"split.json": {"sha256": HASH, "size": 2**40}}, "wanted at most 4294967296"),
        ({"split.json": {"sha256": HASH, "size": 1, "form": []}}, r"files.split.json.form must be .*, got \[\]"),
        ({"split.json": {"sha256": HASH, "size": 1, "more": 1}}, "files.split.json.more is unknown"),
        ({"../a": {"sha256": HASH, "size": 1}}, "'../a' lies outside the folder"),
        ({"/a": {"sha256": HASH, "size": 1}}, "'/a' lies outside the folder"),
        ({"faiss/../encoder.onnx": {"sha256": HASH, "size": 1, "form": "faiss"}}, "lies outside the folder"),
        ({"golden//b": {"sha256": HASH, "size": 1}}, "is not how a name is written here"),
        ({"thesis.txt": {"sha256": HASH, "size": 1}}, "'thesis.txt' is said to be of no form, whose files are encoder"),
        ({"artifact.json": {"sha256": HASH, "size": 1, "form": "faiss"}}, "of the form faiss, whose files are faiss/"),
        ({"encoder.safetensors": {"sha256": HASH, "size": 1, "form": "onnx"}}, "files are encoder.onnx, verify_onnx"),
        ({"encoder.onnx": {"sha256": HASH, "size": 1}}, "'encoder.onnx' is said to be of no form"),
        ({"a/b": {"sha256": HASH, "size": 1, "form": "coreml"}}, "form 'coreml', known are onnx, pt2, faiss, triton"),
        ({"parquet/b": {"sha256": HASH, "size": 1, "form": "parquet"}}, "form 'parquet', known are onnx"),
    ],
)
def test_listings_that_are_refused(tmp_path: Path, files: object, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        listing_of(tmp_path, {"files": files})


def test_an_index_has_other_forms(tmp_path: Path) -> None:
    entry = {"sha256": HASH, "size": 1, "form": "parquet"}
    assert listing_of(tmp_path, {"kind": "index", "files": {"parquet/b": entry}}) == {"parquet/b": entry}
    for file, form in (("encoder.onnx", "onnx"), ("faiss/b", "parquet")):
        with pytest.raises(ArtifactError, match="form"):
            listing_of(tmp_path, {"kind": "index", "files": {file: entry | {"form": form}}})


def pipe(file: Path) -> None:
    os.mkfifo(file)


def bound_socket(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(file))


def device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def link(file: Path) -> None:
    """To a file with the very content."""
    other = file.parent.parent.parent / "other"
    other.write_bytes(b"2")
    file.symlink_to(other)


KINDS = [(pipe, "a named pipe"), (bound_socket, "a socket"), (device, "symbolic link"), (link, "symbolic link")]


@pytest.mark.parametrize(("make", "text"), KINDS)
def test_nothing_but_regular_files_is_opened(
    make: Callable[[Path], None], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, file = begin(tmp_path / "x"), tmp_path / "x" / "golden" / "b"
    file.unlink()
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    make(file)
    assert text in damages(tmp_path / "x", files)[0]
    with pytest.raises(ArtifactError, match=text):
        read_listed(tmp_path / "x", files, "golden/b")
    (tmp_path / "x" / "artifact.json").unlink()
    make(tmp_path / "x" / "artifact.json")
    with pytest.raises(ArtifactError, match=text):
        read_manifest(tmp_path / "x")


def test_a_folder_on_the_way_that_is_a_link(tmp_path: Path) -> None:
    files = begin(tmp_path / "x")
    (tmp_path / "x" / "golden").rename(tmp_path / "golden")
    (tmp_path / "x" / "golden").symlink_to(tmp_path / "golden")
    assert "golden is a symbolic link" in damages(tmp_path / "x", files)[0]
    with pytest.raises(ArtifactError, match="golden is a symbolic link"):
        read_listed(tmp_path / "x", files, "golden/b")


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    files = begin(tmp_path / "x")
    (tmp_path / "y").symlink_to(tmp_path / "x")
    assert read_manifest(tmp_path / "y")["files"] == files
    assert damages(tmp_path / "y", files) == []
    assert read_listed(tmp_path / "y", files, "golden/b") == b"2"


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    files = begin(tmp_path / "x")
    (tmp_path / "x" / "split.json").unlink()
    (tmp_path / "x" / "split.json").mkdir()
    assert "split.json is damaged: Is a directory" in damages(tmp_path / "x", files)[0]
    (tmp_path / "z" / "artifact.json").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="damaged: Is a directory"):
        read_manifest(tmp_path / "z")
    with pytest.raises(NoArtifactError):
        read_manifest(tmp_path)


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
    with pytest.raises(verify_onnx.Damaged, match="damaged: not the bytes that were written"):
        verify_onnx.read_manifest(tmp_path)
