"""Starts the processes of one training on this machine, passes signals on to them, and brings back what they found."""

import logging
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from dqh.errors import DqhError

A = TypeVar("A")
R = TypeVar("R")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def in_processes(function: Callable[[A], R], argument: Callable[[Path], A], *, count: int) -> R:
    """Call `function` in several new processes at once, each with a copy of the argument.

    They find each other by the variables that Lightning and torch read (`MASTER_ADDR`, `LOCAL_RANK` …). Signals to this
    process are passed on to them; the second one kills them. Where one of them fails, the others are killed.

    Args:
        function: of a module that they can import.
        argument: makes it, picklable; gets a folder for what the processes share, which goes with them.
        count: how many.

    Returns:
        What the first of them returned.

    Raises:
        DqhError: as the first of them that failed raised it, or one died, by a signal or another exception.
        SystemExit: a signal came before they could listen to it, or after they did.
    """
    context = multiprocessing.get_context("spawn")  # what OpenMP and CUDA have begun does not survive a fork
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "call").write_bytes(pickle.dumps((function, argument(folder))))
        port = _free_port()
        level = logging.getLogger().getEffectiveLevel()
        processes = [
            context.Process(target=_process, args=(folder, number, count, port, level)) for number in range(count)
        ]
        with _passed_on(processes) as received:
            try:
                for process in processes:
                    process.start()
                while running := _running(processes):
                    wait(running)
                ended = [process.exitcode for process in processes]  # before those that still run are killed
            finally:
                for process in processes:
                    if process.pid is not None and process.exitcode is None:
                        process.kill()
                    if process.pid is not None:
                        process.join()
        answer: R = _answer(folder, ended, received)
        return answer


def _running(processes: list[Any]) -> list[Any]:
    """What tells the end of those that are at work; none once one has failed."""
    ended = [process.exitcode for process in processes]
    if any(ended):
        return []
    return [process.sentinel for process, status in zip(processes, ended, strict=True) if status is None]


def _answer(folder: Path, ended: list[int | None], received: list[int]) -> Any:
    """The answer of the first process, or the error that says why there is none."""
    answers = [folder / f"answer{number}" for number in range(len(ended))]
    written = [pickle.loads(answer.read_bytes()) for answer in answers if answer.is_file()]
    for error in written:
        if isinstance(error, DqhError):
            raise error
    for number, status in enumerate(ended):
        if status and not received:
            raise DqhError(
                f"process {number} of {len(ended)} of the training ended with status {status}; what it "
                "wrote to stderr says why, a status below 0 is the number of a signal: -9 may be a lack of memory"
            )
    if received:  # in what it ended, or too late for any of them to heed it
        raise SystemExit(128 + received[0])
    return written[0]


def _process(folder: Path, number: int, count: int, port: int, level: int) -> None:
    """The life of a process: call the function, leave an answer."""
    if os.name == "posix":
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on
    threading.Thread(target=_orphaned, daemon=True).start()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(number),  # before what a scheduler may have left
        "LOCAL_RANK": str(number),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(count),
    }
    logging.basicConfig(level=level if number == 0 else logging.WARNING, format="%(message)s", stream=sys.stderr)
    function, argument = pickle.loads((folder / "call").read_bytes())
    answer: Any = None
    try:
        result = function(argument)
        answer = result if number == 0 else None
    except DqhError as error:
        answer = error
    part = folder / f".answer{number}"
    part.write_bytes(pickle.dumps(answer))
    part.replace(folder / f"answer{number}")
    logging.shutdown()
    sys.stderr.flush()
    os._exit(1 if isinstance(answer, DqhError) else 0)  # without what waits for processes that are gone


def _orphaned() -> None:
    """Ends the process as a signal would, once its parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _passed_on(processes: list[Any]) -> Iterator[list[int]]:
    """Signals to this process go to the processes, the second one as SIGKILL; outside the main thread none does.

    Yields:
        The numbers of those that came.
    """
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL if received else number)
        if received:
            os._exit(128 + number)
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
