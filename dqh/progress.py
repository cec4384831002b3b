"""How far a long run is: images, or what else it does, a second and the time that is left, every few seconds."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_SECONDS = 5.0


class Progress:
    """Counts images and logs how far they are, and their end where that took longer than one line.

    Attributes:
        note: what stands behind each line.

    Args:
        verb: what is done to them.
        total: how many there are.
        noun: what they are.
        done: how many an earlier run has done, which say nothing of how fast this one is.
        clock: gives seconds.
    """

    def __init__(
        self,
        verb: str,
        total: int,
        *,
        noun: str = "images",
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verb, self._total, self._noun, self._clock = verb, total, noun, clock
        self._done = self._first = done
        self._began = self._last = clock()
        self._told = False
        self.note = ""

    def advance(self, images: int) -> None:
        """So many more are done."""
        self._done += images
        now = self._clock()
        is_end = self._told and self._done == self._total
        if now - self._last < _SECONDS and not is_end:
            return
        self._told = True
        self._last, rate = now, (self._done - self._first) / max(now - self._began, 1e-9)
        left = f"{(self._total - self._done) / rate:,.0f} s left" if rate else "none so far"
        logger.info(
            "%s %s of %s %s, %.0f %s/s, %s%s",
            *(self._verb, f"{self._done:,}", f"{self._total:,}", self._noun, rate, self._noun, left, self.note),
        )
