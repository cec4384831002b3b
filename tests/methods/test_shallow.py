"""Shallow hashes as the layer H: the codes are those of the hash itself, at every length."""

from typing import Any, get_args

import numpy as np
import pytest
import torch

from dqh.methods.shallow import Name, Shallow
from dqh.models import Identity
from dqh.quantizers.itq import ITQ
from dqh.quantizers.itq_cca import ITQCCA
from dqh.quantizers.lsh import LSH
from dqh.training import Optimizer

ALONE = {
    "itq": lambda bits: ITQ(bits, seed=5),
    "itq_cca": lambda bits: ITQCCA(bits, seed=5),
    "pca_rr": lambda bits: ITQ(bits, seed=5, iterations=0),
    "lsh": lambda bits: LSH(bits, seed=5),
}


def network(name: Any, *, bits: int = 6, **arguments: Any) -> Shallow:
    return Shallow(Identity(size=10), classes=3, bits=bits, optimizer=Optimizer(), name=name, **arguments)


def vectors() -> tuple[np.ndarray, np.ndarray]:
    """300 vectors of three classes, far from the origin."""
    draws = np.random.default_rng(0)
    labels = np.arange(300) % 3
    found = 4 + draws.standard_normal((3, 10))[labels] + draws.standard_normal((300, 10))
    return found.astype(np.float32), labels


@pytest.mark.parametrize("name", get_args(Name))
def test_codes_are_those_of_the_hash(name: Name) -> None:
    """The folded layer is float32, the hash float64: no value here is so near 0 that they could differ."""
    features, labels = vectors()
    method, alone = network(name), ALONE[name](6).fit(features, labels)
    assert np.abs(alone.values(features)).min() > 1e-5
    method.fit_head(features, labels, seed=5)
    with torch.no_grad():
        embedding = method.encoder(torch.from_numpy(features)).embedding.numpy()
    np.testing.assert_allclose(embedding, alone.values(features), atol=1e-5)
    assert np.array_equal(method.quantizer().encode(embedding), alone.encode(features))


def test_only_itq_cca_reads_labels() -> None:
    features, labels = vectors()
    reads = {}
    for name in get_args(Name):
        weights = []
        for given in (labels, np.roll(labels, 1) % 2):
            method = network(name)
            method.fit_head(features, given, seed=0)
            weights.append(method.encoder.head.linear.weight.clone())
        reads[name] = not torch.equal(*weights)
    assert reads == {"itq": False, "itq_cca": True, "pca_rr": False, "lsh": False}


def test_nothing_is_left_to_train() -> None:
    method = network("itq")
    method.freeze_layers()
    assert not any(parameter.requires_grad for parameter in method.parameters())
    with pytest.raises(NotImplementedError, match="itq is computed in closed form and has no loss"):
        method.losses(method.encoder(torch.zeros(2, 10)), torch.zeros(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "pq"}, "name must be one of itq, itq_cca, pca_rr, lsh, got 'pq'"),
        ({"name": "itq", "bits": 0}, "bits must be at least 1, got 0"),
        ({"name": "itq", "bits": 11}, "bits must be at most 10 for itq, a bit a feature, got 11"),
        ({"name": "itq", "iterations": -1}, "iterations must be at least 0, got -1"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)


@pytest.mark.parametrize("name", ["itq_cca", "lsh"])
def test_more_bits_than_features_where_the_hash_has_them(name: Name) -> None:
    method = network(name, bits=16)
    method.fit_head(*vectors(), seed=0)
    assert method.encoder.head.linear.weight.shape == (16, 10)
