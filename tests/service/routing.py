"""Services over indexes on sockets of this process, a router over them, and what answers in the place of a shard."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dqh.service.app import make_app
from dqh.service.gauges import Gauges
from dqh.service.router import Router
from dqh.service.router_routes import make_router_app
from dqh.service.server import Server
from dqh.service.settings import Settings
from dqh.service.shard_client import ShardClients
from tests.service.conftest import opened


@contextmanager
def served(index: Path, *, port: int = 0, **settings: Any) -> Iterator[str]:
    """The URL of a service over an index, in a thread."""
    told, own = threading.Event(), Settings(workers=1, port=port, **settings)
    url: list[str] = []
    server = Server(make_app(opened(index), own, Gauges()), own, lambda address: (url.append(address), told.set()))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert told.wait(20)
    try:
        yield url[0]
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def routed(urls: Sequence[str], token: str | None = None) -> Iterator[TestClient]:
    guard = make_router_app(Router(ShardClients(urls, token)), Settings(), Gauges())
    with TestClient(guard, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


class Fake:
    """In the place of a shard: answers to all what it is told to."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"{}", 0
        self.headers: dict[str, str] = {}
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                own.asked += 1
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(own.status)
                self.send_header("content-length", str(len(own.body)))
                for name, value in own.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(own.body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def faked() -> Iterator[Fake]:
    own = Fake()
    try:
        yield own
    finally:
        own.close()


@pytest.fixture
def fake() -> Iterator[Fake]:
    with faked() as own:
        yield own
