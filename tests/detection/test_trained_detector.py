"""A trained detector into its folder and out of it: whole, checked, and refused where it makes no sense."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh import intent
from dqh.data.splits import Split
from dqh.detection.decoders.ready_boxes import DECODER
from dqh.detection.opening import open_detector
from dqh.detection.spec import DetectorSpec
from dqh.detection.trained_detector import (
    GoldenVerdict,
    TrainedDetector,
    load_trained,
    open_trained,
    record_detection,
    save_trained,
    verify_trained,
)
from dqh.detection.trained_manifest import GOLDEN, MANIFEST, SPLIT, WEIGHTS, is_trained, read_trained_manifest
from dqh.errors import ConfigError, DetectorError, NoDetectorError
from dqh.models import SmallResNet
from dqh.models.detectors.detector_networks import make
from dqh.sealed import seal, unseal

ARGUMENTS = {"maps": 1, "width": 8, "extras": 1, "extra_stride": 2, "pyramid": True, "dropout": 0.0}
CLASSES = ("cat", "dog", "cow")
SPLIT_OF_DATA = Split("given", 0, "photos", ("a",), ("b", "c"), ("b",), ("c",))
INPUTS = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 24), dtype=np.uint8)


def detector_of(seed: int = 0) -> TrainedDetector:
    """A detector whose logits differ as those of one that has learned do."""
    torch.manual_seed(seed)
    network = make("ssd", SmallResNet(width=4, size=24), len(CLASSES), ARGUMENTS)
    with torch.no_grad():
        for layer in network.head.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.normal_(layer.weight, std=0.5)
    spec = DetectorSpec(DECODER.name, 24, 24, CLASSES, DECODER.usual)
    return TrainedDetector("ssd", network, ARGUMENTS, spec, SPLIT_OF_DATA, "ab" * 32, {"epochs": 3})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_trained(detector_of(), tmp_path / "artifact", golden=INPUTS)
    return tmp_path / "artifact"


def test_what_is_written_is_read_again(path: Path) -> None:
    assert sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()) == sorted(
        [MANIFEST, WEIGHTS, SPLIT, *GOLDEN]
    )
    own, other = detector_of(), load_trained(path)
    assert (other.method, other.arguments, other.spec, other.split) == (own.method, ARGUMENTS, own.spec, SPLIT_OF_DATA)
    assert (other.training, other.boxes_sha256) == ({"epochs": 3}, "ab" * 32)
    images = torch.from_numpy(INPUTS)
    with torch.inference_mode():
        for one, two in zip(own.network.eval()(images), other.network(images), strict=True):
            torch.testing.assert_close(one, two)
    assert list(path.parent.iterdir()) == [path]


def test_equal_weights_make_an_equal_id_and_a_threshold_another(path: Path, tmp_path: Path) -> None:
    save_trained(detector_of(), tmp_path / "again", golden=INPUTS[:1])
    save_trained(detector_of(1), tmp_path / "other", golden=INPUTS)
    first, again, other = (open_detector(folder) for folder in (path, tmp_path / "again", tmp_path / "other"))
    assert first.detector_id == again.detector_id == read_trained_manifest(path).detector_id
    assert other.detector_id != first.detector_id
    lower = open_trained(path, threshold=0.1)
    assert lower.detector_id != first.detector_id
    assert lower.spec.settings.threshold == 0.1


def test_photos_of_any_size_are_answered(path: Path) -> None:
    photos = [np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8) for shape in ((60, 20, 3), (9, 31, 3))]
    detections = open_trained(path, threshold=0.0).detect(photos)
    assert detections.boxes.shape == (2, DECODER.usual.most, 4)
    for number, (height, width, _) in enumerate(photo.shape for photo in photos):
        boxes = detections.boxes[number][detections.valid[number]]
        assert len(boxes)
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes.max(0) <= [width, height, width, height]).all()


def test_golden_inputs_are_answered_again(path: Path) -> None:
    verdict = verify_trained(path)
    assert verdict.inputs == 2
    assert verdict.holds
    assert max(verdict.box_error, verdict.score_error) < 1e-6
    assert not verify_trained(path, detector_of(1)).holds


def test_answers_that_are_no_numbers_are_no_small_error() -> None:
    nan = float("nan")
    assert GoldenVerdict(1, 0.0, 1e-4).holds
    assert not any(GoldenVerdict(1, *errors).holds for errors in ((0.0, nan), (nan, 0.0), (0.0, 0.1)))


def test_metrics_are_recorded_and_leave_the_id(path: Path) -> None:
    before = read_trained_manifest(path)
    record_detection(path, {"detection": {"ap50": 0.5}})
    after = read_trained_manifest(path)
    assert after.around["metrics"] == {"detection": {"ap50": 0.5}}
    assert after.detector_id == before.detector_id
    assert load_trained(path).training == {"epochs": 3}


def test_a_folder_that_is_there_is_not_replaced(path: Path) -> None:
    content = (path / MANIFEST).read_bytes()
    with pytest.raises(ConfigError, match="holds a detector already; choose another folder"):
        save_trained(detector_of(1), path, golden=INPUTS)
    assert (path / MANIFEST).read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    detector = detector_of()
    with torch.no_grad():
        next(detector.network.parameters())[0, 0, 0, 0] = float("nan")
    with pytest.raises(DetectorError, match="not finite"):
        save_trained(detector, tmp_path / "artifact", golden=INPUTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [WEIGHTS, SPLIT])
def test_a_flipped_byte_is_told(path: Path, name: str) -> None:
    content = bytearray((path / name).read_bytes())
    content[-1] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(DetectorError, match=r"is damaged: it does not match the hash in detector\.json"):
        load_trained(path)


def test_damaged_golden_inputs_are_told(path: Path) -> None:
    (path / GOLDEN[1]).unlink()
    with pytest.raises(DetectorError, match=r"boxes\.npy is damaged: No such file"):
        verify_trained(path)


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the manifest, sealed again."""
    fields = unseal((path / MANIFEST).read_bytes())
    change(fields)
    (path / MANIFEST).write_bytes(seal(fields))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields.update(format_version=2), "has format version 2, this version of dqh reads 1"),
        (lambda fields: fields.update(classes=["cat", "dog"]), "a detector_id that is not of its other fields"),
        (lambda fields: fields.pop("network"), "network is missing"),
        (lambda fields: fields.update(more=1), "more is unknown to this version of dqh"),
        (lambda fields: fields["files"].pop(WEIGHTS), "files.detector.safetensors is missing"),
        (lambda fields: fields.update(threshold=2), "threshold must be a number from 0 to 1, got 2"),
    ],
)
def test_a_manifest_that_says_what_cannot_be(path: Path, change, message: str) -> None:
    changed(path, change)
    with pytest.raises(DetectorError, match=message):
        load_trained(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda network: network.update(name="yolo"), "there is no network 'yolo' on 'small_resnet' here; update dqh"),
        (lambda network: network["arguments"].update(width=9000), "width must be an integer from 2 to 2048, got 9000"),
        (
            lambda network: network["backbone"]["arguments"].update(width=8),
            r"trunk.stem.0.0.weight is torch.float32 \(4, 3, 3, 3\), wanted torch.float32 \(8, 3, 3, 3\)",
        ),
        (lambda network: network["backbone"]["arguments"].pop("blocks"), "a small_resnet of .* cannot be"),
        (lambda network: network["backbone"].update(name="os.system"), "there is no network 'ssd' on 'os.system'"),
    ],
)
def test_a_network_that_cannot_be(path: Path, change, message: str) -> None:
    manifest = read_trained_manifest(path)
    change(manifest.around["network"])
    (path / MANIFEST).write_bytes(manifest.to_bytes())
    with pytest.raises(DetectorError, match=message):
        load_trained(path)


def test_another_folder_is_no_trained_detector(tmp_path: Path) -> None:
    assert not is_trained(tmp_path)
    with pytest.raises(NoDetectorError, match="give the artifact/ folder of a run"):
        load_trained(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"backend": "torch"}))
    assert not is_trained(tmp_path)
    with pytest.raises(DetectorError, match="is damaged"):
        load_trained(tmp_path)


def test_what_a_killed_training_left_of_its_detector_is_removed(path: Path, tmp_path: Path) -> None:
    """It was killed behind its weights, before the manifest; so nothing lies beside the folder either."""
    begun = tmp_path / "begun"
    begun.mkdir()
    intent.announce(begun, [WEIGHTS, MANIFEST, "golden/"])
    (begun / WEIGHTS).write_bytes(b"a part")
    (begun / "golden").mkdir()
    save_trained(detector_of(), begun, golden=INPUTS)
    assert read_trained_manifest(begun).detector_id == read_trained_manifest(path).detector_id
    assert sorted(file.name for file in begun.iterdir()) == sorted(file.name for file in path.iterdir())
    assert sorted(tmp_path.iterdir()) == [path, begun]
