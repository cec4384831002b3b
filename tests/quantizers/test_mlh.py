"""Minimal loss hashing against its loss and its bound, written as loops over all codes."""

import itertools

import numpy as np
import pytest

from dqh.quantizers.mlh import MLH, hinge_bound

RADIUS, NEGATIVE = 2, 0.5


def loss(one: tuple[int, ...], other: tuple[int, ...], similar: bool) -> float:
    """The loss of Norouzi and Fleet 2011 at the Hamming distance of two codes of −1 and 1."""
    distance = sum(a != b for a, b in zip(one, other, strict=True))
    return max(distance - RADIUS + 1, 0) if similar else NEGATIVE * max(RADIUS - distance + 1, 0)


def slowly(u: np.ndarray, v: np.ndarray, similar: bool) -> float:
    """max over all 4^B pairs of codes of loss + g · u + g' · v, less the largest g · u + g' · v."""
    codes = list(itertools.product((-1, 1), repeat=len(u)))
    augmented = max(loss(g, h, similar) + np.dot(g, u) + np.dot(h, v) for g in codes for h in codes)
    return float(augmented - max(np.dot(g, u) for g in codes) - max(np.dot(g, v) for g in codes))


def values(bits: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal((20, bits)), generator.standard_normal((20, bits)), np.arange(20) % 2 == 0


def test_the_bound_is_that_of_all_pairs_of_codes() -> None:
    u, v, similar = values()
    bound = hinge_bound(u, v, similar, radius=RADIUS, negative=NEGATIVE)
    wanted = [slowly(*pair) for pair in zip(u, v, similar.tolist(), strict=True)]
    np.testing.assert_allclose(bound.value, wanted, atol=1e-12)
    for row, (g, h) in enumerate(zip(bound.one, bound.other, strict=True)):
        reached = loss(tuple(g), tuple(h), bool(similar[row])) + g @ u[row] + h @ v[row]
        assert reached - np.abs(u[row]).sum() - np.abs(v[row]).sum() == pytest.approx(bound.value[row])


def test_it_lies_above_the_loss() -> None:
    u, v, similar = values()
    bound = hinge_bound(u, v, similar, radius=RADIUS, negative=NEGATIVE).value
    for row in range(20):
        signs = (tuple(np.where(side[row] >= 0, 1, -1)) for side in (u, v))
        assert bound[row] >= loss(*signs, bool(similar[row])) - 1e-12


def test_the_codes_are_its_gradient() -> None:
    """Central differences of Σ bound by u and v: g − sgn(u) and g' − sgn(v)."""
    u, v, similar = values(3)
    bound = hinge_bound(u, v, similar, radius=RADIUS, negative=NEGATIVE)

    def total(one: np.ndarray, other: np.ndarray) -> float:
        return float(hinge_bound(one, other, similar, radius=RADIUS, negative=NEGATIVE).value.sum())

    for row, bit in itertools.product(range(20), range(3)):
        shift = np.zeros_like(u)
        shift[row, bit] = 1e-6
        by_u = (total(u + shift, v) - total(u - shift, v)) / 2e-6
        by_v = (total(u, v + shift) - total(u, v - shift)) / 2e-6
        assert by_u == pytest.approx(bound.one[row, bit] - np.sign(u[row, bit]), abs=1e-6)
        assert by_v == pytest.approx(bound.other[row, bit] - np.sign(v[row, bit]), abs=1e-6)


def test_codes_tell_classes_apart() -> None:
    generator, labels = np.random.default_rng(0), np.arange(300) % 3
    vectors = (3 * np.eye(6)[labels] + generator.standard_normal((300, 6))).astype(np.float32)
    distances = {}
    for iterations in (0, 300):
        method = MLH(16, iterations=iterations).fit(vectors, labels)
        bits = np.unpackbits(method.encode(vectors), axis=1).astype(int)
        apart = (bits[:, None] != bits).sum(2)
        same = labels[:, None] == labels
        distances[iterations] = apart[same].mean() / apart[~same].mean()
        np.testing.assert_allclose(np.linalg.norm(method.projection, axis=0), 1)
    assert distances[300] < 0.5 * distances[0]


def test_of_a_single_class_there_are_pairs_of_one_kind() -> None:
    vectors = np.random.default_rng(0).standard_normal((10, 4))
    assert MLH(4, iterations=5).fit(vectors, np.zeros(10, int)).projection.shape == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"radius": 0},
            "radius, pairs and labelled must be at least 1, negative and rate above 0, got 0, 64, 2000, 1.0",
        ),
        ({"pairs": 0}, "got 1, 0, 2000, 1.0 and 0.1"),
        ({"labelled": 0}, "got 1, 64, 0, 1.0 and 0.1"),
        ({"negative": 0.0}, "got 1, 64, 2000, 0.0 and 0.1"),
        ({"rate": 0.0}, "got 1, 64, 2000, 1.0 and 0.0"),
        ({"iterations": -1}, "iterations must be at least 0, got -1"),
    ],
)
def test_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MLH(2, **arguments)
