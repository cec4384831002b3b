"""What executors are given in tests: a setup, and tasks that answer, fail and die."""

import os
import signal
import time
from pathlib import Path

from dqh.errors import DataError


class Started:
    """A state that notes in a folder that it was made, and by which process."""

    def __init__(self, folder: Path) -> None:
        (folder / f"setup-{os.getpid()}-{time.monotonic_ns()}").touch()
        self.folder = folder


class Setup:
    """Makes the state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> Started:
        return Started(self.folder)


def square(state: Started, number: int) -> tuple[int, int]:
    """The square, and the process."""
    (state.folder / f"task-{number}-{time.monotonic_ns()}").touch()
    return number * number, os.getpid()


def squares_but(state: Started, number: int) -> tuple[int, int]:
    """Number 3 always kills its worker, 5 does once, 6 raises what may pass, 7 what does not, 8 once."""
    attempt = len(list(state.folder.glob(f"task-{number}-*")))
    result = square(state, number)
    if number == 3 or (number == 5 and not attempt):
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 6 or (number == 8 and not attempt):
        raise OSError(5, "the disk is away")
    if number == 7:
        raise DataError("no such column")
    return result


def unsendable(state: Started, number: int) -> object:
    """What pickle refuses."""
    return lambda: number


class Broken:
    """A setup that raises."""

    def __call__(self) -> None:
        raise DataError("nothing to set up")


class Dying:
    """A setup that ends its process."""

    def __call__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
