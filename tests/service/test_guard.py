from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dqh.service.guard import HEADERS
from dqh.service.server import Server
from dqh.service.settings import Settings
from tests.service.conftest import Serve

TOKEN = "a token of some length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000"])
def test_hosts_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get("/v1/index", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "",
        "127.0.0.1:8000:1",
        "127.0.0.1, evil",
        "user@127.0.0.1",
        "2130706433",
        "[::1",
        "127.0.0.1/../x",
    ],
)
def test_other_hosts(client: TestClient, host: str) -> None:
    for path in ("/v1/index", "/health", "/nothing"):
        assert client.get(path, headers={"Host": host}).status_code == 421


def test_hosts_that_are_allowed(indexed: Path, serve: Serve) -> None:
    assert serve(indexed, hosts=("Shop.example",)).get("/ready", headers={"Host": "shop.example:1"}).status_code == 200
    assert serve(indexed, hosts=("*",)).get("/ready", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    ],
)
def test_pages_of_other_sites(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.get("/v1/index", headers=headers)
    assert answer.status_code == status
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_form_of_another_site_uploads_nothing(client: TestClient, upload: bytes) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.post("/v1/search", content=upload, headers=headers).status_code == 403


def test_every_answer_has_its_headers(client: TestClient, upload: bytes) -> None:
    answers = [
        client.get("/v1/index"),
        client.get("/docs"),
        client.get("/v1/items/0/thumbnail"),
        client.get("/nothing"),
        client.get("/v1/index", headers={"Host": "evil"}),
        client.post("/v1/search", content=b"x"),
    ]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
        assert "server" not in answer.headers
    policy = answers[0].headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http:" not in policy


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"])
def test_without_the_token(indexed: Path, serve: Serve, given: str) -> None:
    client = serve(indexed, host="0.0.0.0", token=TOKEN)
    answer = client.get("/v1/index", headers={"Authorization": given.encode("latin-1")})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    for path in ("/v1/search?id=1", "/v1/items/0/thumbnail", "/metrics", "/v2", "/v2/models/encoder", "/nothing"):
        assert client.get(path).status_code == 401
    assert client.get("/health").status_code == client.get("/ready").status_code == 200


def test_with_the_token_and_with_a_cookie_for_it(indexed: Path, serve: Serve) -> None:
    client = serve(indexed, host="0.0.0.0", token=TOKEN)
    assert client.get("/v1/index", headers=BEARER).status_code == 200
    assert client.post("/v1/session", json={"token": "wrong"}).status_code == 401
    assert client.post("/v1/session", json={"token": "\xe9"}).status_code == 401
    assert client.get("/v1/index").status_code == 401
    answer = client.post("/v1/session", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 204
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/v1/items/0/thumbnail").status_code == 200
    client.cookies.clear()
    assert client.get("/v1/items/0/thumbnail", headers={"Cookie": "dqh=0"}).status_code == 401


def test_a_session_where_no_token_is_wanted(client: TestClient) -> None:
    answer = client.post("/v1/session", json={"token": "any"})
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("given", "is_kept"), [("abc-1", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_ids_of_requests(client: TestClient, given: str, is_kept: bool) -> None:
    own = client.get("/health", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (own == given) == is_kept
    assert own


def test_the_log_says_nothing_that_a_client_sent(
    client: TestClient, upload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="dqh"):
        client.post("/v1/search?k=7", content=upload, headers={"X-Request-ID": "mine"})
        client.get("/secret/path?where=secret", headers={"User-Agent": "secret"})
        client.request("SECRET", "/v1/index")
    told = [vars(record)["fields"] for record in caplog.records if record.message == "answered"]
    assert [(own["route"], own["method"], own["status"]) for own in told] == [
        ("/v1/search", "POST", 200),
        ("none", "GET", 404),
        ("none", "other", 405),
    ]
    assert (told[0]["request_id"], told[0]["version"]) == ("mine", 1)
    assert "encode" in told[0]["stages_ms"]
    assert "secret" not in caplog.text.lower()
    assert "secret" not in str(told).lower()


def test_a_service_that_ends_is_not_ready(indexed: Path, serve: Serve) -> None:
    client = serve(indexed)
    server = Server(client.app, Settings(), print)  # type: ignore[arg-type]
    server._signalled(15, None)
    assert server.should_exit
    assert client.get("/ready").status_code == 503
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v1/index").status_code == 200
