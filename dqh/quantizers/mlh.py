"""Minimal loss hashing: a hinge on the Hamming distance of pairs, lowered by way of a bound that is piecewise linear.

N vectors, F dimensions, P pairs, B bits.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.lsh import LSH
from dqh.quantizers.sign_hash import Labels, SignHash, Vectors, label_indicators, require_iterations, require_vectors

_MOMENTUM = 0.9


class MLH(SignHash):
    """Signs of linear functions whose distances are below ρ for pairs that share a label, above for others.

    Norouzi and Fleet, ICML 2011: the loss of a pair at distance m is max(m − ρ + 1, 0) where a label is shared and
    λ max(ρ − m + 1, 0) else . It is at most max over codes g, g' of [its loss + g · W x + g' · W x'] less the
    largest g · W x + g' · W x', which the signs have; that bound is lowered by stochastic gradient descent with
    momentum.
    After each step the directions get length 1, as in the paper.

    Departures: as many pairs of a kind as of the other, drawn for each step; vectors are divided by their root mean
    square, so that the hinge and W x are of one size; ρ and λ are not searched on validation data.

    Args:
        bits: B.
        seed: of the first directions, which are those of `LSH`, and of the pairs.
        radius: ρ, bits; None for a quarter of B, at least 1.
        negative: λ, above 0.
        labelled: vectors that pairs are drawn of, at most; all where there are fewer.
        iterations: steps.
        pairs: P of each kind in a step.
        rate: of the first step, above 0; it falls to 0 linearly.

    Raises:
        ValueError: a value outside its range.
    """

    def __init__(
        self,
        bits: int,
        *,
        seed: int = 0,
        radius: int | None = None,
        negative: float = 1.0,
        labelled: int = 2000,
        iterations: int = 2000,
        pairs: int = 64,
        rate: float = 0.1,
    ) -> None:
        super().__init__(bits, seed=seed)
        require_iterations(iterations)
        radius = max(1, bits // 4) if radius is None else radius
        if min(radius, pairs, labelled) < 1 or not 0 < negative < np.inf or not 0 < rate < np.inf:
            raise ValueError(
                f"radius, pairs and labelled must be at least 1, negative and rate above 0, got {radius}, {pairs}, "
                f"{labelled}, {negative} and {rate}"
            )
        self.radius = radius
        self.negative = negative
        self.labelled = labelled
        self.iterations = iterations
        self.pairs = pairs
        self.rate = rate

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Lower the bound; errors as of `require_vectors` and `label_indicators`."""
        require_vectors(vectors, least=2)
        targets = label_indicators(labels, vectors)
        generator = np.random.default_rng(self.seed)
        start = LSH(self.bits, seed=self.seed).fit(vectors)
        rows = generator.choice(len(vectors), min(self.labelled, len(vectors)), replace=False)
        targets, centred = targets[rows], vectors[rows] - start.mean
        centred /= np.sqrt(np.square(centred).mean())
        projection = start.projection / np.linalg.norm(start.projection, axis=0)
        velocity = np.zeros_like(projection)
        for step in range(self.iterations):
            one, other, similar = _draw_pairs(targets, self.pairs, generator)
            x, y = centred[one], centred[other]
            values = x @ projection, y @ projection
            bound = hinge_bound(*values, similar, radius=self.radius, negative=self.negative)
            gradient = (x.T @ (bound.one - _signs(values[0])) + y.T @ (bound.other - _signs(values[1]))) / len(one)
            velocity = _MOMENTUM * velocity - self.rate * (1 - step / self.iterations) * gradient
            projection += velocity
            projection /= np.linalg.norm(projection, axis=0)
        self.dimension, self.mean, self.projection = vectors.shape[1], start.mean, projection


class Bound(NamedTuple):
    """The bound on the loss of pairs, (P,), and the codes of −1 and 1, (P, B) each, that reach it."""

    value: NDArray[np.float64]
    one: NDArray[np.float64]
    other: NDArray[np.float64]


def hinge_loss(
    distance: NDArray[np.int64], similar: NDArray[np.bool_], *, radius: int, negative: float
) -> NDArray[np.float64]:
    """Loss of pairs at Hamming distances (Norouzi and Fleet 2011).

    Example:
        >>> hinge_loss(np.array([1, 3, 1, 3]), np.array([True, True, False, False]), radius=2, negative=0.5).tolist()
        [0.0, 2.0, 1.0, 0.0]
    """
    return np.where(similar, np.maximum(distance - radius + 1, 0), negative * np.maximum(radius - distance + 1, 0))


def hinge_bound(
    one: NDArray[np.float64], other: NDArray[np.float64], similar: NDArray[np.bool_], *, radius: int, negative: float
) -> Bound:
    """Max over codes of [loss + g · u + g' · v] − Σ (|u| + |v|), exact (Norouzi and Fleet 2011).

    A bit that is equal in both adds |u + v| at most, one that differs |u − v|. So for each distance m the m bits with
    the largest |u − v| − |u + v| differ, and the best of the B + 1 distances is taken.

    Args:
        one: (P, B), u.
        other: (P, B), v.
        similar: (P,) whether the pair shares a label.
        radius: ρ.
        negative: λ.
    """
    pairs, bits = one.shape
    equal, differing = np.abs(one + other), np.abs(one - other)
    order = np.argsort(equal - differing, axis=1, kind="stable")
    gains = np.take_along_axis(differing - equal, order, axis=1).cumsum(axis=1)
    totals = np.concatenate([np.zeros((pairs, 1)), gains], axis=1)
    totals += hinge_loss(np.arange(bits + 1)[None], similar[:, None], radius=radius, negative=negative)
    distance = totals.argmax(axis=1)
    differs = np.empty((pairs, bits), bool)
    np.put_along_axis(differs, order, np.arange(bits) < distance[:, None], axis=1)
    first = _signs(np.where(differs, one - other, one + other))
    value = totals.max(axis=1) + equal.sum(axis=1) - np.abs(one).sum(axis=1) - np.abs(other).sum(axis=1)
    return Bound(value, first, np.where(differs, -first, first))


def _draw_pairs(
    targets: NDArray[np.bool_], count: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of about `count` pairs of each kind: of each of some vectors, one with a common label and one without."""
    one = generator.integers(len(targets), size=count)
    shared = (targets[one].astype(np.float32) @ targets.astype(np.float32).T) > 0
    shared[np.arange(count), one] = False
    firsts, seconds, kinds = [], [], []
    for similar in (True, False):
        allowed = shared if similar else ~shared
        allowed[np.arange(count), one] = False
        paired = allowed.any(axis=1)
        place = (generator.random(allowed.shape, dtype=np.float32) * allowed).argmax(axis=1)
        firsts.append(one[paired])
        seconds.append(place[paired])
        kinds.append(np.full(int(paired.sum()), similar))
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(kinds)


def _signs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values >= 0, 1.0, -1.0)
