"""The shards of a router, over HTTP: connections that stay, who does not answer, and who is no shard of the others."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from dqh.errors import ConfigError
from dqh.index.store.part import Part
from dqh.plural import counted
from dqh.service.cut import Cut, CutError, read_part, read_version
from dqh.service.fields import Problem
from dqh.service.guard import OPEN
from dqh.service.refusals import RequestError

logger = logging.getLogger(__name__)

CONNECT_SECONDS, ANSWER_SECONDS, REST_SECONDS = 1.0, 10.0, 1.0
"""For a connection, for an answer, and in which a shard that did not answer is not asked again."""

ALWAYS = ("/v1/shard/candidates", "/v1/shard/nearest")
"""Paths that every shard has."""

_AT_A_TIME = 16
"""Requests to each shard."""

_OF_THE_ROUTER = (401, 421)
"""Statuses that are about how the router asks: without the token, or by a host that the shard is not called by."""

_NO_SHARD = "it is no shard of this version of dqh"

T = TypeVar("T")


class ShardDownError(Exception):
    """A shard does not answer; the text says why."""


class Answer(NamedTuple):
    """What a shard answered: status below 400, headers in small letters, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ShardClient:
    """One shard.

    Args:
        number: of the URL, from 0.
        url: where it listens.
        token: that it wants; None for none.
        cut: that it has to be of.

    Raises:
        ConfigError: the URL is none.
    """

    def __init__(self, number: int, url: str, token: str | None, cut: Cut) -> None:
        self.number, self.address, self._cut = number, url.rstrip("/"), cut
        try:
            parts = urllib3.util.parse_url(self.address)
        except urllib3.exceptions.LocationParseError as error:
            raise ConfigError(f"a shard is http://HOST:PORT, got {url!r}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.host or parts.auth or parts.query or parts.path:
            raise ConfigError(f"a shard is http://HOST:PORT, got {url!r}; a token goes into --token-file")
        self._pool = urllib3.PoolManager(
            maxsize=_AT_A_TIME,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            headers={} if token is None else {"authorization": f"Bearer {token}"},
        )
        self._rests_until, self._reason, self._lock = 0.0, "", threading.Lock()

    def ask(
        self,
        method: str,
        path: str,
        *,
        asked: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Its answer.

        Args:
            method: GET or POST.
            path: with its first `/`.
            asked: parameters; those that are None are left off.
            body: that is sent.
            headers: beside those of the client.

        Raises:
            RequestError: it refuses the request, with a status below 500.
            ShardDownError: it does not answer, or fails, or is none of the cut that the others are of, or an older copy
                of what it was.
        """
        given = {name: _text(value) for name, value in (asked or {}).items() if value is not None}
        seen = self._cut.seen
        answer = self._answer(method, f"{path}{f'?{urlencode(given)}' * bool(given)}", body, headers or {})
        if path not in OPEN:
            self._require_cut(answer, seen)
        if answer.status >= 400 and not (answer.status in (404, 405) and path in ALWAYS):
            raise RequestError(answer.status, _detail(answer.body))
        if answer.status != 200 and answer.status != 304:
            raise ShardDownError(f"{_NO_SHARD}: it answers {answer.status}")
        return answer

    def part(self) -> Part | None:
        """Which part of a cut it is; None where it is an index of its own. `ShardDownError` as of `ask`."""
        answer = self._answer("GET", "/v1/index", None, {})
        if answer.status != 200:
            raise ShardDownError(f"{_NO_SHARD}: it answers {answer.status}")
        part, version = _told(answer)
        self._cut.require_no_older(part, version, seen={})
        return part

    def close(self) -> None:
        """End its connections."""
        self._pool.clear()

    def _answer(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """An answer below 500 that is not about how the router asks; errors as of `ask`."""
        self._require_rested()
        url, own = f"{self.address}{path}", {**self._pool.headers, **headers}
        try:
            try:
                answer = self._pool.request(method, url, body=body, headers=own, redirect=False)
            except urllib3.exceptions.ProtocolError:  # as of a connection that the shard has just ended, being idle
                answer = self._pool.request(method, url, body=body, headers=own, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise self._rests(_why(error)) from error
        if answer.status in _OF_THE_ROUTER:
            raise self._rests(f"it answers {answer.status}: {_detail(answer.data)}")
        self._rests_until = 0.0
        if answer.status >= 500:  # of this request: others may be answered
            raise ShardDownError(f"it answers {answer.status}: {_detail(answer.data)}")
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def _require_cut(self, answer: Answer, seen: Mapping[Part, int]) -> None:
        """Raise `ShardDownError` where an answer is of no shard that goes with the others, or of an older copy."""
        part, version = _told(answer)
        try:
            self._cut.take(self.number, part)
            self._cut.require_no_older(part, version, seen=seen)
            self._cut.require_all()
        except CutError as error:
            raise ShardDownError(str(error)) from error

    def _require_rested(self) -> None:
        """Raise `ShardDownError` while it rests; who comes first thereafter asks for all others whether it is back."""
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                raise ShardDownError(self._reason)
            if self._rests_until:
                self._rests_until = now + ANSWER_SECONDS

    def _rests(self, reason: str) -> ShardDownError:
        self._rests_until, self._reason = time.monotonic() + REST_SECONDS, reason
        return ShardDownError(reason)


class ShardClients:
    """All shards of a router, asked side by side.

    Args:
        urls: where they listen, each once.
        token: that they want; None for none.

    Raises:
        ConfigError: there is none, a URL is none, or there twice.
    """

    def __init__(self, urls: Sequence[str], token: str | None) -> None:
        self._cut = Cut([url.rstrip("/") for url in urls])
        self.all = tuple(ShardClient(number, url, token, self._cut) for number, url in enumerate(urls))
        addresses = [one.address for one in self.all]
        if not addresses or len(set(addresses)) < len(addresses):
            raise ConfigError(f"name each shard once, by its URL; got {', '.join(urls) or 'none'}")
        self._threads = [ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix=f"shard {one.number}") for one in self.all]

    def __len__(self) -> int:
        return len(self.all)

    def each(
        self, ask: Callable[[ShardClient], T], among: Iterable[ShardClient] | None = None
    ) -> tuple[dict[int, T], dict[int, Exception]]:
        """What some shards, or all, answer, by number, and the `ShardDownError` or `RequestError` of the others."""
        asked = {
            one.number: self._threads[one.number].submit(ask, one) for one in (self.all if among is None else among)
        }
        answers, failures = dict[int, T](), dict[int, Exception]()
        for number, future in asked.items():
            try:
                answers[number] = future.result()
            except (ShardDownError, RequestError) as error:
                failures[number] = error
        return answers, failures

    def require_cut(self) -> None:
        """Ask all which part of which cut they are; who does not answer is named in the log, and may come later.

        Raises:
            ConfigError: those that answer are not of one cut, or two are the same part, or parts have no address.
        """
        parts, failures = self.each(ShardClient.part)
        for number, failure in failures.items():
            logger.warning("shard %d, %s, does not answer: %s", number, self.all[number].address, failure)
        problems = []
        for number, part in sorted(parts.items(), key=lambda pair: pair[1] is None):
            try:
                self._cut.take(number, part)
            except CutError as error:
                problems.append(f"{self.all[number].address}: {error}")
        try:
            self._cut.require_all()
        except CutError as error:
            problems.append(str(error))
        if problems:
            raise ConfigError(problems)

    def close(self) -> None:
        """End connections and threads."""
        for threads, one in zip(self._threads, self.all, strict=True):
            threads.shutdown()
            one.close()

    def none_answers(self, failures: Mapping[int, Exception]) -> RequestError:
        """The error where nobody is left, or nobody who may have what is asked for."""
        told = "; ".join(f"shard {number}, {self.all[number].address}: {error}" for number, error in failures.items())
        who = f"none of {counted(len(self), 'shard')} answers"
        if len(failures) < len(self):
            who = f"no answer from {len(failures)} of {counted(len(self), 'shard')}, where that item may be"
        return RequestError(503, f"{who}: {told}", retry_after="1")


def _told(answer: Answer) -> tuple[Part | None, int | None]:
    """What an answer says of the shard that it is from, and which version that has."""
    try:
        return read_part(answer.headers), read_version(answer.headers)
    except ValueError as error:
        raise ShardDownError(f"{_NO_SHARD}: {error}") from error


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _why(error: Exception) -> str:
    """An error of a connection in a few words."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "nobody listens there"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {ANSWER_SECONDS:g} s"
    return f"the connection broke ({type(error).__name__})"


def _detail(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "no reason is told"
