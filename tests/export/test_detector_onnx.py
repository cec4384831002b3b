"""A trained detector as ONNX: it answers as torch does, at another batch size than it was exported with."""

from pathlib import Path

import numpy as np
import pytest

from dqh.detection.network import OnnxNetwork
from dqh.detection.opening import open_detector
from dqh.detection.trained_detector import load_trained, save_trained
from dqh.detection.trained_manifest import MANIFEST, WEIGHTS
from dqh.errors import ConfigError, DetectorError, NoDetectorError
from dqh.export import detector_onnx
from dqh.export.detector_onnx import export_detector, onnx_network
from tests.detection.test_trained_detector import INPUTS, detector_of

pytestmark = pytest.mark.slow  # torch takes seconds for an export


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "artifact"
    save_trained(detector_of(), folder, golden=INPUTS)
    return folder


@pytest.fixture(scope="module")
def exported(path: Path) -> Path:
    export_detector(path, path.parent / "exported")
    return path.parent / "exported"


def test_both_answer_alike(path: Path, exported: Path) -> None:
    photos = [np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 60, 3), (24, 24, 3))]
    with open_detector(path) as own, open_detector(exported) as other:
        assert own.classes == other.classes
        assert own.spec == other.spec
        one, two = own.detect(photos), other.detect(photos)
    assert (one.valid == two.valid).all()
    assert (one.classes == two.classes).all()
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-2)
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)


def test_several_inputs_at_once_are_answered_as_each_alone(path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 24, 24)).astype(np.float32)
    with OnnxNetwork(onnx_network(load_trained(path)), "network") as network:
        together = network.run(images)
        alone = [network.run(image[np.newaxis]) for image in images]
    for place, answers in enumerate(together):
        np.testing.assert_allclose(answers, np.concatenate([answer[place] for answer in alone]), rtol=1e-4, atol=1e-4)


def test_a_network_that_answers_otherwise_is_not_written(path: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(detector_onnx, "onnx_network", lambda _: onnx_network(detector_of(1)))
    with pytest.raises(DetectorError, match="in ONNX Runtime boxes differ by"):
        export_detector(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported(path: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(NoDetectorError):
        export_detector(tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds a detector already"):
        export_detector(path, exported)


def test_the_verbs(path: Path, tmp_path: Path, dqh) -> None:
    status, out, _ = dqh("export", path, "--to", "onnx", "--out", tmp_path / "out")
    assert status == 0
    assert "3 classes" in out
    status, out, _ = dqh("verify", path)
    assert (status, "2 golden inputs" in out) == (0, True)
    status, _, err = dqh("export", path, "--to", "pt2", "--out", tmp_path / "other")
    assert status == 2
    assert "give --to onnx --out DIR" in err
    status, _, err = dqh("export", path, "--to", "onnx", "--out", tmp_path / "other", "--bits", "8")
    assert "--bits belongs to codes" in err
    damaged = tmp_path / "damaged"
    save_trained(detector_of(), damaged, golden=INPUTS)
    (damaged / WEIGHTS).write_bytes(b"nothing")
    assert dqh("verify", damaged)[0] == 1
    assert (damaged / MANIFEST).exists()
