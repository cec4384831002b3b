"""What a long clustering keeps of its work, so that the same one goes on from there once it was interrupted."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""Of a stage, by name."""


class Checkpoints(Protocol):
    """Keeps the newest arrays of each stage of one clustering; who loads them goes on to the very same result."""

    def load(self, stage: str) -> dict[str, NDArray[Any]] | None:
        """What was kept of a stage, which the caller may change; None where nothing was."""
        ...

    def offer(self, stage: str, state: Callable[[], Arrays], *, ended: bool = False) -> None:
        """Keep the arrays that `state` gives in the place of earlier ones of the stage, where that is worth its time.

        Args:
            stage: its name.
            state: what `load` is to give; it is called before this returns, or not at all.
            ended: whether the stage is over, so that nothing of it will be offered any more.
        """
        ...


class NoCheckpoints:
    """Keeps nothing."""

    def load(self, stage: str) -> dict[str, NDArray[Any]] | None:
        """None."""
        return None

    def offer(self, stage: str, state: Callable[[], Arrays], *, ended: bool = False) -> None:
        """Does nothing."""


KEEP_NOTHING = NoCheckpoints()
