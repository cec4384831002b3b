"""What a process that this package starts owes to the one that started it.

`dqh.encoding.process` has its own of some of this, since its text stands alone.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TO_THE_GROUP = (signal.SIGINT, signal.SIGTERM)


def leave_group() -> None:
    """Make this process deaf to what its group is sent, as by Ctrl-C, timeout or Slurm: the main process decides."""
    if os.name != "posix":
        return
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # lets go of one that came while this process started
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # and the main process can end it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TO_THE_GROUP)


@contextmanager
def held_back() -> Iterator[None]:
    """Processes that start in the block hear of no signal until `leave_group`."""
    if os.name != "posix":
        yield
        return
    import multiprocessing
    from multiprocessing import resource_tracker

    if multiprocessing.get_start_method() != "fork":
        resource_tracker.ensure_running()  # else it starts in the block, and lets the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TO_THE_GROUP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow(parent: int) -> None:
    """End this process, by a thread that looks twice a second, once the one that started it is gone."""
    threading.Thread(target=_look, args=(parent,), daemon=True).start()


def status_words(status: int | None) -> str:
    """How a process ended, by what `subprocess` and `multiprocessing` say of it."""
    if status is None or status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
