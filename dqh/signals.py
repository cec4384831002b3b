"""Ctrl-C and SIGTERM end a program with status 130 or 143, at any moment and without a traceback.

What takes signals for itself meanwhile, as a training does to write a checkpoint, gives them back.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_IMPORTING = "<frozen importlib._bootstrap>"


def listen() -> None:
    """Let both signals end the process at once, from now on to its very end; `raising` is gentler inside its block.

    For the first line of a program. A signal that was ignored when it began (nohup, a job in the background) stays so.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    sys.unraisablehook = _unraisable


@contextmanager
def raising() -> Iterator[list[int]]:
    """A block in which SIGINT raises `KeyboardInterrupt` and SIGTERM `SystemExit(143)`, so that work can be put right.

    A second signal ends the process at once, and so does one that comes while a module is loaded: an exception would
    become an `ImportError` there, or be lost. Where `listen` was not called, nothing changes.

    Yields:
        The numbers of the signals that came: an error that follows one may be its consequence.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if received or _is_importing(frame):
            end(number, frame)
        received.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    own = [number for number in SIGNALS if signal.getsignal(number) is end]
    for number in own:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        for number in own:
            signal.signal(number, end)


def end(number: int, frame: FrameType | None) -> None:
    """End the process with the status of a signal."""
    try:
        if number == signal.SIGINT:
            os.write(2, b"interrupted\n")
    finally:
        os._exit(128 + number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """A signal that came in a callback or a destructor, where its exception would be lost, ends the process too."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        end(signal.SIGINT, None)
    if isinstance(lost.exc_value, SystemExit) and lost.exc_value.code == 128 + signal.SIGTERM:
        end(signal.SIGTERM, None)
    sys.__unraisablehook__(lost)
