"""The artifact: bit-for-bit round trip, and every kind of damage found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.artifact import (
    Artifact,
    golden_files,
    load_artifact,
    read_manifest,
    record_metrics,
    save_artifact,
    verify_golden,
)
from dqh.errors import ArtifactError
from dqh.models import HashHead
from dqh.quantizers import ProductQuantizer, Threshold
from tests.artifact.conftest import images, make
from tests.artifact.forging import write_manifest


def test_the_reloaded_artifact_is_the_same_bit_for_bit(saved: Path) -> None:
    artifact, loaded = make(), load_artifact(saved)
    batch = torch.from_numpy(images(7))
    with torch.inference_mode():
        before, after = artifact.encoder(batch), loaded.encoder(batch)
    assert torch.equal(before.embedding, after.embedding)
    assert torch.equal(before.features, after.features)
    assert torch.equal(artifact.classifier.weight, loaded.classifier.weight)
    assert (loaded.quantizer.bits, loaded.quantizer.threshold) == (12, 0.5)
    assert loaded.split == artifact.split
    assert (loaded.class_names, loaded.training, loaded.method) == (artifact.class_names, {"epochs": 1}, "dlbhc")
    assert not loaded.encoder.training
    assert loaded.encoder_id == artifact.encoder_id == read_manifest(saved)["encoder_id"]


@pytest.mark.parametrize(("rotated", "distance"), [(False, "ip"), (True, "l2")])
def test_product_quantized_codes_reload_bit_for_bit(rotated: bool, distance: str, tmp_path: Path) -> None:
    """D = 12 in M = 3 subspaces of K = 4, z of length 1: 6 bits; the manifest says what is in the codebooks."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0].astype(np.float32) if rotated else None
    codebooks = rng.normal(size=(3, 4, 4)).astype(np.float32)
    quantizer = ProductQuantizer.from_codebooks(codebooks, rotation=rotation, distance=distance)
    encoder = make().encoder
    encoder.head = HashHead(encoder.backbone.dimension, 12, activation="tanh", normalise=True)
    artifact = Artifact(**{**vars(make()), "encoder": encoder.eval(), "quantizer": quantizer, "classifier": None})
    save_artifact(artifact, tmp_path / "a", golden=golden_files(artifact, images()))
    loaded = load_artifact(tmp_path / "a")
    with torch.inference_mode():
        before, after = (each.encoder(torch.from_numpy(images(7))).embedding for each in (artifact, loaded))
    assert torch.equal(before, after)
    assert torch.allclose(after.norm(dim=1), torch.ones(7))
    assert np.array_equal(loaded.quantizer.encode(after.numpy()), quantizer.encode(before.numpy()))
    assert np.array_equal(
        loaded.quantizer.decode(quantizer.encode(before.numpy())), quantizer.decode(quantizer.encode(before.numpy()))
    )
    manifest = read_manifest(tmp_path / "a")
    assert (manifest["code_kind"], manifest["bits"], manifest["code_distance"]) == ("pq", 6, distance)
    assert loaded.quantizer.distance == distance
    assert manifest["product_quantizer"] == {"subspaces": 3, "codewords": 4, "dimension": 12, "rotated": rotated}
    assert verify_golden(loaded, tmp_path / "a") == (4, 0, 0, 0.0)


def test_a_quantizer_of_other_dimensions_than_the_head_is_refused(tmp_path: Path) -> None:
    codebooks = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    artifact = Artifact(**{**vars(make()), "quantizer": Threshold(12)})
    save_artifact(artifact, tmp_path / "a", golden={})
    other = Artifact(**{**vars(make()), "quantizer": ProductQuantizer.from_codebooks(codebooks)})
    with pytest.raises(ArtifactError, match=r"not written: .* a pq quantizer of 8 dimensions behind a head of 12"):
        save_artifact(other, tmp_path / "b", golden={})
    assert not (tmp_path / "b").exists()


def test_the_encoder_id_changes_with_weights_threshold_and_input() -> None:
    artifact = make()
    ids = {artifact.encoder_id, make(seed=1).encoder_id}
    ids.add(Artifact(**{**vars(artifact), "quantizer": Threshold(12, threshold=0.4)}).encoder_id)
    artifact.encoder.spec = type(artifact.encoder.spec)(size=16, resize=18)
    ids.add(artifact.encoder_id)
    assert len(ids) == 4


def test_loading_draws_no_random_numbers(saved: Path) -> None:
    before = torch.get_rng_state()
    load_artifact(saved)
    assert torch.equal(before, torch.get_rng_state())


def test_metrics_enter_in_one_step_and_keep_the_id(saved: Path) -> None:
    before = read_manifest(saved)
    record_metrics(saved, {"rows": [{"search": "binary", "mAP@all": 0.5}]})
    after = read_manifest(saved)
    assert after.pop("metrics") == {"rows": [{"search": "binary", "mAP@all": 0.5}]}
    assert {**after, "metrics": None} == before
    load_artifact(saved)


def test_the_manifest_is_canonical_and_hashes_itself_last(saved: Path) -> None:
    text = (saved / "artifact.json").read_text()
    assert list(json.loads(text))[-1] == "self_sha256"
    keys = list(json.loads(text))[:-1]
    assert keys == sorted(keys)


FILES = ("encoder.safetensors", "quantizer.safetensors", "classifier.safetensors", "split.json", "artifact.json")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_every_damage_is_found(saved: Path, name: str, damage: str) -> None:
    file = saved / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    elif damage == "truncate":
        file.write_bytes(content[:-1] if name != "artifact.json" else content[:-3])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"damaged|missing"):
        load_artifact(saved)


def test_an_artifact_is_not_overwritten(saved: Path) -> None:
    with pytest.raises(ArtifactError, match="already holds an artifact; choose another folder"):
        save_artifact(make(), saved, golden={})


def test_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no artifact at .*give the artifact/ folder of a run"):
        load_artifact(tmp_path)


def rewrite(path: Path, **fields: object) -> None:
    """Change fields of a manifest and hash it again, as someone with bad intentions would."""
    write_manifest(path, read_manifest(path) | fields)


def test_a_newer_format_is_refused(saved: Path) -> None:
    rewrite(saved, format_version=3)
    with pytest.raises(ArtifactError, match="format version 3, this version of dqh reads 1 and 2"):
        load_artifact(saved)


def test_a_dotted_path_is_never_imported(saved: Path) -> None:
    rewrite(saved, backbone={"name": "os.system", "arguments": {}})
    with pytest.raises(ArtifactError, match=r"names backbone 'os.system', known are alexnet"):
        load_artifact(saved)


def test_codes_of_an_unknown_kind_are_refused(saved: Path) -> None:
    rewrite(saved, code_kind="rq")
    with pytest.raises(ArtifactError, match="code_kind must be 'class_index' or 'pq' or 'binary', got 'rq'"):
        load_artifact(saved)


def test_a_file_outside_the_folder_is_never_read(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    files = read_manifest(saved)["files"]
    rewrite(saved, files={**files, "../secret": {"sha256": "0" * 64, "size": 1}})
    with pytest.raises(ArtifactError, match=r"'../secret' lies outside the folder"):
        load_artifact(saved)


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    rewrite(saved, backbone={"name": "small_resnet", "arguments": {"width": 8, "blocks": [1, 1, 1], "tap": "pool"}})
    with pytest.raises(ArtifactError, match="does not fit the network"):
        load_artifact(saved)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"files": {}}, "does not list encoder.safetensors"),
        ({"bits": "many"}, "does not describe an artifact"),
        ({"input": {"size": 16}}, "does not describe an artifact"),
        ({"head": None}, "does not describe an artifact"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(saved: Path, fields: dict, message: str) -> None:
    rewrite(saved, **fields)
    with pytest.raises(ArtifactError, match=message):
        load_artifact(saved)


@pytest.mark.parametrize(
    "fields",
    [
        {
            "backbone": {
                "name": "small_resnet",
                "arguments": {"width": 4, "blocks": [1, 1, 1], "tap": "pool", "weights": "x"},
            }
        },
        {"backbone": {"name": "resnet18", "arguments": {"tap": "pool5", "download": True}}},
        {"backbone": {"name": "small_resnet", "arguments": {"width": 4, "blocks": [10**9, 1, 1], "tap": "pool"}}},
        {"backbone": {"name": "small_resnet", "arguments": []}},
        {"head": {"dimension": 5, "activation": "sigmoid", "normalise": False}},
        {"bits": 5},
        {"classes": -1},
        {"files": []},
        {"encoder_id": "0" * 64},
    ],
)
def test_a_manifest_with_bad_intentions_ends_in_an_artifact_error(
    saved: Path, fields: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *arguments, **more: pytest.fail("a pickle was opened"))
    rewrite(saved, **fields)
    with pytest.raises(ArtifactError):
        load_artifact(saved)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"self_sha256": 3}'])
def test_json_that_is_no_manifest(saved: Path, text: str) -> None:
    (saved / "artifact.json").write_text(text)
    with pytest.raises(ArtifactError, match="damaged"):
        load_artifact(saved)


V1 = Path(__file__).parent / "data" / "artifact_v1"


def test_format_version_1_still_reads() -> None:
    """The stored artifact was written by the code before version 2; its golden answers are of that time too."""
    assert read_manifest(V1)["format_version"] == 1
    artifact = load_artifact(V1)
    assert (artifact.encoder.head.normalise, artifact.quantizer.bits, artifact.method) == (False, 12, "dlbhc")
    verdict = verify_golden(artifact, V1)
    assert (verdict.inputs, verdict.flips, verdict.holds) == (3, 0, True)


def test_version_1_with_other_weights_than_its_id_is_refused(tmp_path: Path) -> None:
    shutil.copytree(V1, tmp_path / "a")
    rewrite(tmp_path / "a", encoder_id="0" * 64)
    with pytest.raises(ArtifactError, match="names another encoder than its weights make"):
        load_artifact(tmp_path / "a")


def test_metrics_enter_an_artifact_of_version_1_too(tmp_path: Path) -> None:
    shutil.copytree(V1, tmp_path / "a")
    record_metrics(tmp_path / "a", {"rows": []})
    assert read_manifest(tmp_path / "a")["metrics"] == {"rows": []}
    load_artifact(tmp_path / "a")
