"""What a hash cannot tell: an artifact whose files are as somebody wrote them, and make no sense."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from dqh.artifact import load_artifact, read_manifest, verify_golden
from dqh.errors import ArtifactError
from dqh.export.artifact.faiss_form import Lists
from dqh.export.artifact.forms import export_forms
from dqh.export.verify import verify
from tests.artifact.forging import write_files, write_manifest

DATA = Path(__file__).parent / "data"
OLD = ("artifact_v1", "artifact_v2_binary", "artifact_v2_pq")


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "artifact_v2_binary", tmp_path / "binary"))


@pytest.fixture
def pq(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "artifact_v2_pq", tmp_path / "pq"))


def forge(path: Path, file: str, content: bytes) -> None:
    manifest = read_manifest(path)
    write_manifest(path, manifest | {"files": manifest["files"] | write_files(path, {file: content})})


def change(path: Path, field: str, value: Any) -> None:
    """Change one field, `a.b` in an object; None as text takes it away."""
    manifest = read_manifest(path)
    inner, (*above, last) = manifest, field.split(".")
    for name in above:
        inner = inner[name]
    if value == "removed":
        del inner[last]
    else:
        inner[last] = value
    write_manifest(path, manifest)


def refused(path: Path, text: str) -> None:
    """Reading, verifying and exporting say the same, and nothing is written."""
    before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    for call in (load_artifact, verify, lambda path: export_forms(path, ["faiss"])):
        with pytest.raises(ArtifactError) as found:
            call(path)
        assert text in str(found.value)
        assert "does not describe an artifact: " in str(found.value)
    assert {each: each.read_bytes() for each in path.rglob("*") if each.is_file()} == before


@pytest.mark.parametrize("name", OLD)
def test_what_older_versions_wrote_is_read_verified_and_exported(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copytree(DATA / name, tmp_path / name))
    artifact = load_artifact(path)
    assert verify_golden(artifact, path).flips == 0
    assert verify(path).holds
    export_forms(path, ["faiss"], lists=Lists(2))
    export_forms(path, ["faiss"], lists=Lists(2), out=tmp_path / "out")
    assert verify(path).holds
    assert verify(tmp_path / "out").holds


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("bits", 12.0, "bits must be an integer from 1 to 16777216, got 12.0"),
        ("bits", True, "bits must be an integer"),
        ("bits", 13, "a binary quantizer of 13 dimensions behind a head of 12"),
        ("code_kind", "class_index", "threshold must not be there"),
        ("code_kind", "pq", "codebooks must be there, got threshold"),
        ("code_distance", "l2", "code_distance of binary codes must be 'hamming', got 'l2'"),
        ("bit_rule", "bit = 1", "bit_rule must be 'bit = embedding > threshold'"),
        ("bit_order", "big", "bit_order must be 'little', got 'big'"),
        ("feature.size", -1, "feature.size must be an integer from 1 to 16777216, got -1"),
        ("feature.size", "x", "feature.size must be an integer from 1 to 16777216, got 'x'"),
        ("feature.size", 2, "feature must be {'name': 'stage1', 'size': 1}"),
        ("feature.name", "fc7", "feature must be"),
        ("input.resize", 9.0, "input.resize must be an integer from 1 to 1048576, got 9.0"),
        ("input.size", 2**40, "input.size must be an integer"),
        ("input.mean", [0.4, 0.5, 0.5], "mean must be [0.4, 0.5, 0.5], as artifact.json says, got [0.4, 0.5, 0.6]"),
        ("input.mean", [0.4, 0.5], "input.mean must be a list of 3"),
        ("input.std", [0.5, 0.5, 0.0], "input.std[2] must be a number from 1e-09 to 1000, got 0.0"),
        ("input.std", [0.5, 0.5, 0.4], "std must be [0.5, 0.5, 0.4], as artifact.json says"),
        ("head.dimension", 12.0, "head.dimension must be an integer"),
        ("head.activation", "relu", "head.activation must be"),
        ("head.normalise", "removed", "head.normalise is missing"),
        ("head.normalise", 0, "head.normalise must be False or True, got 0"),
        ("class_names", ["a"], "class_names must be 10 names, as many as classes, got 1"),
        ("class_names", [0] * 10, "class_names[0] must be a text that is not empty, got 0"),
        ("class_names", [""] * 10, "class_names[0] must be a text that is not empty, got ''"),
        ("class_names", ["a"] * 10, "class_names must name nothing twice, got 'a' again"),
        ("data.name", "mnist", "it is not the split that artifact.json describes: data.name 'mnist', here 'digits'"),
        ("data.split", "full", "data.split 'full', here 'counts'"),
        ("data.seed", 77, "data.seed 77, here 0"),
        ("data.seed", -1, "data.seed must be an integer from 0"),
        ("training", {"search": {"pool": 2**70}}, "training.search.pool must be an integer from 1 to 9007199254740992"),
        ("training", {"search": {"within": [2, 2]}}, "training.search.within must name nothing twice, got 2 again"),
        ("training", {"search": {"map_cutoffs": [0]}}, "training.search.map_cutoffs[0] must be an integer from 1"),
        ("training", {"threads": "x"}, "training.threads must be an integer from 1"),
        ("metrics", [], "metrics must be an object, got []"),
        ("metrics", {"accuracy": 1.5}, "metrics.accuracy must be a number from 0 to 1, got 1.5"),
        ("metrics", {"rows": [{"search": "binary", "mAP@all": -1}]}, "metrics.rows[0].mAP@all must be a number"),
        ("metrics", {"rows": [{"mAP@all": 1}]}, "metrics.rows[0].search is missing"),
        ("metrics", {"protocol": {"query": -1}}, "metrics.protocol.query must be an integer from 0"),
        ("classes", None, "classes must be a number where there is classifier.safetensors"),
        ("data", [], "data must be an object, got []"),
        ("data.split_sha256", "0" * 64, "it is not the split that artifact.json names in data.split_sha256"),
        ("method", "removed", "method is missing"),
        ("training", "x", "training must be an object"),
        ("versions", {"dqh": 1}, "versions.dqh must be a text"),
        ("surprise", 1, "surprise is unknown to this version of dqh"),
        ("encoder_id", "x", "encoder_id must be 64 hexadecimal digits"),
        ("encoder_id", "0" * 64, "names another encoder than its weights make"),
    ],
)
def test_fields_that_make_no_sense(field: str, value: Any, text: str, binary: Path) -> None:
    change(binary, field, value)
    refused(binary, text)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("product_quantizer.codewords", 8, "product_quantizer must be"),
        ("product_quantizer", "removed", "product_quantizer must be"),
        ("code_distance", "hamming", "code_distance of pq codes must be 'l2' or 'ip', got 'hamming'"),
    ],
)
def test_fields_of_product_quantized_codes(field: str, value: Any, text: str, pq: Path) -> None:
    change(pq, field, value)
    refused(pq, text)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("file", ["encoder.safetensors", "classifier.safetensors", "quantizer.safetensors"])
def test_numbers_that_are_not_finite(file: str, value: float, binary: Path) -> None:
    state = load_file(binary / file)
    name = next(name for name, tensor in state.items() if tensor.is_floating_point() and name not in ("mean", "std"))
    state[name].view(-1)[0] = value
    forge(binary, file, save(state))
    refused(binary, f"{name} must be finite, it holds NaN or infinity")


def test_a_variance_that_cannot_be(binary: Path) -> None:
    """Its root is no number, and so is no embedding."""
    state = load_file(binary / "encoder.safetensors")
    name = next(name for name in state if name.endswith("running_var"))
    state[name][0] = -0.5
    forge(binary, "encoder.safetensors", save(state))
    refused(binary, f"{name} must not be negative, it is a variance, got -0.5")


def test_what_younger_versions_add_is_read(binary: Path) -> None:
    change(binary, "training", {"epochs": 1, "search": {"pool": 5, "depth": 3}, "mood": "good"})
    change(binary, "metrics", {"rows": [{"search": "new", "mAP@all": None, "joules": 7}], "ranking": None, "more": {}})
    assert load_artifact(binary).training["mood"] == "good"
    assert verify(binary).holds


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seed": -1}, "seed must be an integer from 0 to 9223372036854775807, got -1"),
        ({"seed": 10**400}, "seed must be an integer from 0"),
        ({"query": []}, "query must be a list of at least 1"),
        ({"train": ["2"], "validation": ["2"]}, "train and validation must share no id, 1 are in both, such as '2'"),
        ({"query": ["7", "7"]}, "query must name nothing twice, got '7' again"),
    ],
)
def test_a_split_that_makes_no_sense(changes: dict[str, Any], problem: str, binary: Path) -> None:
    """Its own hash, and those that the manifest has of it, are right."""
    split = replace(load_artifact(binary).split, **changes)
    forge(binary, "split.json", json.dumps(split.to_json()).encode())
    change(binary, "data.split_sha256", split.sha256)
    refused(binary, problem)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (lambda books: books * 0, "all codewords of a subspace are equal, in every subspace"),
        (lambda books: books * 0 + 7, "all codewords of a subspace are equal, in every subspace"),
        (lambda books: torch.sign(books) * 1e38, "squared distances between what codes stand for overflow float32"),
    ],
)
def test_codebooks_that_tell_nothing_apart(value: Any, problem: str, pq: Path) -> None:
    state = load_file(pq / "quantizer.safetensors")
    forge(pq, "quantizer.safetensors", save(state | {"codebooks": value(state["codebooks"]).contiguous()}))
    refused(pq, problem)


@pytest.mark.parametrize("name", ["codebooks", "rotation"])
def test_codebooks_that_are_not_finite(name: str, pq: Path) -> None:
    state = load_file(pq / "quantizer.safetensors")
    state[name].view(-1)[0] = float("nan")
    forge(pq, "quantizer.safetensors", save(state))
    refused(pq, f"{name} must be finite")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.complex64, torch.bool])
def test_weights_of_another_type(dtype: torch.dtype, binary: Path) -> None:
    state = load_file(binary / "encoder.safetensors")
    state["head.linear.weight"] = state["head.linear.weight"].to(dtype)
    forge(binary, "encoder.safetensors", save(state))
    refused(binary, "head.linear.weight must be float32 of shape (12, 1), got")


def test_all_that_is_wrong_is_told_together(binary: Path) -> None:
    state = load_file(binary / "encoder.safetensors")
    state["head.linear.bias"][0] = float("nan")
    forge(binary, "encoder.safetensors", save(state))
    forge(binary, "quantizer.safetensors", save({"threshold": torch.tensor(0.5)}))
    forge(binary, "split.json", b"[" * 100_000)
    for text in ("head.linear.bias must be finite", "must be float64", "split.json is no JSON"):
        refused(binary, text)


def test_exported_forms_are_checked_alone(pq: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_forms(pq, ["faiss"], out=out, lists=Lists(2))
    fields = json.loads((out / "export.json").read_bytes())
    del fields["self_sha256"]
    write_manifest(out, fields | {"product_quantizer": None, "bits": 6.0}, "export.json")
    with pytest.raises(ArtifactError, match=r"bits must be an integer .* product_quantizer must be an object"):
        verify(out)
