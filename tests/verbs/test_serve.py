"""`dqh serve`, as far as it needs no socket: what it takes, and what it hands on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqh.service import server
from dqh.verbs import serve


class Run:
    """In the place of the server: keeps what it was given."""

    settings: Any = None

    def __init__(self, guard: Any, settings: Any, told: Callable[[str], object]) -> None:
        Run.settings, self._told = settings, told

    def run(self) -> None:
        self._told("http://127.0.0.1:1")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> type[Run]:
    monkeypatch.setattr(server, "Server", Run)
    monkeypatch.setattr("dqh.service.journal.write_json_lines", lambda: None)
    return Run


def test_it_tells_where_it_listens(index: Path, dqh: Callable, run: type[Run]) -> None:
    assert dqh("serve", index, "--device", "cpu")[:2] == (0, "http://127.0.0.1:1\n")
    assert dqh("serve", index, "--device", "cpu", "--json")[:2] == (0, '{"url": "http://127.0.0.1:1"}\n')
    assert (run.settings.host, run.settings.port, run.settings.token) == ("127.0.0.1", 8000, None)


def test_settings_are_handed_on(index: Path, dqh: Callable, run: type[Run], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a token of some length\n")
    options = ["--host", "0.0.0.0", "--token-file", tmp_path / "token", "--allow-host", "a", "--allow-host", "b"]
    options += ["--max-body", 3, "--body-seconds", 0.5, "--max-pixels", 9, "--requests", 8, "--thumbnails", 1]
    assert dqh("serve", index, "--device", "cpu", "--originals", *options)[0] == 0
    own = run.settings
    assert (own.host, own.token, own.hosts) == ("0.0.0.0", "a token of some length", ("a", "b"))
    assert (own.body_bytes, own.body_seconds, own.pixels, own.requests) == (3 * 2**20, 0.5, 9, 8)
    assert (own.thumbnail_bytes, own.originals, own.uploads) == (2**20, True, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 is an address for others, who need a token to ask"),
        (["--port", "70000"], "port must be in 0 … 65535"),
        (["--port", "x"], "wanted a whole number"),
        (["--requests", "0"], "wanted a whole number from 1"),
        (["--body-seconds", "nan"], "body_seconds must be in"),
        (["--body-seconds", "x"], "wanted seconds"),
        (
            ["--token-file", "nothing"],
            "--token-file nothing cannot be read: No such file or directory; write a token into it",
        ),
        (["--detector", "x", "--no-detector"], "leave one of them off"),
        (["--detector", "x"], "no detector at x"),
        (["--engine", "x"], "engine must be auto or one of"),
        (["--filter", "x"], "no fitted look at x/look.json; fit one: dqh look INDEX --fit BOXES --out DIR"),
        (["--related", "x"], "no fitted related items at x/related.json; fit them to a log: dqh related INDEX --log"),
        (["--clusters", "x"], "no clusters at x: x/clusters.json is missing; give a folder that was made by dqh clus"),
    ],
)
def test_what_is_refused(index: Path, dqh: Callable, run: type[Run], options: list[str], message: str) -> None:
    status, _, err = dqh("serve", index, "--device", "cpu", *options)
    assert (status, message in err) == (2, True), err


def test_a_router_needs_no_index(dqh: Callable, run: type[Run]) -> None:
    """Shards that do not answer yet are told when they are asked."""
    urls = ["--shard", "http://127.0.0.1:9", "--shard", "http://127.0.0.1:10"]
    assert dqh("serve", *urls, "--requests", 8)[:2] == (0, "http://127.0.0.1:1\n")
    assert run.settings.requests == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name an index, or the shards of one"),
        (["INDEX", "--shard", "http://127.0.0.1:9"], "name an index, or the shards of one"),
        (["--shard", "http://127.0.0.1:9", "--no-detector"], "--no-detector is of an index; name it where the shards"),
        (["--shard", "127.0.0.1:9"], "a shard is http://HOST:PORT, got '127.0.0.1:9'"),
        (["--shard", "http://a", "--shard", "http://a"], "name each shard once"),
    ],
)
def test_what_is_no_router(index: Path, dqh: Callable, run: type[Run], words: list[str], message: str) -> None:
    status, _, err = dqh("serve", *(index if word == "INDEX" else word for word in words))
    assert (status, message in err) == (2, True), err


def test_no_index(tmp_path: Path, dqh: Callable, run: type[Run]) -> None:
    status, _, err = dqh("serve", tmp_path / "nothing")
    assert (status, f"no index at {tmp_path / 'nothing'}" in err) == (2, True)
    assert "artifact is" not in err


def test_packages_that_are_missing(index: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    status, _, err = dqh("serve", index)
    assert status == 1
    assert "a service needs the package uvicorn; install it: uv sync --inexact --extra serve" in err
