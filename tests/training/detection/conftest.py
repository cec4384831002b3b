"""A detector small enough for tests: 12 drawn photos of 48 pixels, 2 epochs of 2 steps."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dqh.training.detection.box_experiment import DetectionExperiment, assemble
from dqh.training.preflight import preflight
from tests.training.detection.shapes import shapes, shapes_config

FROZEN = {"lr_multipliers": {"network.trunk": 0}}


@pytest.fixture(scope="session")
def drawn_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of drawn photos."""
    return shapes(tmp_path_factory.mktemp("shapes") / "data")


@pytest.fixture(scope="session")
def small(drawn_photos: Path) -> Callable[..., DetectionExperiment]:
    """Makes the small experiment afresh; keywords change nodes, as in `small(trainer={"epochs": 1})`."""

    def make(**changes: Mapping[str, Any]) -> DetectionExperiment:
        config = shapes_config(drawn_photos)
        for node, values in changes.items():
            config[node] = None if values is None else config[node] | dict(values)
        return assemble(config, drawn=preflight(config))

    return make


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    """One thread: small tensors run faster, and sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
