"""What a router is asked: searches, items and their pictures, by the paths that an index has for them."""

from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from dqh.service import fields, shard_fields
from dqh.service.endpoints import PUBLIC, application
from dqh.service.gauges import Gauges
from dqh.service.guard import Guard
from dqh.service.refusals import RequestError
from dqh.service.router import Router
from dqh.service.routes import FILE, JPEG, Call, Route, Serving, live_routes, ready
from dqh.service.settings import Settings
from dqh.service.shard_client import Answer

_PASSED = ("etag", "cache-control", "content-type")
"""Headers of a picture that come from its shard."""


@dataclass(frozen=True)
class RouterService(Serving):
    """What answers by shards."""

    router: Router


def make_router_app(router: Router, settings: Settings, gauges: Gauges) -> Guard:
    """The application; its lifespan ends the router."""
    service = RouterService(settings, gauges, lambda: guard, router)
    guard = Guard(application(ROUTES, service, close=router.close), settings, gauges, public=PUBLIC)
    return guard


def _search(service: RouterService, call: Call) -> shard_fields.RoutedFound:
    answer = service.router.search(call.asked, call.body)
    if answer.partial:
        service.gauges.partial.inc()
    return answer


def _of_item(service: RouterService, call: Call) -> Response:
    """What the shard answers that has the item of the path."""
    named = call.request.headers.get("if-none-match")
    passed = None if named is None else {"if-none-match": named}
    return _passed_on(service.router.of_item(call.item, call.request.url.path, passed))


def _objects(service: RouterService, call: Call) -> Response:
    """Of an item what its shard answers, of an image what any does."""
    number, path = call.asked.id, "/v1/objects"
    if (number is None) == (call.body is None):
        raise RequestError(400, "send an image as the body of a POST, or name an item by id in a GET")
    if number is None:
        return _passed_on(service.router.of_image(path, call.body))
    return _passed_on(service.router.of_item(number, f"{path}?id={number}"))


def _passed_on(answer: Answer) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name in _PASSED}
    return Response(answer.body, answer.status, headers)


def _ready(service: RouterService, call: Call) -> Response | fields.State:
    """Whether any shard can answer, too."""
    service.router.require_any()
    return ready(service, call)


def _asking(path: str, summary: str, answer: Any, gives: type[Struct], asked: type[Struct]) -> tuple[Route, Route]:
    return (
        Route("GET", path, f"{summary}, by an item of any shard.", answer, gives, asked),
        Route("POST", path, f"{summary}, by an image that is sent as the body.", answer, gives, asked, "image"),
    )


def _item(path: str, summary: str, gives: Any) -> Route:
    return Route("GET", f"/v1/items/{{id}}{path}", summary, _of_item, gives)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/index",
        "What the shards serve together.",
        lambda s, c: s.router.known(),
        shard_fields.RoutedIndex,
    ),
    *_asking("/v1/search", "What looks alike", _search, shard_fields.RoutedFound, fields.SearchAsked),
    *_asking("/v1/objects", "Objects and their dots", _objects, fields.Objects, fields.ObjectsAsked),
    Route(
        "GET",
        "/v1/items",
        "Rows of all shards, by rising id.",
        lambda s, c: s.router.items(c.asked),
        shard_fields.RoutedItems,
        fields.ItemsAsked,
    ),
    _item("", "A row.", fields.ItemKnown),
    _item("/thumbnail", "Its image, 320 pixels.", JPEG),
    _item("/preview", "Its image, 1600 pixels.", JPEG),
    _item("/original", "The file of its image, where its shard allows that.", FILE),
    *(replace(own, answer=_ready, is_light=False) if own.path == "/ready" else own for own in live_routes()),
)
