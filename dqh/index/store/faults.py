"""Every step of a commit by name, so that tests and benchmarks can stop a writer at each of them.

Outside `watched` nothing is watched and a step costs a look-up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path


class Step(StrEnum):
    """What has just been done when a fault point is reached."""

    ANNOUNCED = "names announced"
    FOLDER_MADE = "folder made"
    FILE_OPENED = "file opened, empty"
    FILE_HALF = "file written in part"
    FILE_WRITTEN = "file written"
    FILE_SYNCED = "file synced"
    FOLDER_SYNCED = "folder synced"
    LINKED = "version linked"
    PUBLISHED = "version published"
    REMOVED = "what is not needed removed"


Watcher = Callable[[Step, Path], None]

_WATCHER: ContextVar[Watcher | None] = ContextVar("dqh_store_watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """A block in which `watcher` is called after each step, with the step and the file or folder it was about.

    Whatever it raises or does to the process takes place there.
    """
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def reached(step: Step, path: Path) -> None:
    """Tell the watcher, where there is one."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(step, path)
