"""Forms go into the artifact, or into a folder of their own; what is there already is never harmed."""

import errno
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from dqh.artifact import load_artifact, read_manifest
from dqh.artifact.manifest import EXPORT_MANIFEST, damages, unlisted
from dqh.errors import ArtifactError, ConfigError
from dqh.export.artifact import forms
from dqh.export.artifact.forms import export_forms
from dqh.export.verify import verify
from tests.artifact.forging import write_manifest
from tests.artifact.test_artifact import V1


def test_forms_in_the_artifact_leave_the_encoder_as_it_was(copied: Callable[[str], Path]) -> None:
    path = copied("binary")
    before = read_manifest(path)
    assert {entry.get("form") for entry in before["files"].values()} == {None, "onnx", "pt2", "faiss", "triton"}
    exported = export_forms(path, ["faiss"])
    after = read_manifest(path)
    assert exported.encoder_id == before["encoder_id"] == after["encoder_id"] == load_artifact(path).encoder_id
    assert {**after, "files": None} == {**before, "files": None}
    assert set(exported.sizes) == {each for each, entry in after["files"].items() if entry.get("form") == "faiss"}
    assert damages(path, after["files"]) == []
    assert unlisted(path, after["files"]) == []


@pytest.mark.slow
def test_a_folder_of_its_own_has_what_checks_it(formed: Callable[[str], Path], tmp_path: Path) -> None:
    path, out = formed("binary"), tmp_path / "new" / "out"
    before = (path / "artifact.json").read_bytes()
    export_forms(path, ["faiss"], out=out)
    export_forms(path, ["pt2"], out=out)  # the same encoder: added
    assert (path / "artifact.json").read_bytes() == before
    manifest = read_manifest(out, EXPORT_MANIFEST)
    assert (manifest["encoder_id"], manifest["bits"]) == (read_manifest(path)["encoder_id"], 12)
    names = {each for each in manifest["files"] if not each.startswith(("golden/", "faiss/"))}
    assert names == {"quantizer.safetensors", "encoder.pt2"}
    found = verify(out, trust=True)
    assert found.holds
    assert [run.file.partition("/")[0] for run in found.runs] == ["encoder.pt2", "faiss", "faiss", "faiss"]


def test_a_folder_with_something_else_is_left_alone(formed: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").touch()
    with pytest.raises(ConfigError, match=r"full is not empty; choose another folder"):
        export_forms(formed("binary"), ["faiss"], out=tmp_path / "full")
    with pytest.raises(ConfigError, match=r"is an artifact; choose another folder"):
        export_forms(formed("binary"), ["faiss"], out=formed("pq"))
    with pytest.raises(ConfigError, match=r"photo.jpg is a file; name a folder"):
        export_forms(formed("binary"), ["faiss"], out=tmp_path / "full" / "photo.jpg")
    export_forms(formed("pq"), ["faiss"], out=tmp_path / "pq")
    with pytest.raises(ArtifactError, match=r"holds forms of encoder \w+, not of \w+; choose another folder"):
        export_forms(formed("binary"), ["faiss"], out=tmp_path / "pq")


def test_a_folder_with_forms_of_an_index_is_left_alone(formed: Callable[[str], Path], tmp_path: Path) -> None:
    """Also of the same encoder: `faiss/` would be both."""
    artifact = formed("binary")
    fields = {"encoder_id": read_manifest(artifact)["encoder_id"], "format_version": 2, "kind": "index", "files": {}}
    write_manifest(tmp_path, fields, EXPORT_MANIFEST)
    with pytest.raises(ConfigError, match="holds forms of an index; choose another folder"):
        export_forms(artifact, ["faiss"], out=tmp_path)


def test_nothing_is_written_where_a_form_cannot_be_made(
    copied: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(artifact: object) -> bytes:
        raise ArtifactError("no")

    monkeypatch.setattr(forms, "exported_program", failing)
    path = copied("binary")
    before = (path / "artifact.json").read_bytes()
    for out in (None, tmp_path / "out"):
        with pytest.raises(ArtifactError, match="no"):
            export_forms(path, ["faiss", "pt2"], out=out)
    assert (path / "artifact.json").read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("asked", "message"), [(["onnx", "tflite"], "got tflite"), ([], "got none")])
def test_unknown_forms(saved: Path, asked: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"to: forms of an artifact are onnx, pt2, faiss, triton, {message}"):
        export_forms(saved, asked)


def test_an_artifact_of_version_1_becomes_one_of_version_2(tmp_path: Path) -> None:
    path = shutil.copytree(V1, tmp_path / "a")
    exported = export_forms(path, ["faiss"])
    manifest = read_manifest(path)
    assert (manifest["format_version"], manifest["head"]["normalise"]) == (2, False)
    assert manifest["encoder_id"] == load_artifact(path).encoder_id == exported.encoder_id
    assert verify(path).holds


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("call", [0, 1, 9, 12])
def test_a_full_disk_leaves_no_folder(
    there: bool, call: int, formed: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, flush = count(), os.fsync

    def full(descriptor: int) -> None:
        if next(calls) >= call:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    out = tmp_path / "new" / "out"
    if there:
        out.mkdir(parents=True)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device") as found:
        export_forms(formed("binary"), ["faiss"], out=out)
    assert call or Path(found.value.filename).is_relative_to(out)  # later ones are of folders too
    assert sorted(tmp_path.rglob("*")) == ([out.parent, out] if there else [])


def test_a_damaged_manifest_says_what_to_export_again(formed: Callable[[str], Path], tmp_path: Path) -> None:
    fields = {"encoder_id": "e", "format_version": 2, "kind": "index", "files": {}}
    write_manifest(tmp_path, fields, EXPORT_MANIFEST)
    file = tmp_path / EXPORT_MANIFEST
    file.write_bytes(file.read_bytes().replace(b'"e"', b'"f"'))
    with pytest.raises(ArtifactError, match="does not match its hash; export the index again"):
        read_manifest(tmp_path, EXPORT_MANIFEST)
    write_manifest(tmp_path, fields | {"kind": "artifact"}, EXPORT_MANIFEST)
    file.write_bytes(file.read_bytes().replace(b'"e"', b'"f"'))
    with pytest.raises(ArtifactError, match="does not match its hash; export the artifact again"):
        read_manifest(tmp_path, EXPORT_MANIFEST)
