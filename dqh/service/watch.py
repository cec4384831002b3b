"""How long the stages of an answer take."""

import time


class Watch:
    """Seconds of stages, as they end.

    Attributes:
        seconds: by the name of the stage, in their order.
    """

    def __init__(self) -> None:
        self._mark = self._began = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def stage(self, name: str) -> None:
        """A stage has ended."""
        now = time.perf_counter()
        self.seconds[name], self._mark = round(now - self._mark, 6), now

    def add(self, seconds: dict[str, float]) -> None:
        """Stages that told their seconds themselves have ended."""
        self.seconds |= {name: round(value, 6) for name, value in seconds.items()}
        self._mark = time.perf_counter()

    def total(self) -> dict[str, float]:
        """All stages, and `total`, from the beginning."""
        return self.seconds | {"total": round(time.perf_counter() - self._began, 6)}
