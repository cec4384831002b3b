"""A service on a socket, in a process of its own: what a client without manners does, and how the service ends."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dqh.collection import index_images
from dqh.errors import ConfigError
from dqh.service.server import CONNECTIONS, HEAD_BYTES
from dqh.service.settings import Settings
from tests.collection.seer import photo, photos
from tests.service.running import Running, head, read, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, and their index, without objects."""
    folder = tmp_path_factory.mktemp("served")
    index_images(artifact, [photos(folder / "photos")], folder / "index", device="cpu")
    return folder


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Running]:
    limits = ("--body-seconds", "0.5", "--device", "cpu", "--workers", "1", "--max-body", "1")
    with running(place / "index", *limits, messages=place / "messages") as own:
        yield own


def test_it_answers(service: Running, place: Path) -> None:
    answer = httpx2.post(f"{service.url}/v1/search?k=1", content=(place / "photos/b/red.png").read_bytes())
    assert answer.json()["hits"][0]["name"] == "b/red.png"


def test_a_slow_head_ends_at_its_limit(service: Running) -> None:
    began = time.monotonic()
    status, _ = service.answer(b"GET /health HT")
    assert status == 408
    assert 0.4 < time.monotonic() - began < 3


def test_nothing_at_all_ends_at_its_limit(service: Running) -> None:
    assert service.answer()[0] == 408


def test_a_slow_body_ends_at_its_limit(service: Running) -> None:
    began = time.monotonic()
    status, body = service.answer(head("/v1/search", method="POST", content_length=1000), b"x")
    assert (status, json.loads(body)["status"]) == (408, 408)
    assert 0.4 < time.monotonic() - began < 3


def test_what_is_refused_before_it_is_a_request_is_a_problem_like_any_other(service: Running, place: Path) -> None:
    """With its title, by the same headers; the log has it by its id, and nothing that was sent."""
    for sent, status, title, detail in (
        (b"GET /health HT", 408, "Request Timeout", "no whole head came within 0.5 s"),
        (b"", 408, "Request Timeout", "no whole head came within 0.5 s"),
        (b"secret\r\n\r\n", 400, "Bad Request", "no request of HTTP/1.1"),
        (head("/v1/index", x="y" * 2 * HEAD_BYTES), 431, "Request Header Fields Too Large", "65,536 bytes"),
    ):
        with contextlib.closing(service.send(sent)) as connection:
            content = b"".join(iter(lambda: connection.recv(2**16), b""))
        lines, _, body = content.decode().partition("\r\n\r\n")
        problem = json.loads(body)
        assert lines.startswith(f"HTTP/1.1 {status} {title}\r\n")
        assert (problem["status"], problem["title"], detail in problem["detail"]) == (status, title, True)
        headers = dict(line.lower().split(": ", 1) for line in lines.split("\r\n")[1:])
        assert headers["content-type"] == "application/problem+json"
        assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
        assert headers["x-request-id"] == problem["request_id"]
        log = (place / "messages").read_text()
        assert problem["request_id"] in log
        assert "secret" not in log


def test_more_connections_than_there_may_be_are_told_so(place: Path, tmp_path: Path) -> None:
    with running(place / "index", "--device", "cpu", "--requests", "1", messages=tmp_path / "messages") as own:
        connections = [own.send(b"GET") for _ in range(CONNECTIONS)]
        status, body = own.answer(head("/health"))
        assert (status, json.loads(body)["title"]) == (503, "Service Unavailable")
        for connection in connections:
            connection.close()
        assert any(own.answer(head("/health"))[0] == 200 for _ in range(100))


def test_a_body_in_drops_is_no_faster(service: Running) -> None:
    connection = service.send(head("/v1/search", method="POST", content_length=1000))
    for _ in range(4):
        connection.sendall(b"x")
        time.sleep(0.1)
    assert read(connection)[0] == 408


@pytest.mark.parametrize("stated", ["2000000", "2000000000000"])
def test_a_body_that_is_too_large_by_its_length(service: Running, stated: str) -> None:
    assert service.answer(head("/v1/search", method="POST", content_length=stated))[0] == 413


def test_a_body_that_is_too_large_without_a_length(service: Running) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    status, _ = service.answer(head("/v1/search", method="POST", transfer_encoding="chunked"), *[chunk] * 20)
    assert status == 413


@pytest.mark.parametrize("stated", ["-1", "x", "1, 2", "0x10", "9" * 25])
def test_lengths_that_are_none(service: Running, stated: str) -> None:
    assert service.answer(head("/v1/search", method="POST", content_length=stated))[0] == 400


def test_a_head_that_is_too_large(service: Running) -> None:
    for large in (
        head("/v1/index", x="y" * 5 * HEAD_BYTES),
        head("/v1/search?" + "k=1&" * 10**6),
        head("/v1/index", x="y" * HEAD_BYTES),
        head("/v1/index", x="\r\n".join(f"H{number}: 1" for number in range(10**4))),
    ):
        assert service.answer(large)[0] == 431


@pytest.mark.parametrize(
    "content",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 99, b"GET /\xff HTTP/1.1\r\n"],
)
def test_what_is_no_http(service: Running, content: bytes) -> None:
    assert service.answer(content)[0] in (0, 400, 408, 421)
    assert service.answer(head("/health"))[0] == 200


def test_a_request_smuggled_behind_another_is_one_of_its_own(service: Running) -> None:
    """Two lengths, or a length and chunks, are no request."""
    twice = head("/v1/search", method="POST", content_length="5\r\nContent-Length: 6") + b"12345G"
    both = (
        head("/v1/search", method="POST", content_length=5, transfer_encoding="chunked")
        + b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    )
    assert service.answer(twice)[0] == 400
    assert service.answer(both)[0] == 400


def test_an_answer_before_the_body_is_seen_and_the_connection_ends(service: Running) -> None:
    """Of a host that is refused the body is not read; a client that never sends it does not hold a connection."""
    began = time.monotonic()
    status, _ = service.answer(head("/v1/search", method="POST", host="evil", close=False, content_length=10**6))
    assert status == 421
    assert time.monotonic() - began < 5


def test_small_answers_do_not_wait(service: Running) -> None:
    """Without TCP_NODELAY each answer after the first on a connection waits some 40 ms for the client's system."""
    with httpx2.Client() as client:
        client.get(f"{service.url}/health")
        seconds = []
        for _ in range(20):
            began = time.monotonic()
            assert client.get(f"{service.url}/health").status_code == 200
            seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.03


def test_updates_appear_without_a_restart(service: Running, place: Path, artifact: Path) -> None:
    photo(place / "photos" / "c" / "new.png", 7)
    index_images(artifact, [place / "photos"], place / "index", device="cpu")
    with httpx2.Client() as client:
        for _ in range(1000):
            if client.get(f"{service.url}/v1/index").json()["version"] == 2:
                break
        names = [item["name"] for item in client.get(f"{service.url}/v1/items").json()["items"]]
    assert "c/new.png" in names


def test_the_log_is_json_lines(service: Running, place: Path) -> None:
    httpx2.get(f"{service.url}/health", headers={"X-Request-ID": "seen-in-the-log"})
    (own,) = lines_of("seen-in-the-log", place / "messages")
    assert (own["route"], own["status"], own["level"]) == ("/health", 200, "info")


def lines_of(request_id: str, messages: Path, *, within: float = 20) -> list[dict[str, Any]]:
    """What a log that is still written to says of a request, once it does: an answer is gone before its line comes."""
    latest = time.monotonic() + within
    own: list[dict[str, Any]] = []
    while not own and time.monotonic() < latest:
        whole = (line for line in messages.read_text().splitlines(keepends=True) if line.endswith("\n"))
        own = [line for line in map(json.loads, whole) if line.get("request_id") == request_id]
    return own


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_once_what_was_asked_is_answered(place: Path, tmp_path: Path, number: int) -> None:
    """A body of which a part is still to come is waited for."""
    content = (place / "photos/b/red.png").read_bytes()
    with running(place / "index", "--device", "cpu", messages=tmp_path / "messages") as own:
        connection = own.send(head("/v1/search?k=1", method="POST", content_length=len(content)), content[:-9])
        time.sleep(0.2)
        own.process.send_signal(number)
        time.sleep(0.3)
        assert own.process.poll() is None
        connection.sendall(content[-9:])
        status, body = read(connection)
        assert (status, json.loads(body)["hits"][0]["name"]) == (200, "b/red.png")
        assert own.process.wait(20) == 0
    lines = (tmp_path / "messages").read_text()
    assert "Traceback" not in lines


def test_a_second_signal_ends_it_at_once(place: Path, tmp_path: Path) -> None:
    with running(place / "index", "--device", "cpu", messages=tmp_path / "messages") as own:
        connection = own.send(head("/v1/search", method="POST", content_length=99), b"x")
        time.sleep(0.2)
        own.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        own.process.send_signal(signal.SIGTERM)
        assert own.process.wait(20) == 143
        connection.close()


def test_a_port_that_is_taken(service: Running, dqh: Callable, place: Path) -> None:
    status, _, err = dqh("serve", place / "index", "--port", service.port, "--device", "cpu")
    assert status == 2
    assert f"127.0.0.1 port {service.port} cannot be listened on: Address already in use" in err


def test_an_address_that_is_none() -> None:
    from dqh.service.server import _listening

    with (
        pytest.raises(ConfigError, match=r"127\.0\.0\.256 port 8000 cannot be listened on"),
        _listening(Settings(host="127.0.0.256", token="0123456789abcdef")),
    ):
        pass
