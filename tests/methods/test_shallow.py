"""Shallow hashes as the layer H: the codes are those of the hash itself, at every length."""

from typing import Any, get_args

import numpy as np
import pytest
import torch

from dqh.methods.shallow import Name, Shallow
from dqh.models import Identity
from dqh.quantizers.bre import BRE
from dqh.quantizers.itq import ITQ
from dqh.quantizers.itq_cca import ITQCCA
from dqh.quantizers.lsh import LSH
from dqh.quantizers.mlh import MLH
from dqh.training import Optimizer

ALONE = {
    "itq": lambda bits: ITQ(bits, seed=5),
    "itq_cca": lambda bits: ITQCCA(bits, seed=5),
    "pca_rr": lambda bits: ITQ(bits, seed=5, iterations=0),
    "lsh": lambda bits: LSH(bits, seed=5),
    "bre": lambda bits: BRE(bits, seed=5),
    "mlh": lambda bits: MLH(bits, seed=5),
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
    """The folded layer is float32, the hash float64: where a value is far from 0 they cannot differ."""
    features, labels = vectors()
    method, alone = network(name), ALONE[name](6).fit(features, labels)
    method.fit_head(features, labels, seed=5)
    with torch.no_grad():
        embedding = method.encoder(torch.from_numpy(features)).embedding.numpy()
    values = alone.values(features)
    np.testing.assert_allclose(embedding, values, rtol=1e-4, atol=1e-5 * np.abs(values).max())
    clear = (np.abs(values) > 1e-4 * np.abs(values).max()).all(axis=1)
    assert clear.mean() > 0.9
    assert np.array_equal(method.quantizer().encode(embedding)[clear], alone.encode(features)[clear])


def test_itq_cca_bre_and_mlh_read_labels() -> None:
    features, labels = vectors()
    reads = {}
    for name in get_args(Name):
        weights = []
        for given in (labels, np.roll(labels, 1) % 2):
            method = network(name)
            method.fit_head(features, given, seed=0)
            weights.append(method.encoder.head.linear.weight.clone())
        reads[name] = not torch.equal(*weights)
    supervised = {"itq_cca", "bre", "mlh"}
    assert reads == {name: name in supervised for name in get_args(Name)}


def test_nothing_is_left_to_train() -> None:
    method = network("itq")
    method.freeze_layers()
    assert not any(parameter.requires_grad for parameter in method.parameters())
    with pytest.raises(NotImplementedError, match="itq is computed in closed form and has no loss"):
        method.losses(method.encoder(torch.zeros(2, 10)), torch.zeros(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "pq"}, "name must be one of itq, itq_cca, pca_rr, lsh, bre, mlh, got 'pq'"),
        ({"name": "itq", "bits": 0}, "bits must be at least 1, got 0"),
        ({"name": "itq", "bits": 11}, "bits must be at most 10 for itq, a bit a feature, got 11"),
        ({"name": "itq", "iterations": -1}, "iterations must be at least 0, got -1"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)


@pytest.mark.parametrize("name", ["itq_cca", "lsh", "bre", "mlh"])
def test_more_bits_than_features_where_the_hash_has_them(name: Name) -> None:
    method = network(name, bits=16)
    method.fit_head(*vectors(), seed=0)
    assert method.encoder.head.linear.weight.shape == (16, 10)
