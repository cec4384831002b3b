"""A small artifact, and where it is saved."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dqh.data import Digits, Protocol
from dqh.export import Artifact, golden_files, save_artifact
from dqh.models import Encoder, HashHead, SmallResNet
from dqh.quantizers import Threshold


def make(seed: int = 0) -> Artifact:
    torch.manual_seed(seed)
    backbone = SmallResNet(width=4, size=16)
    encoder = Encoder(backbone, HashHead(backbone.dimension, 12)).eval()
    split = Protocol("counts", query=40, train=100).draw(Digits())
    return Artifact("dlbhc", encoder, Threshold(12), nn.Linear(12, 10), Digits().class_names, split, {"epochs": 1})


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artifact = make()
    save_artifact(artifact, tmp_path / "artifact", golden=golden_files(artifact, images()))
    return tmp_path / "artifact"
