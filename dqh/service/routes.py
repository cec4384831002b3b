"""All there is to ask: a table of routes, from which the application and its description are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from dqh.service import fields, inference, shard, shard_fields
from dqh.service.clusters import Clusters, ClustersAsked, Members, MembersAsked
from dqh.service.gauges import CONTENT_TYPE, Gauges
from dqh.service.guard import COOKIE, Guard, is_known, session_of
from dqh.service.questions import Questions
from dqh.service.refusals import RequestError
from dqh.service.related_fields import Related, RelatedAsked
from dqh.service.settings import Settings

JPEG, PROMETHEUS, FILE = "image/jpeg", CONTENT_TYPE, "application/octet-stream"

_TYPES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), JPEG),
    **{f".{name}": f"image/{name}" for name in ("png", "webp", "gif", "bmp", "avif")},
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
}


@dataclass(frozen=True)
class Serving:
    """What every service has: settings, what counts, and what stands before it."""

    settings: Settings
    gauges: Gauges
    guard: Callable[[], Guard]


@dataclass(frozen=True)
class Service(Serving):
    """What answers by an index: the questions, and what is told about the service itself."""

    questions: Questions


class Call(NamedTuple):
    """One request, checked.

    Attributes:
        asked: its parameters, of the type that the route has for them.
        body: the content of an image, or of the type that the route has for it; None for none.
        path: what stands in the places of the path.
        request: all of it.
    """

    asked: Any
    body: Any
    path: dict[str, str]
    request: Request

    @property
    def item(self) -> int:
        """The id in the path; RequestError (404) where it is none."""
        text = self.path["id"]
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise RequestError(404, "ids of items are whole numbers")
        return int(text)


class Together(NamedTuple):
    """How several calls of a route are answered as one batch.

    Attributes:
        fits: whether a call, by its parameters, may be in one: it must not wait for anything but the interpreter.
        answer: gives, by the `Serving` that the route is of, the answer to each of them, or the error that is it.
    """

    fits: Callable[[Any], bool]
    answer: Callable[[Any, Sequence[Any]], Sequence[Struct | Exception]]


@dataclass(frozen=True)
class Route:
    """Something to ask.

    Attributes:
        method: GET, or POST where something is sent.
        path: with `{…}` for what varies.
        summary: what it answers, in a line.
        answer: gives, by the `Serving` that the route is of, a `Struct`, which becomes JSON, or a response.
        gives: type of the answer, or its media type.
        asked: type of the parameters.
        body: type of what is sent as JSON, or `image` for an encoded image; None for nothing.
        is_light: whether it answers at once, and needs no thread.
        is_small: whether its body is no upload, of which only some are taken at a time.
        together: answers calls that come at the same time; None where each is answered alone.
        group: it belongs to.
    """

    method: Literal["GET", "POST"]
    path: str
    summary: str
    answer: Callable[[Any, Call], Any] = field(repr=False)
    gives: type[Struct] | str
    asked: type[Struct] = fields.Nothing
    body: type[Struct] | Literal["image"] | None = None
    is_light: bool = False
    is_small: bool = False
    together: Together | None = None
    group: str = "questions"


def _picture(kind: str) -> Callable[[Service, Call], Response]:
    def answer(service: Service, call: Call) -> Response:
        served = service.questions.newest.current()
        row = service.questions.stored(served, call.item)
        headers = {"ETag": f'"{row.content_hash.hex()}-{kind}"', "Cache-Control": "private, max-age=60"}
        if headers["ETag"] in call.request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(service.questions.picture(call.item, kind), headers=headers, media_type=JPEG)

    return answer


def _original(service: Service, call: Call) -> Response:
    content = service.questions.original(call.item)
    row = service.questions.stored(service.questions.newest.current(), call.item)
    kind = next((kind for suffix, kind in _TYPES.items() if row.path.lower().endswith(suffix)), FILE)
    return Response(content, media_type=kind, headers={"Cache-Control": "private, no-cache"})


def ready(service: Serving, call: Call) -> Response | fields.State:
    """Whether it can answer; RequestError (503) where it ends."""
    if service.guard().is_ending:
        raise RequestError(503, "the service is ending", retry_after="5")
    return fields.State("ready")


def _session(service: Serving, call: Call) -> Response:
    token = service.settings.token
    if token is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    given = {"authorization": f"Bearer {call.body.token}"}
    if not call.body.token.isascii() or not is_known(type(call.request.headers)(given), token):
        raise RequestError(401, "this is not the token of the service", www_authenticate="Bearer")
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    secure = call.request.url.scheme == "https"
    response.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", secure=secure)
    return response


def _encoder(service: Service) -> Any:
    return service.questions.newest.current().flashlight.encoder


def _model(call: Call) -> None:
    inference.require_model(call.path["name"], call.path.get("version", inference.VERSION))


def _model_known(service: Service, call: Call) -> inference.ModelKnown:
    _model(call)
    return inference.model_known(_encoder(service))


def _model_ready(service: Service, call: Call) -> inference.Ready:
    _model(call)
    return inference.Ready(ready=True)


def _infer(service: Service, call: Call) -> inference.Inferred:
    _model(call)
    return inference.infer(_encoder(service), call.body)


def live_routes() -> tuple[Route, ...]:
    """Of every service: whether it lives, what it counts, and a session."""
    group = "the service"
    state = fields.State
    return (
        Route("GET", "/health", "Whether it lives.", lambda s, c: state("alive"), state, is_light=True, group=group),
        Route("GET", "/ready", "Whether it can answer.", ready, state, is_light=True, group=group),
        Route(
            "GET",
            "/metrics",
            "Counters and times, for Prometheus.",
            lambda s, c: Response(s.gauges.content(), media_type=PROMETHEUS),
            PROMETHEUS,
            group=group,
        ),
        Route(
            "POST",
            "/v1/session",
            "A cookie for who brings the token, so that pictures of a page can be loaded.",
            _session,
            "",
            body=fields.SessionAsked,
            is_light=True,
            group=group,
        ),
    )


def _asking(
    path: str,
    summary: str,
    name: str,
    asked: type[Struct],
    gives: type[Struct],
    *,
    together: Together | None = None,
) -> tuple[Route, Route]:
    """A question by an item of the index, and by an image that is sent."""

    def answer(service: Service, call: Call) -> Any:
        answer = getattr(service.questions, name)(call.asked, call.body)
        if isinstance(answer, Related):
            service.gauges.related.labels(answer.by).inc()
        return answer

    return (
        Route("GET", path, f"{summary}, by an item of the index.", answer, gives, asked, together=together),
        Route("POST", path, f"{summary}, by an image that is sent as the body.", answer, gives, asked, "image"),
    )


def _shard_routes() -> tuple[Route, ...]:
    """What a router asks."""

    def query(service: Service, call: Call) -> shard_fields.Query:
        return shard.query(service.questions, call.asked, call.body)

    def posted(
        name: str,
        summary: str,
        answer: Callable[[Questions, Any], Struct],
        asked: type[Struct],
        gives: type[Struct],
    ) -> Route:
        """What is asked about a query, which is sent as JSON."""
        path = f"/v1/shard/{name}"
        return Route(
            "POST",
            path,
            summary,
            lambda s, c: answer(s.questions, c.body),
            gives,
            body=asked,
            is_small=True,
            group=group,
        )

    path, gives, group = "/v1/shard/query", shard_fields.Query, "for a router"
    candidates = shard_fields.CandidatesAsked, shard_fields.Candidates
    nearest = shard_fields.NearestAsked, shard_fields.Nearest
    return (
        Route("GET", path, "An item as a query.", query, gives, fields.SearchAsked, group=group),
        Route("POST", path, "An image as a query.", query, gives, fields.SearchAsked, "image", group=group),
        posted("candidates", "The rows nearest to a query by code.", shard.candidates, *candidates),
        posted("nearest", "The answers among candidates.", shard.nearest, *nearest),
    )


_ITEM = "/v1/items/{id}"
_MODEL_PATH = "/v2/models/{name}"
_OPEN = "Open Inference Protocol"

ROUTES: tuple[Route, ...] = (
    Route(
        "GET", "/v1/index", "What is served, and what it can do.", lambda s, c: s.questions.known(), fields.IndexKnown
    ),
    *_asking(
        "/v1/search",
        "What looks alike",
        "search",
        fields.SearchAsked,
        fields.Found,
        together=Together(lambda asked: asked.is_whole, lambda s, asked: s.questions.search_items(asked)),
    ),
    *_asking("/v1/look", "Objects with words and what looks like each", "look", fields.LookAsked, fields.Sight),
    *_asking("/v1/lens", "What several sources answer together", "lens", fields.LensAsked, fields.Blend),
    *_asking("/v1/related", "Related items", "related", RelatedAsked, Related),
    *_asking("/v1/objects", "Objects and their dots", "objects", fields.ObjectsAsked, fields.Objects),
    Route(
        "GET",
        "/v1/items",
        "Rows of the index, by rising id.",
        lambda s, c: s.questions.items(c.asked),
        fields.Items,
        fields.ItemsAsked,
    ),
    Route(
        "GET",
        "/v1/clusters",
        "Clusters of the images, largest first.",
        lambda s, c: s.questions.clusters(c.asked),
        Clusters,
        ClustersAsked,
    ),
    Route(
        "GET",
        "/v1/clusters/{id}",
        "The members of a cluster, from its centre to its rim.",
        lambda s, c: s.questions.cluster(c.item, c.asked),
        Members,
        MembersAsked,
    ),
    Route("GET", _ITEM, "A row of the index.", lambda s, c: s.questions.item(c.item), fields.ItemKnown),
    Route("GET", f"{_ITEM}/thumbnail", "Its image, 320 pixels.", _picture("thumbnail"), JPEG),
    Route("GET", f"{_ITEM}/preview", "Its image, 1600 pixels.", _picture("preview"), JPEG),
    Route("GET", f"{_ITEM}/original", "The file of its image, where that is allowed.", _original, FILE),
    *live_routes(),
    *_shard_routes(),
    Route(
        "GET",
        "/v2/health/live",
        "Whether the server lives.",
        lambda s, c: inference.Alive(live=True),
        inference.Alive,
        is_light=True,
        group=_OPEN,
    ),
    Route(
        "GET",
        "/v2/health/ready",
        "Whether all models are ready.",
        lambda s, c: inference.Ready(ready=bool(ready(s, c))),
        inference.Ready,
        is_light=True,
        group=_OPEN,
    ),
    Route(
        "GET",
        "/v2",
        "The server.",
        lambda s, c: inference.server_known(),
        inference.ServerKnown,
        is_light=True,
        group=_OPEN,
    ),
    *(
        route
        for path in (_MODEL_PATH, f"{_MODEL_PATH}/versions/{{version}}")
        for route in (
            Route("GET", path, "What the encoder takes and gives.", _model_known, inference.ModelKnown, group=_OPEN),
            Route("GET", f"{path}/ready", "Whether it is ready.", _model_ready, inference.Ready, group=_OPEN),
            Route(
                "POST",
                f"{path}/infer",
                "Codes, embedding and features of inputs.",
                _infer,
                inference.Inferred,
                body=inference.InferenceAsked,
                group=_OPEN,
            ),
        )
    ),
)
