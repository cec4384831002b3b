"""Who assigns points to centres in the place of this process; see `dqh.scale.spread_points`."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from dqh.clustering.cell_points import CellChunk, Space, Vectors
from dqh.clustering.code_iterations import ClusteredSpace
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.clustering.vector_sums import AssignedVectors

Opened = Callable[[], Vectors]
"""Opens vectors, in whatever process."""


class Spread(Protocol):
    """Lets others assign points, to the same result."""

    def codes(
        self, space: ClusteredSpace, codes: DistinctCodes, make: Callable[[DistinctCodes], ClusteredSpace]
    ) -> ClusteredSpace:
        """A space whose codes are assigned elsewhere, from it, its codes, and what makes a space of some of them."""
        ...

    def vectors(self, opened: Opened, total: int) -> AssignedVectors:
        """So many vectors that are assigned elsewhere."""
        ...

    def cells(self, opened: Opened, total: int, space: Space, start: int) -> Iterator[CellChunk]:
        """The chunks of so many vectors, from row `start` on, the first row of a chunk."""
        ...


class Elsewhere(NamedTuple):
    """Who assigns points, and how they open vectors; None where only codes are assigned."""

    spread: Spread
    opened: Opened | None = None
