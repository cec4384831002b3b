"""Shards over HTTP: who does not answer, and who is none of the cut that the others are of."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from dqh.errors import ConfigError
from dqh.index.store.part import Part
from dqh.service.cut import headers_of
from dqh.service.shard_client import ShardClients, ShardDownError
from tests.service.routing import Fake, fake, faked

__all__ = ["fake"]

NOBODY = "http://127.0.0.1:9"


def part(number: int, of: int = 3, cut: str = "a1" * 32) -> Part:
    return Part(number, of, cut, 5)


@contextmanager
def clients(*parts: Part | None, others: tuple[str, ...] = ()) -> Iterator[ShardClients]:
    """Of shards that say what they are, and of other addresses."""
    with ExitStack() as stack:
        fakes = [stack.enter_context(faked()) for _ in parts]
        for one, own in zip(fakes, parts, strict=True):
            one.headers = headers_of(own, 1)
        asked = ShardClients([*(one.url for one in fakes), *others], None)
        stack.callback(asked.close)
        yield asked


@pytest.mark.parametrize(
    "given", [[], ["x"], ["ftp://a"], ["http://a/b"], ["http://u:p@a"], ["http://a", "http://a/"], ["http://[a"]]
)
def test_what_is_no_shard(given: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"a shard is http://HOST:PORT|name each shard once"):
        ShardClients(given, None)


def test_an_error_of_one_request_is_none_of_the_next(fake: Fake) -> None:
    clients = ShardClients([fake.url], None)
    for fake.status in (500, 503):
        with pytest.raises(ShardDownError, match=f"it answers {fake.status}"):
            clients.all[0].ask("GET", "/health")
    fake.status = 200
    assert clients.all[0].ask("GET", "/health").body == b"{}"
    clients.close()


def test_one_request_asks_whether_a_shard_is_back(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = ShardClients([fake.url], None)
    (client,) = clients.all
    fake.status = 401
    with pytest.raises(ShardDownError):
        client.ask("GET", "/health")
    monkeypatch.setattr(client, "_rests_until", 1e-9)
    client._require_rested()  # goes to ask
    with pytest.raises(ShardDownError, match="it answers 401"):
        client._require_rested()  # does not wait for that
    monkeypatch.setattr(client, "_rests_until", 1e-9)
    fake.status = 200
    client.ask("GET", "/health")
    client.ask("GET", "/health")
    assert fake.asked == 3
    clients.close()


def test_one_that_failed_is_left_alone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = ShardClients(["http://127.0.0.1:9"], None)
    (client,) = clients.all
    with pytest.raises(ShardDownError, match="nobody listens there"):
        client.ask("GET", "/health")
    with monkeypatch.context() as patch:
        patch.setattr(client, "_pool", None)  # nobody is asked
        with pytest.raises(ShardDownError, match="nobody listens there"):
            client.ask("GET", "/health")
    clients.close()


@pytest.mark.parametrize("parts", [(part(0), part(1), part(2)), (part(2), part(0), part(1)), (None, None)])
def test_shards_that_go_with_one_another(parts: tuple[Part | None, ...]) -> None:
    with clients(*parts) as asked:
        asked.require_cut()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((part(0), part(2)), r"^2 addresses are too few for 3 shards \(cut a1a1a1a1\): none is of shard 1; name each$"),
        ((part(0), part(1), part(1)), r"^http://\S+: it is shard 1 of 3 \(.*\), and so is http://\S+; name each"),
        ((part(0), part(1), part(2, cut="b2" * 32)), r"^http://\S+: it is .*b2b2b2b2.*, and http://\S+ is .*a1a1a1a1"),
        ((None, part(1), part(2)), r"^http://\S+: it is no shard of a cut, and http://\S+ is shard 1 of 3"),
        (
            (part(0, of=1), part(0, of=1)),
            r"so is http://\S+; name each shard once\n2 addresses are too many for 1 shard",
        ),
    ],
)
def test_shards_that_do_not_are_refused_at_the_start(parts: tuple[Part | None, ...], message: str) -> None:
    with clients(*parts) as asked, pytest.raises(ConfigError, match=message):
        asked.require_cut()


def test_a_shard_may_come_later(caplog: pytest.LogCaptureFixture) -> None:
    """It is told; where there are too few addresses, whoever it is, it is an error."""
    with clients(part(0), part(1), others=(NOBODY,)) as asked, caplog.at_level(logging.WARNING):
        asked.require_cut()
        assert [record.getMessage() for record in caplog.records] == [
            f"shard 2, {NOBODY}, does not answer: nobody listens there"
        ]
    with (
        clients(part(0), others=(NOBODY,)) as asked,
        pytest.raises(ConfigError, match="none that answers is of shard 1, 2"),
    ):
        asked.require_cut()


def test_what_is_no_service_counts_as_down(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    fake.status = 404
    with clients(part(0), part(1), others=(fake.url,)) as asked, caplog.at_level(logging.WARNING):
        asked.require_cut()
    assert "it is no shard of this version of dqh: it answers 404" in caplog.text
    fake.status, fake.headers = 200, {"dqh-shard": "nonsense"}
    with clients(part(0), part(1), others=(fake.url,)) as asked, caplog.at_level(logging.WARNING):
        asked.require_cut()
    assert "it is no shard of this version of dqh: JSON is malformed" in caplog.text


def test_every_answer_is_looked_at(fake: Fake) -> None:
    """Those to whoever asks for its state aside, which do not say."""
    with clients(part(0), part(1), others=(fake.url,)) as asked:
        asked.all[2].ask("GET", "/ready")
        fake.headers = headers_of(part(2), 1)
        asked.require_cut()
        fake.headers = headers_of(part(1), 1)
        with pytest.raises(ShardDownError, match=r"it is shard 1 of 3 .*, and so is"):
            asked.all[2].ask("GET", "/v1/items/1")
        fake.status = 404
        with pytest.raises(ShardDownError, match=r"it is shard 1 of 3 .*, and so is"):
            asked.all[2].ask("GET", "/v1/items/1")
        fake.status, fake.headers = 200, headers_of(part(2), 1)
        assert asked.all[2].ask("GET", "/v1/items/1").status == 200
