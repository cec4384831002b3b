"""A trained detector as ONNX: it answers as torch does, at another batch size than it was exported with."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.detection.detector_manifest import SECOND
from dqh.detection.network import OnnxNetwork
from dqh.detection.opening import open_detector, verify_exported
from dqh.detection.trained_detector import TrainedDetector, load_trained, save_trained
from dqh.detection.trained_manifest import MANIFEST, WEIGHTS
from dqh.errors import ConfigError, DetectorError, NoDetectorError
from dqh.export import detector_onnx
from dqh.export.detector_onnx import export_detector, onnx_models
from dqh.models import SmallResNet
from dqh.models.detectors.detector_networks import make
from tests.detection.test_trained_detector import INPUTS, detector_of
from tests.models.detectors.test_detector_networks import SMALL

pytestmark = pytest.mark.slow  # torch takes seconds for an export


def two_stages(seed: int = 0) -> TrainedDetector:
    """A detector of two stages, whose logits differ as those of one that has learned do."""
    other = detector_of(seed)
    network = make("faster_rcnn", SmallResNet(width=4, size=24), len(other.spec.classes), SMALL["faster_rcnn"])
    with torch.no_grad():
        for layer in (network.head.cls_logits, network.head.bbox_pred, network.classifier, network.regressor):
            torch.nn.init.normal_(layer.weight, std=0.5)
    return TrainedDetector(
        "faster_rcnn",
        network,
        SMALL["faster_rcnn"],
        other.spec,
        other.split,
        other.boxes_sha256,
        {"epochs": 3},
    )


DETECTORS = {"ssd": detector_of, "faster_rcnn": two_stages}


@pytest.fixture(scope="module", params=list(DETECTORS))
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "artifact"
    save_trained(DETECTORS[request.param](), folder, golden=INPUTS)
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
        proposed = [(own.propose(photo), other.propose(photo)) for photo in photos]
    assert one.valid.any()
    assert (one.valid == two.valid).all()
    assert (one.classes == two.classes).all()
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-2)
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)
    is_two = (exported / SECOND).exists()
    assert all(ours is not None and (theirs is not None) is is_two for ours, theirs in proposed)  # SSD's graph has none
    for ours, theirs in proposed if is_two else []:
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-2)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)


def test_several_inputs_at_once_are_answered_as_each_alone(path: Path) -> None:
    """Of five images, where two were exported; of a second network the inputs are what the first says."""
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 24, 24)).astype(np.float32)
    network = load_trained(path).network
    inputs = [images]
    for content in onnx_models(load_trained(path)).models:
        with OnnxNetwork(content, "network") as own:
            together = own.run(*inputs)
            alone = [own.run(*(part[place : place + 1] for part in inputs)) for place in range(len(images))]
        for place, answers in enumerate(together):
            np.testing.assert_allclose(
                answers, np.concatenate([answer[place] for answer in alone]), rtol=1e-4, atol=1e-4
            )
        if len(together) > 2:
            with torch.no_grad():
                first = network.first_stage(network.trunk(torch.from_numpy(images)))
                proposals = network.select(first).boxes.numpy()
            inputs = [proposals, *together[2:]]
    with torch.no_grad():
        boxes, scores = (part.numpy() for part in network(torch.from_numpy(images)))
    np.testing.assert_allclose(together[0], boxes, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(together[1], scores, rtol=1e-4, atol=1e-5)


def test_a_network_that_answers_otherwise_is_not_written(path: Path, tmp_path: Path, monkeypatch) -> None:
    method = load_trained(path).method
    monkeypatch.setattr(detector_onnx, "onnx_models", lambda _: onnx_models(DETECTORS[method](1)))
    with pytest.raises(DetectorError, match="in ONNX Runtime boxes differ by"):
        export_detector(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported(path: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(NoDetectorError):
        export_detector(tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="holds a detector already"):
        export_detector(path, exported)


def test_the_exported_folder_answers_its_golden_inputs(exported: Path, tmp_path: Path) -> None:
    verdict = verify_exported(exported)
    assert verdict is not None
    assert (verdict.inputs, verdict.holds) == (2, True)


def test_the_verbs(path: Path, tmp_path: Path, dqh) -> None:
    status, out, _ = dqh("export", path, "--to", "onnx", "--out", tmp_path / "out")
    assert status == 0
    assert "3 classes" in out
    for folder, runtime in ((path, "torch"), (tmp_path / "out", "onnxruntime")):
        status, out, err = dqh("verify", folder)
        assert (status, err) == (0, "")
        assert out.splitlines()[1].startswith(runtime)
        assert ": 2 golden inputs, boxes differ by " in out
    assert dqh("info", tmp_path / "out")[0] == 0
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
    (tmp_path / "out" / "golden" / "scores.npy").write_bytes(b"nothing")
    assert dqh("verify", tmp_path / "out")[0] == 1


def test_a_network_is_opened_by_its_models(path: Path) -> None:
    golden = load_trained(path)
    with closing(onnx_models(golden).opened("network")) as network:
        boxes, scores = network.run(INPUTS[:1].astype(np.float32))
    assert boxes.shape[1] == scores.shape[1]
