"""Images of strangers, decoded in processes that are ended where one takes too long."""

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from dqh.encoding.process import Message, Process, ProcessError
from dqh.errors import BadImageError, first_line
from dqh.service.image_worker import ImageWorker

_PIXEL = b"P6 1 1 255\n\0\0\0"
"""The smallest image there is."""

KEPT_BYTES = 64 * 2**20
"""Of memory shared with a process; one that has more of it after a large image is ended, and another one started."""


class ImageWorkers:
    """Some processes, each of which decodes one image at a time.

    Args:
        count: of processes; each starts when it is first needed.
        pixels: most of an image, width × height.
        seconds: most that an image may take.
    """

    def __init__(self, count: int, *, pixels: int, seconds: float) -> None:
        self._free: queue.LifoQueue[Process | None] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(None)
        self._count, self._pixels, self._seconds = count, pixels, seconds

    def image(self, content: bytes) -> Image.Image:
        """The upright RGB image in an encoded one.

        Raises:
            BadImageError: it cannot be used, or is not decoded in time.
        """
        return Image.fromarray(self._ask(content, do="pixels").arrays[0])

    def picture(self, content: bytes, *, side: int) -> bytes:
        """A JPEG of an encoded image, its longer side at most `side` pixels; errors as of `image`."""
        return self._ask(content, do="picture", side=side).arrays[0].tobytes()

    def size(self, content: bytes) -> tuple[int, int]:
        """Width and height of an encoded image, upright; errors as of `image`."""
        width, height = self._ask(content, do="size").fields["size"]
        return int(width), int(height)

    def warm(self) -> None:
        """Start the processes, which takes some tenths of a second, before somebody waits for one."""
        with ThreadPoolExecutor(self._count) as threads:
            list(threads.map(lambda _: self.size(_PIXEL), range(self._count)))

    def close(self) -> None:
        """End the processes, once what they work on is done."""
        for _ in range(self._count):
            if (process := self._free.get()) is not None:
                process.close()

    def _ask(self, content: bytes, **fields: Any) -> Message:
        request = Message(fields | {"pixels": self._pixels}, (np.frombuffer(content, np.uint8),))
        with self._one() as process:
            try:
                answer = process.ask(request, seconds=self._seconds)
            except ProcessError as error:
                if error.kind in ("time", "ended"):
                    process.close()
                    raise BadImageError(f"it cannot be decoded: {first_line(error)}") from error
                raise BadImageError(first_line(error)) from error
        return answer

    @contextmanager
    def _one(self) -> Iterator[Process]:
        """A process that nobody else uses; after an error that ended it another one takes its place."""
        process = self._free.get()
        try:
            if process is None:
                process = Process(ImageWorker)
            yield process
        finally:
            if process is not None and (process.is_closed or process.shared_bytes > KEPT_BYTES):
                process.close()
                process = None
            self._free.put(process)
