"""A store that tells how far the reading of its images is."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data import Source, Store
from dqh.inputs import InputSpec
from dqh.progress import Progress


class WatchedStore(Store):
    """A store that tells how many images have been read, by its `progress`."""

    def __init__(self, source: Source, spec: InputSpec, *, workers: int | None = None) -> None:
        super().__init__(source, spec, workers=workers)
        self.progress = Progress("read", len(source))

    def arrays(
        self, groups: Iterable[NDArray[np.int64]], *, size: int | None = None
    ) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        """See `Store.arrays`; a group counts once what follows its batch has asked for the next one."""
        sizes: deque[int] = deque()

        def noted() -> Iterator[NDArray[np.int64]]:
            for group in groups:
                sizes.append(len(group))
                yield group

        for batch in super().arrays(noted(), size=size):
            yield batch
            self.progress.advance(sizes.popleft())
