"""DVSQ: its terms by hand, vectors of the classes, and what cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh.errors import ConfigError
from dqh.methods.dvsq import DVSQ
from dqh.models import EncoderOutput, Identity
from dqh.training import Optimizer


def network(**arguments: Any) -> DVSQ:
    given = {"classes": 2, "bits": 2, "codewords": 2, "dimension": 2, "optimizer": Optimizer()} | arguments
    return DVSQ(Identity(size=3), **given)


def test_the_terms_by_hand(tmp_path: Path) -> None:
    """Z = (.6, .8) of class 0 with v_0 = (1, 0), v_1 = (0, 1): 1 − .6 + .8. Nearest words (1, 1): .4² + .2²."""
    file = tmp_path / "vectors.npy"
    np.save(file, np.eye(2))
    method = network(class_vectors=str(file), quantization_weight=0.5)
    method.codebooks.words.copy_(torch.tensor([[[0.0], [1.0]], [[0.0], [1.0]]]))
    terms = method.losses(EncoderOutput(torch.tensor([[0.6, 0.8]]), torch.zeros(1, 3)), torch.tensor([0]))
    found = {name: value.item() for name, value in terms.items()}
    assert found == pytest.approx({"margin": 1.2, "quantization": 0.5 * 0.2})


def test_random_classes_are_orthogonal_where_there_is_room() -> None:
    vectors = network(classes=4, dimension=6).vectors
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(4))
    assert not torch.equal(vectors, network(classes=4, dimension=6, seed=1).vectors)
    torch.testing.assert_close(network(classes=5).vectors.norm(dim=1), torch.ones(5))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((3, 2)), r"must be finite float of shape \(2, 2\), got float64 of shape \(3, 2\)"),
        (np.full((2, 2), np.nan), "must be finite float"),
        (np.zeros((2, 2), int), "got int64"),
    ],
)
def test_vectors_that_do_not_fit(tmp_path: Path, vectors: np.ndarray, message: str) -> None:
    np.save(tmp_path / "vectors.npy", vectors)
    with pytest.raises(ConfigError, match=message):
        network(class_vectors=str(tmp_path / "vectors.npy"))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "vectors.npy").write_bytes(b"words")
    with pytest.raises(ConfigError, match=r"is no \.npy file of plain numbers"):
        network(class_vectors=str(tmp_path / "vectors.npy"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"quantization_weight": -1.0}, "quantization_weight must be at least 0, got -1.0"),
        ({"bits": 3, "codewords": 4}, "bits must be a multiple of log2 codewords = 2, got 3"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)
