"""What stands before every request: who may ask, how many at a time, and what is told of it to the log and Prometheus.

An ASGI application around another one. Nothing that a client sent is logged but the method: no path, no query, no name.
"""

import hashlib
import hmac
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from dqh.service.gauges import Gauges
from dqh.service.journal import logger
from dqh.service.refusals import RequestError, problem_of
from dqh.service.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "dqh"
OPEN = frozenset({"/health", "/ready", "/v2/health/live", "/v2/health/ready"})
"""Paths that need no token, and are answered whatever the load: what watches a service asks them."""

HEADERS = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
            "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(self), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
)
"""Of every answer."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


class Guard:
    """Lets a request through to an application, or refuses it.

    Args:
        app: what answers.
        settings: of the service.
        gauges: that count.
        public: paths beside `OPEN` that need no token, as what a page is made of.
        told: gives headers of all answers that do need it, as they are made.

    Attributes:
        is_ending: whether the service ends: it is no longer ready, and answers what comes all the same.
    """

    def __init__(
        self,
        app: "ASGIApp",
        settings: Settings,
        gauges: Gauges,
        *,
        public: frozenset[str] = frozenset(),
        told: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._app, self._settings, self._gauges, self._public = app, settings, gauges, OPEN | public
        self._told = told
        self._names, self._active, self.is_ending = settings.names, 0, False

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, headers = time.perf_counter(), Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        scope["state"] |= {"request_id": request_id, "route": "none", "seconds": {}}
        status = 0
        refused = None

        async def sent(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
                own["x-request-id"] = request_id
                if refused is None and scope["path"] not in self._public:
                    own.update(self._told())
            await send(message)

        self._active += 1
        self._gauges.active.inc()
        try:
            refused = self._refusal(scope, headers)
            if refused is None:
                await self._app(scope, receive, sent)
            else:
                await problem_response(refused, request_id)(scope, receive, sent)
        finally:
            self._active -= 1
            self._gauges.active.dec()
            self._tell(scope, status, time.perf_counter() - began)

    def _refusal(self, scope: "Scope", headers: Headers) -> RequestError | None:
        """Why a request is not let through; None where it is."""
        path, settings = scope["path"], self._settings
        if "*" not in self._names and not _is_named(headers.getlist("host"), self._names):
            return self._refused("host", RequestError(421, "this service is not called by that host; see --allow-host"))
        site = headers.get("sec-fetch-site", "none")
        is_visit = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if site in ("cross-site", "same-site") and not is_visit:
            return self._refused("site", RequestError(403, "pages of other sites may not ask this service"))
        if settings.token is not None and path not in self._public and not is_known(headers, settings.token):
            error = RequestError(
                401, "this service wants its token: Authorization: Bearer …", www_authenticate="Bearer"
            )
            return self._refused("token", error)
        if self._active > settings.requests and path not in OPEN:
            error = RequestError(503, "too many requests at a time; ask again in a second", retry_after="1")
            return self._refused("requests", error)
        return None

    def _refused(self, reason: str, error: RequestError) -> RequestError:
        self._gauges.refused.labels(reason).inc()
        return error

    def _tell(self, scope: "Scope", status: int, seconds: float) -> None:
        state = scope["state"]
        self._gauges.requests.labels(state["route"], known_method(scope["method"]), str(status)).inc()
        self._gauges.seconds.labels(state["route"]).observe(seconds)
        for stage, own in state["seconds"].items():
            self._gauges.stages.labels(stage).observe(own)
        if logger.isEnabledFor(logging.INFO):
            told = {
                "request_id": state["request_id"],
                "route": state["route"],
                "method": known_method(scope["method"]),
                "status": status,
                "ms": round(1000 * seconds, 3),
                "version": state.get("version"),
                "stages_ms": {stage: round(1000 * own, 3) for stage, own in state["seconds"].items()},
            }
            logger.info("answered", extra={"fields": told})


def problem_response(error: Exception, request_id: str) -> Response:
    """The answer that tells an error."""
    problem, headers = problem_of(error, request_id)
    return Response(
        msgspec.json.encode(problem),
        problem.status,
        {"Cache-Control": "no-store"} | headers,
        "application/problem+json",
    )


def refusal_bytes(error: RequestError) -> bytes:
    """The same, whole, for a connection on which no request came that an application could be asked; its last answer.

    The log has it by its id.
    """
    request_id = uuid.uuid4().hex
    response = problem_response(error, request_id)
    response.headers.update({**HEADERS, "x-request-id": request_id, "connection": "close"})
    told = {"request_id": request_id, "route": "none", "method": "other", "status": error.status}
    logger.info("refused", extra={"fields": told})
    head = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*head, b"", bytes(response.body)])


def session_of(token: str) -> str:
    """What a cookie holds instead of the token."""
    return hmac.new(token.encode(), b"dqh session", hashlib.sha256).hexdigest()


def is_known(headers: Headers, token: str) -> bool:
    """Whether a request brings the token, or the cookie of who brought it before."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return True
    cookies = (cookie.strip().partition("=") for cookie in headers.get("cookie", "").split(";"))
    wanted = session_of(token).encode()
    return any(name == COOKIE and hmac.compare_digest(value.encode(), wanted) for name, _, value in cookies)


def known_method(method: str) -> str:
    """A method by its name, if it has one: counters must not grow with what clients think of."""
    return method if method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH") else "other"


def _is_named(hosts: list[str], names: frozenset[str]) -> bool:
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return match is not None and match["name"].strip("[]").lower() in names
