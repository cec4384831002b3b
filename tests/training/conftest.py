"""A training small enough for tests: 240 digits, 4-channel network, 3 epochs of 6 steps."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dqh.training import Experiment, assemble


def tiny_config() -> dict[str, Any]:
    """A whole configuration, as hydra would compose it."""
    return {
        "bits": 12,
        "hidden": None,
        "noise": 0,
        "seed": 3,
        "runs": "runs",
        "resume": None,
        "method": {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 12, "dropout": 0.2},
        "without_h": None,
        "without_h_minutes": None,
        "backbone": {"_target_": "dqh.models.SmallResNet", "width": 4},
        "optimizer": {"_target_": "dqh.training.optimizer.Optimizer", "lr": 0.05},
        "trainer": {"_target_": "dqh.training.fit.Fit", "epochs": 3, "batch_size": 32, "device": "cpu"},
        "search": {"_target_": "dqh.evaluation.Retrieval", "pool": 50, "timed_queries": 2},
        "data": {"_target_": "dqh.data.Digits"},
        "split": {
            "_target_": "dqh.data.Protocol",
            "protocol": "counts",
            "query": 40,
            "train": 240,
            "database": 300,
            "validation": 40,
            "seed": 3,
        },
        "augment": {"_target_": "dqh.data.Augment", "padding": 1, "rotation": 5},
    }


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Experiment]:
    """Makes the tiny experiment afresh; keywords change nodes, as in `tiny(trainer={"epochs": 1})`.

    A node that is given another `_target_` is replaced whole.
    """

    def make(**changes: Mapping[str, Any]) -> Experiment:
        config = tiny_config()
        for node, values in changes.items():
            config[node] = dict(values) if "_target_" in values else config[node] | dict(values)
        return assemble(config)

    return make


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    """One thread: small tensors run faster, and sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run"
