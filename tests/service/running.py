"""`dqh serve` in a process of its own, on a port that is free, and raw requests to it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT


class Running(NamedTuple):
    """A service that takes requests."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, *parts: bytes) -> socket.socket:
        """A connection over which some bytes have been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        for part in parts:
            connection.sendall(part)
        return connection

    def answer(self, *parts: bytes) -> tuple[int, bytes]:
        """Status and all that follows, to the end of the connection; 0 where it ended without an answer."""
        with contextlib.closing(self.send()) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered what it need not read
                for part in parts:
                    connection.sendall(part)
            return read(connection)


def read(connection: socket.socket) -> tuple[int, bytes]:
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(2**16):
            content += part
    head, _, body = content.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]) if head else 0, body


def head(path: str, *, method: str = "GET", host: str = "127.0.0.1", close: bool = True, **headers: object) -> bytes:
    """The line and the headers of a request; the connection ends with it."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(["Connection: close"] if close else [])]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@contextlib.contextmanager
def running(index: Path | None, *arguments: str, messages: Path) -> Iterator[Running]:
    """A service, None for one of shards; its messages go into a file. Whatever is left of it in the end is ended."""
    named = [] if index is None else [str(index)]
    command = [sys.executable, "-m", "dqh.cli", "serve", *named, "--port", "0", "--json", *arguments]
    with messages.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, messages.read_text()
        yield Running(process, int(json.loads(line)["url"].rpartition(":")[2]))
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
