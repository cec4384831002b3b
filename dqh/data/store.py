"""The images of a source: decoded once where they fit in memory, else again and again, by workers.

Torch is loaded for tensors, and for workers, which are those of its `DataLoader`.
"""

import errno
import logging
import os
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.child_process import held_back, leave_group
from dqh.cores import usable_cores
from dqh.data.decoding import Decoded, Decoder, channels_first, channels_last, joined, received, shareable
from dqh.data.images import centre_crop
from dqh.data.source import Source
from dqh.errors import ConfigError, DqhError, SystemLimitError
from dqh.inputs import InputSpec
from dqh.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.utils.data import DataLoader

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 2 * 2**20  # decoded at a time by `load`
_PART_BYTES = 64 * 2**20  # of images that a worker decodes at a time; a few parts a worker are there at once
_FEW = 1000  # rows of a source that is read faster than workers start
_NOT_LOADED, _BAD = -1, -2
_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Batch(NamedTuple):
    """Some images and where they come from.

    Attributes:
        images: (n, 3, S, S) uint8, raw values 0 … 255, or (n, F) float32 vectors. Images out of memory are in
            channels-last order.
        rows: (n,) int64 rows of the source.
    """

    images: "Tensor"
    rows: "Tensor"


class Store:
    """Reads images by row, resized and cropped to R × R, R = `spec.resize`.

    Unusable rows are left out of every batch, and `skipped` collects why. No global random state is touched.

    Attributes:
        skipped: row -> reason, of all unusable rows met so far.
        spec: what the images are resized to.

    Args:
        source: the data.
        spec: size and interpolation of the images, or the length of the vectors.
        memory_limit: the most that `load` keeps, bytes.
        workers: processes that decode; None: one a CPU up to 16, and none for small sources and those in memory.

    Raises:
        ConfigError: `memory_limit` or `workers` is negative.
        DataError: the source's kind or length differs from the spec's.
    """

    def __init__(
        self, source: Source, spec: InputSpec, *, memory_limit: int = 4 * 2**30, workers: int | None = None
    ) -> None:
        negative = {"memory_limit": memory_limit, "workers": workers or 0}
        problems = [f"{name} must be at least 0, got {value}" for name, value in negative.items() if value < 0]
        if problems:
            raise ConfigError(problems)
        self.skipped: dict[int, str] = {}
        self._source = source
        self.spec = spec
        self._decoder = Decoder(source, spec)
        self._memory_limit = memory_limit
        self._workers = workers
        self._images: NDArray[Any] | None = None  # (n, R, R, 3); NumPy gathers uint8 many times faster than torch
        self._file: Path | None = None  # that has _images, where they are shared
        self._position = np.zeros(0, dtype=np.int64)  # of each row of the source in _images, or _NOT_LOADED, _BAD

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of an image, (3, R, R), or of a vector, (F,)."""
        return self._decoder.shape

    @property
    def row_dtype(self) -> "torch.dtype":
        """Of its values."""
        import torch

        return torch.uint8 if self._decoder.dtype == np.uint8 else torch.float32

    @property
    def row_bytes(self) -> int:
        """That an image or vector takes in memory."""
        return int(np.prod(self._decoder.shape)) * self._decoder.dtype.itemsize

    def load(self, rows: NDArray[np.int64]) -> None:
        """Decode `rows` once and keep them, where they fit into `memory_limit`; else keep nothing.

        What an earlier call kept is let go, so pass all rows that will be read again.
        """
        rows = np.unique(rows)
        if self._images is not None and (self._position[rows] != _NOT_LOADED).all():
            return
        self._images = self._file = None
        wanted = len(rows) * self.row_bytes
        if wanted > self._memory_limit:
            logger.info(
                "%s: %d images take %.1f GiB, above memory_limit=%.1f GiB; they are decoded whenever they are read",
                *(self._source.name, len(rows), wanted / 2**30, self._memory_limit / 2**30),
            )
            return
        images = np.empty((len(rows), *channels_last(self._decoder.shape)), dtype=self._decoder.dtype)
        position = np.full(len(self._source), _NOT_LOADED, dtype=np.int64)
        chunks = np.array_split(rows, range(_chunk(self.row_bytes), len(rows), _chunk(self.row_bytes)))
        filled = 0
        progress = Progress("decoded", len(rows))
        for part in self._decode(chunks):
            count = len(part.rows)
            channels_first(images[filled : filled + count])[:] = part.images
            position[part.rows] = np.arange(filled, filled + count)
            position[list(part.bad)] = _BAD
            filled += count
            progress.advance(count + len(part.bad))
        self._images, self._position = images[:filled], position

    def batches(self, groups: Iterable[NDArray[np.int64]], *, size: int | None = None) -> Iterator[Batch]:
        """What `arrays` gives, as tensors."""
        import torch

        for images, rows in self.arrays(groups, size=size):
            yield Batch(torch.from_numpy(images), torch.from_numpy(rows))

    def arrays(
        self, groups: Iterable[NDArray[np.int64]], *, size: int | None = None
    ) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        """The images and rows of one batch a group, in order; a group of bad rows alone gives an empty batch.

        Groups that `load` keeps come from memory; a group with other rows is then decoded in this process. With
        nothing kept, workers decode a few groups ahead, so `groups` is consumed before its batches appear.

        Args:
            groups: (n,) int64 rows of each batch.
            size: side S ≤ R of a centre crop (offset (R − S) // 2), pixels; None: R. Vectors have none.

        Raises:
            DqhError: a worker process died.
            SystemLimitError: the system gives no more open files or memory for workers.
        """
        if self._images is None:
            for part in self._decode(groups):
                yield centre_crop(part.images, size), part.rows
            return
        for group in groups:
            rows = np.asarray(group, dtype=np.int64)
            position = self._position[rows]
            if (position == _NOT_LOADED).any():
                part = self._noted(self._decoder[rows])
                yield centre_crop(part.images, size), part.rows
                continue
            good = position >= 0
            yield centre_crop(channels_first(self._images[position[good]]), size), rows[good]

    def share(self, file: Path) -> None:
        """Move what `load` keeps into a file, so that processes which are sent this store read one copy of it.

        Args:
            file: a new `.npy`; it may be unlinked once they have the store.
        """
        if self._images is not None:
            try:
                np.save(file, self._images)
            except OSError as error:
                if error.errno is None:  # numpy only counts what it could not write
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
                raise
            self._images, self._file = np.asarray(np.load(file, mmap_mode="r")), file

    def __getstate__(self) -> dict[str, Any]:
        shared = self._file is not None
        return self.__dict__ | ({"_images": None} if shared else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._file is not None:
            self._images = np.asarray(np.load(self._file, mmap_mode="r"))

    def _decode(self, groups: Iterable[NDArray[np.int64]]) -> Iterator[Decoded]:
        """One `Decoded` a group, in order, by workers where they pay."""
        groups = (np.asarray(group, dtype=np.int64) for group in groups)
        workers = self._worker_count()
        if workers == 0:
            yield from (self._noted(self._decoder[group]) for group in groups)
            return
        most = max(1, _PART_BYTES // self.row_bytes)
        counts: deque[int] = deque()

        def pieces() -> Iterator[NDArray[np.int64]]:
            for group in groups:
                several = np.array_split(group, range(most, len(group), most))
                counts.append(len(several))
                yield from several

        import torch
        from torch.utils.data import DataLoader

        loader: DataLoader[Any] = DataLoader(
            self._decoder,  # type: ignore[arg-type] # what is asked for rows need not be a `Dataset`
            batch_size=None,
            sampler=pieces(),
            num_workers=workers,
            collate_fn=shareable,  # type: ignore[arg-type] # of one part: batches are not made here
            generator=torch.Generator(),  # without one, the loader draws from the global generator
            worker_init_fn=_begin,
        )
        with _workers(loader) as parts:
            for part in parts:
                several = [part, *islice(parts, counts.popleft() - 1)]
                yield self._noted(joined([received(sent) for sent in several]))

    def _worker_count(self) -> int:
        if self._workers is not None:
            return self._workers
        in_memory = self._source.kind == "vector" or self._source.bulk_size is not None
        if in_memory or len(self._source) < _FEW:
            return 0
        return min(16, usable_cores())

    def _noted(self, part: Decoded) -> Decoded:
        self.skipped.update(part.bad)
        return part


def _chunk(row_bytes: int) -> int:
    return max(1, _CHUNK_BYTES // row_bytes)


def _begin(worker: int) -> None:
    leave_group()


@contextmanager
def _workers(loader: "DataLoader[Any]") -> Iterator[Iterator[Any]]:
    """The loader's parts; its workers end with the block, not when the traceback of an error is collected."""
    try:
        with held_back():
            parts: Any = iter(loader)
    except (OSError, RuntimeError) as error:
        _end_begun(error)
        raise _limit(error) or error from error
    try:
        yield parts
    except (OSError, RuntimeError, SystemLimitError) as error:
        if limit := _limit(error):
            raise limit from error
        if not str(error).startswith("DataLoader worker (pid"):  # what a worker raised itself begins otherwise
            raise
        raise DqhError(f"a decoding worker died ({error}); look for a lack of memory, or pass workers=0") from error
    finally:
        parts._shutdown_workers()


def _limit(error: Exception) -> SystemLimitError | None:
    """The error that says which limit stopped the workers, if one did: torch tells it in the text of its own errors."""
    for number in _LIMITS:
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            raised = "ulimit -n 1024" if number != errno.ENOMEM else "ulimit -v, or end other programs"
            return SystemLimitError(
                f"the decoding workers stopped: {os.strerror(number)}; raise the limit of this process ({raised}), or "
                "take fewer workers, 0 for none, and run the command again"
            )
    return None


def _end_begun(error: Exception) -> None:
    """End the workers of an iterator that was not made whole, and keep torch from ending it once more."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        begun: Any = frame.f_locals.get("self")
        if type(begun).__name__ == "_MultiProcessingDataLoaderIter":
            begun._shutdown = True
            for worker in getattr(begun, "_workers", ()):
                worker.kill()  # one that starts is deaf to SIGTERM
                worker.join()
