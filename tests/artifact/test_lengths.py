"""An artifact of several lengths: each comes out of it as an ordinary one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from dqh.artifact import (
    Artifact,
    Length,
    golden_files,
    load_artifact,
    load_interface,
    read_manifest,
    record_metrics,
    save_artifact,
    verify_golden,
)
from dqh.artifact.lengths import length_of_encoder, lengths_in, of_length
from dqh.artifact.ranking_choice import RankingChoice, chosen_ranking
from dqh.errors import ArtifactError, ConfigError
from dqh.export.artifact.forms import export_forms
from dqh.export.verify import verify
from dqh.models import HashHead
from dqh.quantizers import ProductQuantizer, Threshold
from tests.artifact.conftest import images, inputs_of, make_kind
from tests.artifact.forging import write_files, write_manifest


def several(kind: str = "binary") -> Artifact:
    """12 bits, and 8 and 20 of heads of their own; or 3 × 16 codewords, and 2 × 16 of the same embedding."""
    main = make_kind(kind)
    torch.manual_seed(1)
    if kind == "pq":
        codebooks = np.random.default_rng(1).standard_normal((2, 16, 6)).astype(np.float32)
        return replace(main, lengths={8: Length(main.encoder.head, ProductQuantizer.from_codebooks(codebooks), None)})
    size = main.encoder.backbone.dimension
    lengths = {b: Length(HashHead(size, b).eval(), Threshold(b), nn.Linear(b, 10)) for b in (20, 8)}
    return replace(main, lengths=lengths)


@pytest.fixture(params=["binary", "pq"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Artifact, Path]:
    artifact = several(request.param)
    path = tmp_path / "artifact"
    save_artifact(artifact, path, golden=golden_files(artifact, inputs_of(artifact, 3)))
    return artifact, path


def test_each_length_is_the_artifact_that_it_would_be_alone(saved: tuple[Artifact, Path], tmp_path: Path) -> None:
    made, path = saved
    for bits in made.lengths:
        alone = made.of_length(bits)
        save_artifact(alone, tmp_path / str(bits), golden=golden_files(alone, inputs_of(alone, 3)))
        ordinary, loaded = load_artifact(tmp_path / str(bits)), load_artifact(path, bits=bits)
        assert loaded.encoder_id == ordinary.encoder_id == made.of_length(bits).encoder_id
        assert (loaded.quantizer.bits, dict(loaded.lengths)) == (bits, {})
        assert load_interface(path, bits=bits).encoder_id == ordinary.encoder_id
        assert verify_golden(loaded, path)[1:3] == (0, 0)
        own, wanted = of_length(path, read_manifest(path), bits), read_manifest(tmp_path / str(bits))
        assert {name: own[name] for name in wanted if name != "files"} == {
            name: value for name, value in wanted.items() if name != "files"
        }
        assert length_of_encoder(path, ordinary.encoder_id) == bits


def test_without_a_word_the_main_length_answers(saved: tuple[Artifact, Path], tmp_path: Path) -> None:
    made, path = saved
    main = made.of_length(12)
    save_artifact(main, tmp_path / "main", golden=golden_files(main, inputs_of(main, 3)))
    loaded = load_artifact(path)
    assert loaded.encoder_id == load_artifact(tmp_path / "main").encoder_id
    assert load_artifact(path, bits=12).encoder_id == loaded.encoder_id
    assert set(loaded.lengths) == set(made.lengths)
    assert lengths_in(read_manifest(path)) == tuple(sorted([12, *made.lengths]))
    assert "lengths" not in read_manifest(tmp_path / "main")
    assert length_of_encoder(path, loaded.encoder_id) is None
    assert verify(path).holds


def test_a_length_that_is_not_there_is_refused(saved: tuple[Artifact, Path]) -> None:
    _, path = saved
    there = ", ".join(map(str, lengths_in(read_manifest(path))))
    for load in (load_artifact, load_interface):
        with pytest.raises(ArtifactError, match=f"has codes of {there} bits, got bits=13; ask for one of them"):
            load(path, bits=13)


def test_a_damaged_length_is_found(saved: tuple[Artifact, Path]) -> None:
    _, path = saved
    (path / "lengths" / "8" / "quantizer.safetensors").write_bytes(b"?")
    with pytest.raises(ArtifactError, match=r"lengths/8/quantizer.safetensors is damaged"):
        load_artifact(path, bits=8)
    assert load_artifact(path, bits=12).quantizer.bits == 12
    assert not verify(path).holds


def test_weights_of_another_length_are_found(tmp_path: Path) -> None:
    """Files whose hashes hold, with a head that is not the one whose id the manifest has."""
    artifact, path = several(), tmp_path / "artifact"
    save_artifact(artifact, path, golden=golden_files(artifact, images()))
    weights = {name: -value for name, value in artifact.lengths[8].head.state_dict().items()}
    manifest = read_manifest(path)
    manifest["files"] |= write_files(path, {"lengths/8/head.safetensors": save(weights)})
    write_manifest(path, manifest)
    with pytest.raises(ArtifactError, match="names another encoder than its weights make"):
        load_artifact(path, bits=8)
    with pytest.raises(ArtifactError, match="names another encoder than its weights make"):
        verify(path)


def test_every_length_keeps_its_own_metrics(tmp_path: Path) -> None:
    artifact, path = several(), tmp_path / "artifact"
    save_artifact(artifact, path, golden=golden_files(artifact, images()))
    choice = RankingChoice("codes", "mAP@all", 0.9, 0.8, queries=10, items=100, pool=50)
    record_metrics(path, {"rows": [], "lengths": {"8": {"ranking": {"choice": choice.to_json(), "reason": None}}}})
    assert chosen_ranking(path, bits=8) == choice
    assert chosen_ranking(path, bits=20) is None
    assert chosen_ranking(path) is None
    assert load_artifact(path, bits=8).encoder_id == artifact.of_length(8).encoder_id


def test_forms_of_a_further_length_have_a_folder_of_their_own(tmp_path: Path) -> None:
    artifact, path = several(), tmp_path / "artifact"
    save_artifact(artifact, path, golden=golden_files(artifact, images()))
    with pytest.raises(ConfigError, match="holds forms of its main length alone, got bits=8"):
        export_forms(path, ["faiss"], bits=8)
    done = export_forms(path, ["faiss"], out=tmp_path / "forms", bits=8)
    assert done.encoder_id == artifact.of_length(8).encoder_id
    assert verify(tmp_path / "forms").holds
    assert export_forms(path, ["faiss"]).encoder_id == artifact.of_length(12).encoder_id
    assert verify(path).holds
