"""What every detector that is trained here keeps to: found by its file and its yaml, trained shortly."""

import inspect
import math
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dqh.config import check
from dqh.detection.opening import open_detector
from dqh.detection.trained_detector import load_trained, verify_trained
from dqh.evaluation.detector_evaluation import DetectorEvaluation
from dqh.training.detection.box_experiment import DetectionExperiment, assemble
from dqh.training.detection.box_pipeline import run
from dqh.training.detection.detection_module import DetectionBatch, DetectionModule
from dqh.training.preflight import DETECTOR_FIELDS, DETECTOR_SUPPLIED, learns_boxes, preflight
from tests.conftest import ROOT
from tests.methods.test_contract import DETECTORS
from tests.training.detection.shapes import shapes, shapes_config

SMALL = {
    "faster_rcnn": {"maps": 1, "width": 8, "hidden": 16, "freeze_norms": False},
    "ssd": {"maps": 1, "width": 8, "extras": 1, "freeze_norms": False},
}
"""What makes each detector small."""


class Fitted(NamedTuple):
    """A detector after a training of one epoch."""

    experiment: DetectionExperiment
    evaluation: DetectorEvaluation
    folder: Path


def small_experiment(name: str, root: Path) -> DetectionExperiment:
    config = shapes_config(root)
    config["method"] = {"_target_": DETECTORS[name]} | SMALL[name]
    config["trainer"] |= {"epochs": 1}
    return assemble(config, drawn=preflight(config))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes(tmp_path_factory.mktemp("shapes") / "data")


@pytest.fixture(scope="module", params=list(DETECTORS))
def fitted(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Each detector in turn, trained once for all tests."""
    folder = tmp_path_factory.mktemp(request.param)
    experiment = small_experiment(request.param, root)
    return Fitted(experiment, run(experiment, folder, command=f"python train.py method={request.param}"), folder)


def test_there_are_detectors() -> None:
    assert {"ssd", "faster_rcnn"} <= set(DETECTORS)
    assert set(SMALL) == set(DETECTORS)


@pytest.mark.parametrize("name", list(DETECTORS))
def test_its_yaml_composes_into_a_whole_configuration(name: str) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", [f"method={name}", "data=json_boxes"]), resolve=True)
        other: Any = OmegaConf.to_container(
            compose("train", [f"method={name}", "data=json_boxes", "backbone=resnet18", "optimizer=sgd"]), resolve=True
        )
    assert learns_boxes(config)
    assert (config["bits"], config["search"], config["without_h"]) == (None, None, None)
    for imports in (True, False):
        problems = check(config, DETECTOR_FIELDS, supplied=DETECTOR_SUPPLIED, imports=imports)
        assert [line for line in problems if "no value given" not in line] == []
    assert config["backbone"]["_target_"] == "dqh.models.MobileNetV2"
    assert (other["backbone"]["_target_"], other["optimizer"]["name"]) == ("dqh.models.ResNet18", "sgd")
    assert other["backbone"]["size"] == config["backbone"]["size"]


@pytest.mark.parametrize("name", list(DETECTORS))
def test_the_yaml_names_the_one_detector_of_the_file(name: str) -> None:
    module = import_module(DETECTORS[name].rpartition(".")[0])
    detectors = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, DetectionModule) and member.__module__ == module.__name__
    ]
    assert [f"{module.__name__}.{member.__name__}" for member in detectors] == [DETECTORS[name]]
    assert detectors[0].method == name


@pytest.mark.parametrize("name", list(DETECTORS))
def test_a_gradient_on_every_parameter_that_should_train(name: str, root: Path) -> None:
    method = small_experiment(name, root).method
    images = torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8)
    boxes = (torch.tensor([[4.0, 5, 20, 22], [1, 1, 40, 44]]), torch.tensor([[10.0, 12, 44, 30]]))
    batch = DetectionBatch(
        images,
        (*boxes, torch.zeros(0, 4), boxes[1]),
        (torch.tensor([0, 1]), torch.tensor([1]), torch.zeros(0, dtype=torch.int64), torch.tensor([0])),
        torch.arange(4),
    )
    terms = method.training_step(batch, 0)
    assert torch.isfinite(terms["loss"])
    assert float(terms["loss"]) == pytest.approx(sum(float(v) for k, v in terms.items() if k != "loss"), rel=1e-5)
    terms["loss"].backward()
    still = [name for name, weight in method.named_parameters() if weight.requires_grad and weight.grad is None]
    assert still == []


@pytest.mark.slow
def test_the_loss_is_finite_and_is_the_sum_of_its_terms(fitted: Fitted) -> None:
    (row,) = fitted.evaluation.history
    terms = {name for name in row if name.startswith("train/")} - {"train/loss"}
    assert terms
    assert math.isfinite(row["train/loss"])
    assert math.isfinite(row["val/mAP"])
    assert sum(row[name] for name in terms) == pytest.approx(row["train/loss"], rel=1e-4)


@pytest.mark.slow
def test_the_artifact_reloads_bit_for_bit_and_answers_alike(fitted: Fitted) -> None:
    path = fitted.folder / "artifact"
    memory, disk = fitted.experiment.method.network.state_dict(), load_trained(path).network.state_dict()
    assert all(torch.equal(value, disk[name]) for name, value in memory.items())
    assert verify_trained(path).holds
    source = fitted.experiment.source
    photos = [np.asarray(source.read(row)) for row in range(3)]
    with open_detector(path, threshold=0.0) as detector:
        assert detector.classes == source.class_names
        several, alone = detector.detect(photos), detector.detect(photos[2:])
    assert several.valid.any()
    for one, other in zip(several, alone, strict=True):
        assert (one[2:] == other).all()
    boxes = several.boxes[several.valid]
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert (boxes.max(0)[2:] <= [72, 60]).all()
