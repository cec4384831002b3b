"""How far a long run is: images a second and the time that is left, every few seconds."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dqh.data import Batch, Source, Store
from dqh.inputs import InputSpec

logger = logging.getLogger(__name__)

_SECONDS = 5.0


class Progress:
    """Counts images and logs how far they are.

    Args:
        verb: what is done to them, in the past tense.
        total: how many there are.
        clock: seconds.
    """

    def __init__(self, verb: str, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._verb, self._total, self._clock = verb, total, clock
        self._done = 0
        self._began = self._last = clock()

    def advance(self, images: int) -> None:
        """So many more are done."""
        self._done += images
        now = self._clock()
        if now - self._last < _SECONDS:
            return
        self._last, rate = now, self._done / (now - self._began)
        left = f"{(self._total - self._done) / rate:,.0f} s left" if rate else "none so far"
        logger.info(
            "%s %s of %s images, %.0f images/s, %s", self._verb, f"{self._done:,}", f"{self._total:,}", rate, left
        )


class WatchedStore(Store):
    """A store that tells how many images have been read.

    Attributes:
        progress: which is told.

    Args:
        source: the data.
        spec: size and interpolation of the images.
        workers: processes that decode, see `Store`.
    """

    def __init__(self, source: Source, spec: InputSpec, *, workers: int | None = None) -> None:
        super().__init__(source, spec, workers=workers)
        self.progress = Progress("read", len(source))

    def batches(self, groups: Iterable[NDArray[np.int64]], *, size: int | None = None) -> Iterator[Batch]:
        """See `Store.batches`; a group counts once what follows its batch has asked for the next one."""
        sizes: deque[int] = deque()

        def noted() -> Iterator[NDArray[np.int64]]:
            for group in groups:
                sizes.append(len(group))
                yield group

        for batch in super().batches(noted(), size=size):
            yield batch
            self.progress.advance(sizes.popleft())
