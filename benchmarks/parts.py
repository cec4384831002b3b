"""A measurement of several parts that has to end by a time: what is found is kept after each of them."""

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


class Parts:
    """Does one part after another.

    Args:
        found: gets the result of each part by its name, `seconds` of each, `no time left` (names) and `failed`
            (name → reason).
        limit: seconds from now on by which the last part should have ended.
        keep: called after each part, to write down what is found.
        clock: tells seconds.
    """

    def __init__(
        self,
        found: dict[str, Any],
        *,
        limit: float,
        keep: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.found = found
        self.limit = limit
        self._keep, self._clock = keep, clock
        self._begun, self._last = clock(), 0.0
        found.update({"seconds": {}, "no time left": [], "failed": {}})

    def do(self, name: str, work: Callable[[], Any], *, share: float = 1.0) -> None:
        """Do a part, unless the time that the part before it took, times `share`, is no longer left.

        One that fails is told on stderr, and does not keep the others from being done.
        """
        begun = self._clock()
        if begun - self._begun + share * self._last > self.limit:
            self.found["no time left"].append(name)
            self._keep()
            return
        try:
            self.found[name] = work()
        except Exception as error:  # of any kind: what the other parts find is worth having
            traceback.print_exc()
            self.found["failed"][name] = f"{type(error).__name__}: {error}".splitlines()[0]
        self._last = self._clock() - begun
        self.found["seconds"][name] = round(self._last, 1)
        print(f"{name}: {self._last:.0f} s, {self._clock() - self._begun:.0f} s in all", file=sys.stderr)
        self._keep()
