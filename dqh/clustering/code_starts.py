"""Which codes the centres start from: drawn at random, by k-means++ or by AFK-MC².

Codes are weighted by how often they come. Distances are squared L2: Hamming distances are, of bits.

U distinct codes, k centres.
"""

from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

Start = Literal["random", "k-means++", "afk-mc2"]
STARTS: tuple[str, ...] = get_args(Start)

CHAIN = 100
"""Steps of the Markov chain that chooses a centre of AFK-MC²."""


class CodeSpace(Protocol):
    """Distances between distinct codes, by their places."""

    weights: NDArray[np.uint32]

    def between(self, place: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances (m,) of one code to others (m,)."""
        ...


def drawn_codes(space: CodeSpace, count: int, *, start: Start, generator: np.random.Generator) -> NDArray[np.int64]:
    """Places (k,) of k distinct codes, in the order in which they were drawn, k at most U."""
    if start == "random":
        return _random(space.weights, count, generator)
    return (_plus_plus if start == "k-means++" else _afk_mc2)(space, count, generator)


def _random(weights: NDArray[np.uint32], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """One after another in proportion to the weights, none twice."""
    # the order of exponential waiting times with these rates is that of drawing (Efraimidis and Spirakis 2006)
    times = generator.standard_exponential(len(weights)) / weights
    first = np.argpartition(times, min(count, len(times)) - 1)[:count]
    return first[np.argsort(times[first], kind="stable")]


def _plus_plus(space: CodeSpace, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Each in proportion to its distance from those already drawn (Arthur and Vassilvitskii 2007)."""
    everyone = np.arange(len(space.weights))
    drawn = [_draw(space.weights.astype(np.float64), generator)]
    distances = space.between(drawn[0], everyone)
    while len(drawn) < count:
        drawn.append(_draw(space.weights * distances, generator))
        np.minimum(distances, space.between(drawn[-1], everyone), out=distances)
    return np.array(drawn)


def _afk_mc2(space: CodeSpace, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """As k-means++, by Markov chains that see `CHAIN` codes a centre (Bachem, Lucic, Hassani, Krause 2016, alg. 1).

    Candidates come from q, half of what the first centre says, and half of the weights. One that is a centre already
    has the distance 0, so that a chain leaves it as soon as another comes; where none does, the centre is drawn by
    k-means++ from all codes.
    """
    weights = space.weights.astype(np.float64)
    first = _draw(weights, generator)
    distances = weights * space.between(first, np.arange(len(weights)))
    chances = weights / weights.sum()
    if distances.sum() > 0:
        chances = (chances + distances / distances.sum()) / 2
    candidates = np.searchsorted(np.cumsum(chances), generator.random((count - 1, CHAIN)) * chances.sum())
    candidates = np.minimum(candidates, len(weights) - 1)
    chance = weights[candidates] / chances[candidates]
    luck = generator.random(candidates.shape)
    near, drawn = np.full(candidates.shape, np.inf), [first]
    for number in range(count - 1):
        rest = candidates[number:]
        np.minimum(near[number:], space.between(drawn[-1], rest.reshape(-1)).reshape(rest.shape), out=near[number:])
        step = _walked(near[number] * chance[number], luck[number])
        if near[number, step] > 0:
            drawn.append(int(candidates[number, step]))
        else:
            drawn.append(_farther(space, drawn, generator))
    return np.array(drawn)


def _walked(values: NDArray[np.float64], luck: NDArray[np.float64]) -> int:
    """Where a chain ends that goes on from i to j with the chance value j / value i."""
    at = 0
    for step in range(1, len(values)):
        if values[step] > luck[step] * values[at]:
            at = step
    return at


def _farther(space: CodeSpace, drawn: list[int], generator: np.random.Generator) -> int:
    everyone = np.arange(len(space.weights))
    distances = np.full(len(everyone), np.inf)
    for centre in drawn:
        np.minimum(distances, space.between(centre, everyone), out=distances)
    return _draw(space.weights * distances, generator)


def _draw(weights: NDArray[np.float64], generator: np.random.Generator) -> int:
    total = np.cumsum(weights)
    return min(int(np.searchsorted(total, generator.random() * total[-1], side="right")), len(weights) - 1)
