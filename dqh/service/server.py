"""The application on a socket, by uvicorn: heads that come in time and in size, and an end in order."""

import asyncio
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dqh import signals
from dqh.errors import ConfigError
from dqh.service.guard import Guard, refusal_bytes
from dqh.service.refusals import RequestError
from dqh.service.settings import Settings, address

HEAD_BYTES = 2**16
"""Most of a request's line and headers."""

CONNECTIONS = 16
"""Open at a time, of those requests that are answered at a time; further ones are answered 503 at once."""

_DRAIN_SECONDS = 1.0
"""That a client may go on sending what nobody reads, so that it sees the answer before the connection ends."""

_KEEP_ALIVE_SECONDS = 5
_BACKLOG = 1024


class LimitedProtocol(HttpToolsProtocol):
    """A connection, with a limit of time and of bytes on the head of a request.

    Args:
        head_seconds: from the connection, or the first byte of a further request, to the end of the head.
        most: connections at a time that are answered.
        given: arguments of uvicorn's own.
    """

    def __init__(self, *, head_seconds: float, most: int, **given: Any) -> None:
        super().__init__(**given)
        self._head_seconds, self._most = head_seconds, most
        self._is_head, self._is_whole, self._is_over, self._head_bytes = True, True, False, 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head."""
        super().connection_made(transport)
        self._limit(self._head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._limit(0, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too large."""
        if self._is_over:
            return
        super().data_received(data)
        if self._is_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._end(_LARGE_HEAD)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._is_head, self._is_whole, self._head_bytes = True, False, 0
        self._limit(self._head_seconds, self._too_slow)

    def on_headers_complete(self) -> None:
        """The head has come, perhaps with one piece of data."""
        self._is_head = False
        self._limit(0, None)
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._end(_LARGE_HEAD)
        elif len(self.connections) > self._most:
            self._end(_MANY)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body has come."""
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body has come."""
        if not self._is_over:
            self._is_whole = True
            self._limit(0, None)
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request is answered: what else of its body comes is not waited for long."""
        super().on_response_complete()
        if not self._is_whole:
            self._limit(_DRAIN_SECONDS, self.transport.close)

    def _limit(self, seconds: float, end: Callable[[], object] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if end is None else self.loop.call_later(seconds, end)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; uvicorn's own text says no more."""
        self._end(RequestError(400, "this is no request of HTTP/1.1, or its length is told twice or not as a number"))

    def _too_slow(self) -> None:
        self._end(RequestError(408, f"no whole head came within {self._head_seconds:g} s; send it at once"))

    def _end(self, error: RequestError) -> None:
        """Refuse what is no whole request, read on for a moment, and end the connection."""
        self._is_over = True
        if self.cycle is not None:  # what is answered to a request before has no place behind a refusal
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not self.transport.is_closing():
            self.transport.write(refusal_bytes(error))
            self._limit(_DRAIN_SECONDS, self.transport.close)


_LARGE_HEAD = RequestError(431, f"line and headers of a request may have {HEAD_BYTES:,} bytes; send fewer of them")
_MANY = RequestError(503, "too many connections at a time; ask again in a second", retry_after="1")


class Server(uvicorn.Server):
    """A server that ends in order at the first SIGTERM or Ctrl-C, and at once at the second.

    Args:
        guard: the application.
        settings: of the service.
        told: is told the URL once requests are taken.
    """

    def __init__(self, guard: Guard, settings: Settings, told: Callable[[str], object]) -> None:
        self._guard, self._settings, self._told = guard, settings, told
        super().__init__(
            uvicorn.Config(
                guard,
                http=cast(
                    Any,
                    partial(LimitedProtocol, head_seconds=settings.body_seconds, most=CONNECTIONS * settings.requests),
                ),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        with _listening(self._settings) as listener:
            asyncio.run(self.serve([listener]))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests, and tell where."""
        await super().startup(sockets)
        for listener in sockets or []:
            self._told(address(self._settings.host, listener.getsockname()[1]))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A block in which the first signal begins the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._signalled) for number in signals.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            signals.end(number, frame)
        self.should_exit = self._guard.is_ending = True


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that listens; asyncio sends small answers at once only on those that say that they are of TCP."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((settings.host, settings.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            hint = "; name another one: --port N, or 0 for any" if error.errno == errno.EADDRINUSE else ""
            reason = f"{settings.host} port {settings.port} cannot be listened on: {error.strerror or error}{hint}"
            raise ConfigError(reason) from error
        yield listener
