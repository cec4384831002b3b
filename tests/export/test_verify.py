"""Verification: every damaged byte is found, every runtime here gives the golden answers, nothing is trusted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.artifact import load_artifact, read_manifest
from dqh.encoding import form_process as form
from dqh.errors import ArtifactError
from dqh.export import verify, verify_onnx
from dqh.export.artifact.forms import export_forms
from dqh.export.verify import verify as verify_folder
from tests.artifact.conftest import KINDS
from tests.artifact.forging import write_files, write_manifest
from tests.artifact.test_artifact import V1
from tests.artifact.test_reading import npy
from tests.encoding.test_onnx_session import endless

LATENT = "faiss/latent.faiss"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_runtime_gives_the_golden_answers(kind: str, formed: Callable[[str], Path]) -> None:
    found = verify_folder(formed(kind), trust=True)
    assert found.holds
    assert found.damaged == found.unlisted == ()
    assert found.files == len(read_manifest(formed(kind))["files"])
    files = [run.file for run in found.runs]
    assert files[:3] == ["encoder.safetensors", "encoder.onnx", "encoder.pt2"]  # triton's model is the same bytes
    assert {Path(each).suffix for each in files[3:]} == {".faiss"}
    assert all(run.verdict is not None and run.verdict.flips == 0 for run in found.runs)
    # of two equal codewords faiss may name either behind a rotation: which ones are equal depends on the processor
    ties = {run.file: run.verdict.soft for run in found.runs if run.verdict is not None}
    assert not any(soft for file, soft in ties.items() if kind != "pq" or ".faiss" not in file), ties
    assert found.text().endswith("all is well")
    assert found.to_json()["runs"][1]["verdict"]["inputs"] == (5 if kind == "binary" else 4)


def test_a_program_is_not_unpickled_without_trust(
    formed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ProgramForm", lambda content: pytest.fail("a program was loaded"))
    found = verify_folder(formed("binary"))
    (program,) = [run for run in found.runs if run.file == "encoder.pt2"]
    assert program.verdict is None
    assert "not run: loading it unpickles; add --trust" in program.text()
    assert found.holds


def test_a_damaged_program_is_not_unpickled_even_with_trust(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ProgramForm", lambda content: pytest.fail("a program was loaded"))
    path = copied("binary")
    with (path / "encoder.pt2").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    found = verify_folder(path, trust=True)
    assert not found.holds
    assert found.runs == ()
    assert "encoder.pt2 is damaged" in found.text()


def test_a_missing_runtime_is_told(formed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "find_spec", lambda name: None)
    (run,) = [each for each in verify_folder(formed("binary")).runs if each.runtime == "onnx"]
    assert run.note == "not run: onnxruntime is not installed; uv sync --inexact --extra onnx"
    assert run.holds


def forge(path: Path, file: str, content: bytes) -> None:
    """Put in another file and hash it, as someone with bad intentions would."""
    manifest = read_manifest(path)
    form = manifest["files"].get(file, {}).get("form")
    write_manifest(path, manifest | {"files": manifest["files"] | write_files(path, {file: content}, form=form)})


@pytest.mark.slow
def test_other_answers_are_found_on_every_runtime(copied: Callable[[str], Path]) -> None:
    path = copied("binary")
    codes = np.load(path / "golden" / "codes.npy")
    codes[2, 0] ^= 5
    forge(path, "golden/codes.npy", npy(codes))
    found = verify_folder(path, trust=True)
    assert not found.holds
    for run in found.runs[:3]:
        assert (run.verdict.flips, run.verdict.soft, run.holds) == (2, 0, False)
    assert found.text().endswith("NOT as it was written")


@pytest.mark.slow
def test_forms_of_another_encoder_are_found(copied: Callable[[str], Path], formed: Callable[[str], Path]) -> None:
    """The vectors' encoder stands in for the images' one, hashed anew; what is its own is verified all the same."""
    path, other = copied("binary"), formed("wide_pq")
    files = {"encoder.onnx": "encoder.onnx", "encoder.pt2": "encoder.pt2"} | {
        "faiss/binary_flat.faiss": "faiss/pq_l2.faiss"
    }
    for file, source in files.items():
        forge(path, file, (other / source).read_bytes())
    found = verify_folder(path, trust=True)
    assert {run.file for run in found.runs if run.failure} == {*files}
    assert {run.file for run in found.runs if run.verdict and run.holds} >= {"encoder.safetensors", LATENT}
    assert not found.holds


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04\x95."])
def test_forged_files_end_in_failed_runs(content: bytes, copied: Callable[[str], Path]) -> None:
    """Each in its own; what is as it was written is verified all the same."""
    path, files = copied("binary"), ["encoder.onnx", "encoder.pt2", LATENT]
    for file in files:
        forge(path, file, content)
    found = verify_folder(path, trust=True)
    assert [run.file for run in found.runs if not run.holds] == files
    assert {run.file for run in found.runs if run.verdict} >= {"encoder.safetensors", "faiss/binary_flat.faiss"}


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04\x95."])
def test_forged_weights_are_refused(content: bytes, saved: Path) -> None:
    forge(saved, "encoder.safetensors", content)
    with pytest.raises(ArtifactError, match=r"does not describe an artifact: encoder\.safetensors cannot be read"):
        verify_folder(saved)


@pytest.mark.parametrize("kind", ["faiss", "onnx"])
def test_a_file_that_is_cut_off_but_hashed_ends_in_a_failed_run(kind: str, copied: Callable[[str], Path]) -> None:
    """Behind a good header; what comes after it is verified all the same."""
    path = copied("binary")
    file = {"faiss": "faiss/binary_flat.faiss", "onnx": "encoder.onnx"}[kind]
    forge(path, file, (path / file).read_bytes()[:-9])
    found = verify_folder(path)
    assert [run.file for run in found.runs if not run.holds] == [file]
    assert {run.file for run in found.runs if run.verdict} >= {"faiss/binary_ivf.faiss", "faiss/latent.faiss"}


def test_what_does_not_end_is_a_failed_run(copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "RUN_SECONDS", 0.2)
    monkeypatch.setattr(form, "INPUT_SECONDS", 0.1)
    path = copied("class_index")
    forge(path, "encoder.onnx", endless())
    (run,) = [each for each in verify_folder(path).runs if not each.holds]
    assert run.file == "encoder.onnx"
    assert "not done after 0.6 seconds, the most that it may take; it was ended" in run.text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("features", np.full((5, 16), np.nan, np.float32), "features.npy holds numbers that are not finite"),
        ("features", np.full((5, 16), np.inf, np.float32), "features.npy holds numbers that are not finite"),
        ("features", np.zeros((5, 16)), "features.npy holds float64, wanted float32"),
        ("features", np.zeros((5, 16), np.complex64), "features.npy holds complex64, wanted float32"),
        ("features", np.zeros((5, 17), np.float32), r"5 codes and features of shape \(5, 17\)"),
        ("features", np.zeros(80, np.float32), r"features of shape \(80,\)"),
        ("codes", np.zeros((5, 2), bool), "codes.npy holds bool, wanted uint8"),
        ("codes", np.zeros((4, 2), np.uint8), "5 inputs, 4 codes"),
        ("codes", np.zeros((5, 3), np.uint8), "codes of 12 bits must be uint8"),
        ("inputs", np.zeros((0, 3, 16, 16), np.uint8), "inputs of shape"),
        ("inputs", np.zeros((4, 16, 16, 3), np.uint8), "inputs of shape"),
        ("inputs", np.zeros((), np.uint8), r"inputs of shape \(\)"),
        ("inputs", np.zeros((4, 3, 16, 16), np.float32), "inputs.npy holds float32, wanted uint8"),
    ],
)
def test_golden_files_that_make_no_sense_are_named(
    file: str, array: np.ndarray, message: str, copied: Callable[[str], Path]
) -> None:
    path = copied("binary")
    forge(path, f"golden/{file}.npy", npy(array))
    with pytest.raises(ArtifactError, match=message):
        verify_folder(path)
    with pytest.raises(verify_onnx.Damaged, match=r"golden/|encoder.onnx answers codes .* wanted"):
        verify_onnx.verify(verify_onnx.Form(path))


def test_vectors_that_are_not_finite_are_named(copied: Callable[[str], Path]) -> None:
    path = copied("class_index")
    forge(path, "golden/inputs.npy", npy(np.full((4, 5), np.inf, np.float32)))
    with pytest.raises(ArtifactError, match=r"inputs.npy holds numbers that are not finite"):
        verify_folder(path)


@pytest.mark.slow
def test_every_flip_and_truncation_is_found(copied: Callable[[str], Path]) -> None:
    """Two flipped bits and two truncations a file: verify names the file; what load reads it refuses, too."""
    path, generator = copied("binary"), np.random.default_rng(0)
    reads = {"artifact.json", "encoder.safetensors", "quantizer.safetensors", "classifier.safetensors", "split.json"}
    files = ["artifact.json", *read_manifest(path)["files"]]
    assert len(files) >= 15
    for name in files:
        original = (path / name).read_bytes()
        damaged = [original[: generator.integers(len(original))] for _ in range(2)]
        for place in generator.integers(len(original), size=2):
            content = bytearray(original)
            content[place] ^= 1 << int(generator.integers(8))
            damaged.append(bytes(content))
        for content in damaged:
            (path / name).write_bytes(content)
            if name == "artifact.json":
                with pytest.raises(ArtifactError):
                    verify_folder(path)
            else:
                found = verify_folder(path)
                assert [name in each for each in found.damaged] == [True]
                assert found.runs == ()
            if name in reads:
                with pytest.raises(ArtifactError):
                    load_artifact(path)
            else:
                load_artifact(path)
        (path / name).write_bytes(original)
    assert verify_folder(path).holds


@pytest.mark.slow
def test_version_1_is_verified(tmp_path: Path) -> None:
    assert verify_folder(V1).holds
    export_forms(V1, ["pt2"], out=tmp_path / "out")
    assert verify_folder(tmp_path / "out", trust=True).holds


def test_files_that_nobody_vouches_for_are_named(copied: Callable[[str], Path]) -> None:
    path = copied("binary")
    (path / "golden" / "more.npy").touch()
    found = verify_folder(path)
    assert found.unlisted == ("golden/more.npy",)
    assert found.holds


@pytest.mark.parametrize("fields", [{"bits": "many"}, {"input": None}, {"code_kind": 3}, {"feature": []}])
def test_a_manifest_that_makes_no_sense(saved: Path, fields: dict) -> None:
    write_manifest(saved, read_manifest(saved) | fields)
    with pytest.raises(ArtifactError):
        verify_folder(saved)


def test_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact at"):
        verify_folder(tmp_path)
    shutil.copy(V1 / "artifact.json", tmp_path)
    assert len(verify_folder(tmp_path).damaged) == 8
