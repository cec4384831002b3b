"""Golden inputs and their answers."""

from pathlib import Path

import numpy as np

from dqh.export import Artifact, golden_files, load_artifact, save_artifact, verify_golden
from dqh.models import Encoder, HashHead, Identity
from tests.export.conftest import make


def test_golden_answers_hold(saved: Path) -> None:
    verdict = verify_golden(load_artifact(saved), saved)
    assert verdict == (4, 0, 0, 0.0)  # three arrays and a JPEG


def test_golden_answers_catch_another_encoder(saved: Path) -> None:
    assert verify_golden(make(seed=1), saved).flips > 0


def test_vectors_have_golden_answers_too(tmp_path: Path) -> None:
    vectors = Artifact(
        **{**vars(make()), "encoder": Encoder(Identity(size=5), HashHead(5, 12)).eval(), "classifier": None}
    )
    golden = golden_files(vectors, np.ones((2, 5), np.float32))
    save_artifact(vectors, tmp_path / "a", golden=golden)
    loaded = load_artifact(tmp_path / "a")
    assert loaded.classifier is None
    assert verify_golden(loaded, tmp_path / "a") == (2, 0, 0, 0.0)
