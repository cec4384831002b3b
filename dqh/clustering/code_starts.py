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

LATE = 16
"""Steps at the end of a chain, which mostly decide by themselves where it ends."""

_TOGETHER = 64
"""Chains whose last steps are compared with the centres before them at a time."""


class CodeSpace(Protocol):
    """Distances between distinct codes, by their places."""

    weights: NDArray[np.uint32]

    def between(self, place: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances (m,) of one code to others (m,)."""
        ...

    def to_nearest(self, places: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances (m,) of codes (m,) to the nearest of others, at least one."""
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
    first = _draw(space.weights.astype(np.float64), generator)
    chains = _Chains(space, first, count - 1, generator)
    drawn = [first]
    for start in range(0, count - 1, _TOGETHER):
        late = chains.candidates(slice(start, start + _TOGETHER), slice(-LATE, None))
        near = space.to_nearest(late.reshape(-1), np.array(drawn)).reshape(late.shape)
        for row in range(len(late)):
            number = start + row
            step = chains.end_of(number, late[row], near[row])
            if step is not None:
                place, distance = late[row, step], near[row, step]
            else:
                place, distance = chains.walked(number, np.array(drawn))
            drawn.append(int(place) if distance > 0 else _farther(space, drawn, generator))
            rest = late[row + 1 :]
            between = space.between(drawn[-1], rest.reshape(-1)).reshape(rest.shape)
            np.minimum(near[row + 1 :], between, out=near[row + 1 :])
    return np.array(drawn)


class _Chains:
    """Chains of a number of centres: each goes on from i to j with the chance value j / value i.

    The value of a code is its distance from the nearest centre, as often as it comes, by its chance in q, and so at
    most that with the first centre alone. Where a step would be taken even from the highest of these, what came before
    says nothing.
    """

    def __init__(self, space: CodeSpace, first: int, number: int, generator: np.random.Generator) -> None:
        weights = space.weights.astype(np.float64)
        distances = space.between(first, np.arange(len(weights)))
        chances, errors = weights / weights.sum(), weights * distances
        if errors.sum() > 0:
            chances = (chances + errors / errors.sum()) / 2
        self._space, self._factors = space, weights / chances
        self._highest = float((distances * self._factors).max())
        self._bounds = np.cumsum(chances)
        self._points = generator.random((number, CHAIN)) * chances.sum()
        self._luck = generator.random((number, CHAIN))

    def candidates(self, numbers: slice, steps: slice) -> NDArray[np.int64]:
        """Places of the codes that some chains see in some steps."""
        places: NDArray[np.int64] = np.searchsorted(self._bounds, self._points[numbers, steps])
        return np.minimum(places, len(self._bounds) - 1)

    def end_of(self, number: int, late: NDArray[np.int64], near: NDArray[np.float64]) -> int | None:
        """Which of its last steps a chain ends with, from their distances; None where that is not sure."""
        values, luck = near * self._factors[late], self._luck[number, -LATE:]
        sure = np.flatnonzero(values > luck * self._highest)
        return int(sure[-1]) + _walked(values[sure[-1] :], luck[sure[-1] :]) if len(sure) else None

    def walked(self, number: int, drawn: NDArray[np.int64]) -> tuple[int, float]:
        """The code with which a whole chain ends, and its distance."""
        places = self.candidates(slice(number, number + 1), slice(None))[0]
        near = self._space.to_nearest(places, drawn)
        step = _walked(near * self._factors[places], self._luck[number])
        return int(places[step]), float(near[step])


def _walked(values: NDArray[np.float64], luck: NDArray[np.float64]) -> int:
    """Where a chain ends that goes on from i to j with the chance value j / value i."""
    at, present = 0, float(values[0])
    for step, (value, share) in enumerate(zip(values.tolist(), luck.tolist(), strict=True)):
        if step and value > share * present:
            at, present = step, value
    return at


def _farther(space: CodeSpace, drawn: list[int], generator: np.random.Generator) -> int:
    distances = space.to_nearest(np.arange(len(space.weights)), np.array(drawn))
    return _draw(space.weights * distances, generator)


def _draw(weights: NDArray[np.float64], generator: np.random.Generator) -> int:
    total = np.cumsum(weights)
    return min(int(np.searchsorted(total, generator.random() * total[-1], side="right")), len(weights) - 1)
