"""Torch and ONNX Runtime encode the same images alike."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.artifact import load_artifact
from dqh.artifact.answers import Answers
from dqh.artifact.golden import parity
from dqh.collection import index_images, search_images
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import ArtifactError, ConfigError
from dqh.export.artifact.forms import export_forms
from dqh.index.store import open_index
from tests.data.conftest import png


@pytest.fixture(scope="module")
def formed(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copytree(artifact, tmp_path_factory.mktemp("formed") / "artifact"))
    export_forms(path, ["onnx"])
    return path


@pytest.mark.slow
def test_codes_agree_by_the_rule_of_soft_bits(formed: Path) -> None:
    raw = np.random.default_rng(1).integers(0, 256, (300, 3, 16, 16), dtype=np.uint8)
    one, other = (load_encoder(formed, device="cpu", runtime=name) for name in ("torch", "onnx"))
    wanted, found = one.encode(raw), other.encode(raw)
    assert found.encoder_id == wanted.encoder_id
    answers = Answers(found.codes, found.embedding, found.features)
    assert parity(wanted.codes, answers, load_artifact(formed).quantizer)[0] == 0
    assert len(np.unique(found.codes, axis=0)) > 50
    assert np.allclose(found.features, wanted.features, rtol=0, atol=1e-5 * np.abs(wanted.features).max())
    assert [field.shape for field in other.encode([])[:3]] == [field.shape for field in one.encode([])[:3]]


def test_an_index_of_one_is_searched_and_continued_by_the_other(
    formed: Path, folder: Callable[[int], Path], tmp_path: Path
) -> None:
    root, index = folder(5), tmp_path / "index"
    (root / "a" / "bad.png").write_bytes(b"text")
    first = index_images(formed, [root], index, runtime="onnx", batch_size=2, max_bad_fraction=1)
    assert (first.added, first.skipped) == (5, 1)
    (root / "b" / "new.png").write_bytes(png(50))
    assert index_images(formed, [root], index, device="cpu", max_bad_fraction=1).added == 1
    for path in ("a/4.png", "b/new.png"):
        for runtime in ("torch", "onnx"):
            hits = search_images(index, [root / path], k=2, runtime=runtime).found.hits[0]
            assert (hits[0].path, hits[0].code_distance) == (path, 0)
    version = open_index(index).version
    files = [root / row.path for row in version.rows(np.arange(6))]
    wanted = load_encoder(formed, device="cpu").encode(files)
    answers = Answers(version.codes(np.arange(6)), wanted.embedding, wanted.features)
    assert parity(wanted.codes, answers, version.quantizer)[0] == 0


def test_what_no_runtime_does(artifact: Path, formed: Path) -> None:
    with pytest.raises(ConfigError, match="runtime must be one of torch, onnx, got 'tensorrt'"):
        load_encoder(formed, runtime="tensorrt")
    with pytest.raises(ConfigError, match="runtime onnx computes on the CPU, got device 'cuda'; leave the device off"):
        load_encoder(formed, runtime="onnx", device="cuda")
    with pytest.raises(ArtifactError, match=r"has no encoder.onnx; write it: dqh export .* --to onnx"):
        load_encoder(artifact, runtime="onnx")
    with pytest.raises(ValueError, match=r"images must be uint8 of shape \(N, 3, 16, 16\), got uint8 of shape"):
        load_encoder(formed, runtime="onnx").encode(np.zeros((1, 3, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "device cuda: there is no CUDA device here; leave --device off"),
        ("cuda:99", "device cuda:99: there is no CUDA device here"),
        ("cpu:3", "device cpu:3: the last one here is cpu:0"),
        ("nope", "device must be cpu, cuda or cuda:N, got 'nope'"),
        ("cuda:x", "device must be cpu, cuda or cuda:N, got 'cuda:x'"),
        ("meta", "device must be cpu, cuda or cuda:N, got 'meta'"),
        ("", "device must be cpu, cuda or cuda:N, got ''"),
    ],
)
def test_a_device_that_is_not_here_is_refused_before_an_index_is_made(
    device: str,
    message: str,
    artifact: Path,
    folder: Callable[[int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=message) as found:
        index_images(artifact, [folder(1)], tmp_path / "index", device=device)
    assert found.value.exit_status == 2
    assert not (tmp_path / "index").exists()


def test_a_number_behind_the_last_cuda_device_is_refused(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert load_encoder(artifact, device="cuda:1").encoder_id == load_encoder(artifact, device="cpu").encoder_id
    with pytest.raises(ConfigError, match="device cuda:2: the last one here is cuda:1"):
        load_encoder(artifact, device="cuda:2")
