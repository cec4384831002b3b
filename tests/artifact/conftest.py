"""Small artifacts of every kind of code, where they are saved, and where all their forms are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.data import Digits, Protocol
from dqh.export.artifact.faiss_form import Lists
from dqh.export.artifact.forms import FORMS, export_forms
from dqh.inputs import InputSpec
from dqh.models import Encoder, HashHead, Identity, SmallResNet
from dqh.quantizers import ClassIndex, ProductQuantizer, Threshold

KINDS = ("binary", "pq", "wide_pq", "class_index")
ROOT = Path(__file__).parent.parent.parent


def make(seed: int = 0) -> Artifact:
    torch.manual_seed(seed)
    backbone = SmallResNet(width=4, size=16)
    encoder = Encoder(backbone, HashHead(backbone.dimension, 12)).eval()
    split = Protocol("counts", query=40, train=100).draw(Digits())
    return Artifact("dlbhc", encoder, Threshold(12), nn.Linear(12, 10), Digits().class_names, split, {"epochs": 1})


def make_kind(kind: str) -> Artifact:
    """An artifact whose codes differ from image to image.

    `binary`: images resized to 18 first, and their mirror images too. `pq`: 3 × 16 codewords, two of them equal,
    behind a rotation, the embedding of length 1 and a hidden layer before it; over vectors, as are the other two.
    `wide_pq`: 2 × 65,536 codewords. `class_index`: 10 classes.
    """
    artifact, generator = make(), np.random.default_rng(0)
    if kind == "binary":
        artifact.encoder.spec = InputSpec(size=16, resize=18, mean=(0.4, 0.5, 0.6), mirror=True)
        encoder, quantizer = Encoder(artifact.encoder.backbone, artifact.encoder.head, spec=artifact.encoder.spec), None
    elif kind == "pq":
        codebooks = 0.3 * generator.standard_normal((3, 16, 4)).astype(np.float32)
        codebooks[1, 9] = codebooks[1, 7]
        rotation = np.linalg.qr(generator.standard_normal((12, 12)))[0].astype(np.float32)
        encoder = Encoder(Identity(size=5), HashHead(5, 12, activation="tanh", normalise=True, hidden=7))
        quantizer = ProductQuantizer.from_codebooks(codebooks, rotation=rotation)
    elif kind == "wide_pq":
        encoder = Encoder(Identity(size=5), HashHead(5, 4, activation="none"))
        quantizer = ProductQuantizer.from_codebooks(generator.standard_normal((2, 65_536, 2)).astype(np.float32))
    else:
        encoder, quantizer = Encoder(Identity(size=5), HashHead(5, 10, activation="none")), ClassIndex(10)
    if encoder.spec.kind == "image":
        _spread(encoder)
    changed = {"encoder": encoder.eval(), "quantizer": quantizer or artifact.quantizer}
    return Artifact(**{**vars(artifact), **changed, "classifier": None if quantizer else artifact.classifier})


def _spread(encoder: Encoder) -> None:
    """Centre and scale what the untrained network says of noise, which is nearly the same for all images."""
    with torch.no_grad():
        features = encoder.backbone(encoder.normalise(torch.from_numpy(images(50))))
        linear = encoder.head.linear
        linear.weight /= features.std(0) + 1e-6
        linear.bias.copy_(-linear.weight @ features.mean(0))


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)


def inputs_of(artifact: Artifact, count: int, seed: int = 0) -> np.ndarray:
    """Images or vectors, whatever enters the encoder."""
    if artifact.encoder.spec.kind == "vector":
        return np.random.default_rng(seed).standard_normal((count, 5)).astype(np.float32)
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artifact = make()
    save_artifact(artifact, tmp_path / "artifact", golden=golden_files(artifact, images()))
    return tmp_path / "artifact"


@pytest.fixture(scope="session")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`formed(kind)` is an artifact with all its forms, made once: tests that change it take a copy."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            path = tmp_path_factory.mktemp(kind) / "artifact"
            artifact = make_kind(kind)
            save_artifact(artifact, path, golden=golden_files(artifact, inputs_of(artifact, 4)))
            export_forms(path, FORMS, lists=Lists(4))
            made[kind] = path
        return made[kind]

    return folder


@pytest.fixture
def copied(formed: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """`copied(kind)` is a copy of `formed(kind)`."""

    def folder(kind: str) -> Path:
        return Path(shutil.copytree(formed(kind), tmp_path / kind))

    return folder
