"""A process of its own for what a stranger may have made: it has a time for each request, and can be ended any moment.

A signal cannot end a loop inside a library; the end of its process does. What runs in there is a class whose file
imports nothing of this package, so that the process starts in a fraction of a second, and so that the text of this file
and of that one can be part of `verify_onnx.py`, which stands alone. Messages are JSON, and
arrays in memory that both share; nothing is unpickled.

The process ends with the one that started it: at once where that closes the pipe, else within half a second.
"""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

MAX_MESSAGE = 2**32
"""Of the arrays of one message; more is refused."""

_ALIGNED = 64


class Message(NamedTuple):
    """A request or an answer: plain JSON values, and arrays of numbers."""

    fields: dict[str, Any]
    arrays: tuple[np.ndarray, ...] = ()


class ProcessError(Exception):
    """What ran in the process failed, ran out of time, or ended it; the text is the reason.

    Attributes:
        kind: name of the error in there; `time` or `ended` where there was none.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Process:
    """A process in which one handler answers requests; where the system is not POSIX, it answers in this one.

    Threads may share it: it answers one at a time.

    Args:
        handler: a class without arguments, whose objects turn a `Message` into another. Its file is run by its path.
    """

    def __init__(self, handler: type[Any]) -> None:
        self._handler = None if os.name == "posix" else handler()
        self._turn = threading.Lock()
        if self._handler is not None:
            return
        files = [str(Path(function.__code__.co_filename).resolve()) for function in (serve, handler.__call__)]
        names = list(zip(files, (serve.__name__, handler.__name__), strict=True))
        self._shared = Shared(shared_file())
        program = (
            f"import runpy, sys; sys.path[:] = {sys.path!r}; serve, handler = (runpy.run_path(file)[name] "
            f"for file, name in {names!r}); serve(handler(), {self._shared.descriptor})"
        )
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._shared.descriptor],
        )
        self._finalizer = weakref.finalize(self, _end, self._child, self._shared.descriptor, os.getpid())

    def ask(self, request: Message, *, seconds: float) -> Message:
        """What the handler answers.

        Args:
            request: what it is given.
            seconds: after which the process is ended, and this raises.

        Raises:
            ProcessError: the handler raised an error, or the process ended; where it ended, it stays so.
        """
        with self._turn:
            return self._asked(request, seconds)

    def _asked(self, request: Message, seconds: float) -> Message:
        if self._handler is not None:
            return _answer(self._handler, request)
        try:
            limited = request._replace(fields=request.fields | {"seconds": seconds})
            self._shared.send(self._child.stdin, limited)
            answer = self._shared.receive(self._child.stdout)
        except (OSError, EOFError, ValueError):
            self.close()
            raise self._ended(seconds) from None
        except BaseException:  # Ctrl-C and SIGTERM: the process is in the middle of something
            self.close()
            raise
        if "error" in answer.fields:
            raise ProcessError(str(answer.fields["error"]), str(answer.fields.get("text")))
        return answer._replace(arrays=tuple(array.copy() for array in answer.arrays))

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, by `close` or because of a request."""
        return self._handler is None and not self._finalizer.alive

    @property
    def shared_bytes(self) -> int:
        """Of the memory that both processes share: as much as the largest message took."""
        return 0 if self._handler is not None else self._shared.size

    def close(self) -> None:
        """End the process now, whatever it does."""
        if self._handler is None:
            self._finalizer()

    def _ended(self, seconds: float) -> ProcessError:
        if self._child.returncode == -getattr(signal, "SIGALRM", 0):
            return ProcessError("time", f"not done after {seconds:g} seconds, the most that it may take; it was ended")
        return ProcessError("ended", f"its process ended ({_in_words(self._child.returncode)})")


def serve(handler: Callable[[Message], Message], descriptor: int) -> None:
    """Answer requests from stdin on stdout until stdin ends: what runs inside the process.

    Args:
        handler: that answers.
        descriptor: of the memory that both processes share.
    """
    answers, shared = os.fdopen(os.dup(1), "wb"), Shared(descriptor)
    os.dup2(2, 1)  # what is printed in here belongs to the messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C here too; the other process decides
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    while True:
        try:
            request = shared.receive(sys.stdin.buffer)
        except EOFError:
            return
        _limit(request.fields["seconds"])
        try:
            answer = _answer(handler, request)
        except ProcessError as error:
            answer = Message({"error": error.kind, "text": str(error)})
        _limit(0)
        shared.send(answers, answer)


def _answer(handler: Callable[[Message], Message], request: Message) -> Message:
    try:
        return handler(request)
    except Exception as error:  # libraries have errors of their own, with no common parent
        raise ProcessError(type(error).__name__, str(error)) from error


class Shared:
    """Memory of two processes, through which one of them at a time sends a message: JSON on a pipe, its arrays here.

    Args:
        descriptor: of an open file that both have.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._bytes = np.empty(0, np.uint8)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._bytes)

    def send(self, stream: IO[bytes] | None, message: Message) -> None:
        """Write a message.

        Raises:
            ValueError: its arrays take more than `MAX_MESSAGE`.
            OSError: the other process has ended, or there is not as much memory.
        """
        assert stream is not None
        arrays, places, end = [np.asarray(array, order="C") for array in message.arrays], [], 0
        for array in arrays:
            places.append((array.dtype.str, array.shape, end))
            end += -(-array.nbytes // _ALIGNED) * _ALIGNED
        if end > MAX_MESSAGE:
            raise ValueError(f"{end} bytes of arrays, at most {MAX_MESSAGE} are taken")
        if end > len(self._bytes):
            os.ftruncate(self.descriptor, end)
            self._map()
        for array, (_, _, start) in zip(arrays, places, strict=True):
            self._bytes[start : start + array.nbytes] = array.reshape(-1).view(np.uint8)
        head = json.dumps(message.fields | {"arrays": places}).encode()
        stream.write(len(head).to_bytes(4, "little") + head)
        stream.flush()

    def receive(self, stream: IO[bytes] | None) -> Message:
        """Read a message; its arrays change once the next one is sent.

        Raises:
            EOFError: the other process has ended.
            ValueError: it is no message.
        """
        assert stream is not None
        head = stream.read(int.from_bytes(stream.read(4), "little"))
        if not head:
            raise EOFError
        fields: dict[str, Any] = json.loads(head)
        places = [(np.dtype(name), shape, start) for name, shape, start in fields.pop("arrays")]
        sizes = [int(np.prod(shape, dtype=object)) * dtype.itemsize for dtype, shape, _ in places]
        if any(start + size > len(self._bytes) for size, (_, _, start) in zip(sizes, places, strict=True)):
            self._map()
        return Message(
            fields,
            tuple(
                self._bytes[start : start + size].view(dtype).reshape(shape)
                for size, (dtype, shape, start) in zip(sizes, places, strict=True)
            ),
        )

    def _map(self) -> None:
        self._bytes = np.frombuffer(mmap.mmap(self.descriptor, 0), np.uint8)


def shared_file() -> int:
    """The descriptor of an empty file without a name, in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dqh")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _limit(seconds: float) -> None:
    """Let the system end this process after some seconds, whatever it does then; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _follow(parent: int) -> None:
    """End this process once the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _end(child: "subprocess.Popen[bytes]", descriptor: int, owner: int) -> None:
    if os.getpid() != owner:  # a fork has inherited it
        return
    os.close(descriptor)
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        try:
            if stream is not None:
                stream.close()
        except OSError:  # what it had not read yet
            pass


def _in_words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
