"""The newest version of an index, followed while others write: each request takes one snapshot, and keeps it.

A version is opened in the background and made ready before a request sees it, so that nobody waits for its engine. A
request waits only where the index is two versions ahead or more: nobody is answered from what is older than the version
before the newest one.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from dqh.errors import DqhError
from dqh.index.store.place import newest_version

logger = logging.getLogger(__name__)

POLL, WAIT = 0.5, 10.0
"""Seconds between looks where nobody asks, and the most that a request waits for a version."""


class Numbered(Protocol):
    """What is opened of an index."""

    @property
    def number(self) -> int:
        """Of the version."""


V = TypeVar("V", bound=Numbered)


class Newest(Generic[V]):
    """What is made of the newest version of an index.

    Args:
        path: of the index.
        open_one: opens the newest version, ready to be asked.
        require: is given the first version, and raises where that is not what was meant.

    Attributes:
        held: what is served.
        failures: how often a newer version could not be opened.
        opened: when the present one was, by `time.time`.

    Raises:
        DqhError: the first version cannot be opened, or is refused.
    """

    def __init__(
        self, path: Path, open_one: Callable[[], V], *, require: Callable[[V], object] = lambda held: None
    ) -> None:
        self._path, self._open = path, open_one
        self.held = open_one()
        require(self.held)
        self._refused: int | None = None
        self._wanted, self._changed, self._ended = threading.Event(), threading.Condition(), False
        self.failures, self.opened = 0, time.time()
        self._follower = threading.Thread(target=self._follow, name="newest version", daemon=True)
        self._follower.start()

    def current(self) -> V:
        """The newest version, or the one before where the newest is not ready yet."""
        newest = self._newest()
        if newest is None or newest in (self.held.number, self._refused):
            return self.held
        self._wanted.set()
        if newest > self.held.number + 1:
            with self._changed:
                self._changed.wait_for(lambda: self.held.number + 1 >= newest or self._refused is not None, WAIT)
        return self.held

    def close(self) -> None:
        """Follow no longer."""
        self._ended = True
        self._wanted.set()
        self._follower.join()

    def _newest(self) -> int | None:
        try:
            return newest_version(self._path)
        except OSError:  # as of a file system that is away: what is held still answers
            return None

    def _follow(self) -> None:
        while not self._ended:
            self._wanted.wait(POLL)
            self._wanted.clear()
            newest = self._newest()
            if self._ended or newest is None or newest in (self.held.number, self._refused):
                continue
            try:
                held = self._open()
            except (DqhError, OSError, ValueError) as error:  # the last one is served on, until there is another one
                logger.warning("version %d cannot be served, %d still is: %s", newest, self.held.number, error)
                self.failures += 1
                with self._changed:
                    self._refused = newest
                    self._changed.notify_all()
                continue
            with self._changed:
                self.held, self._refused, self.opened = held, None, time.time()
                self._changed.notify_all()
            logger.info("version %d is served", held.number)
