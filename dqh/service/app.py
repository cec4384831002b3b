"""The ASGI application: the routes over an index, behind the guard."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route as StarletteRoute

from dqh.data.images import Limits
from dqh.service import openapi
from dqh.service.bodies import read_body
from dqh.service.gauges import Gauges
from dqh.service.guard import Guard, problem_response
from dqh.service.image_workers import ImageWorkers
from dqh.service.journal import logger
from dqh.service.newest import Newest
from dqh.service.page_files import addresses, page_routes
from dqh.service.questions import Questions
from dqh.service.refusals import RequestError
from dqh.service.routes import ROUTES, Call, Route, Service
from dqh.service.served import Parts, Served
from dqh.service.settings import Settings
from dqh.service.stored_images import StoredImages

PUBLIC = frozenset({"/docs", "/docs.css", "/openapi.json", "/v1/session"}) | addresses().keys()
"""Paths that need no token: they tell nothing of the index."""

_MOST_FIELDS, _QUERY_BYTES = 32, 2**15
_THREADS = 16
"""Beside those that may wait for images."""


def make_app(parts: Parts, settings: Settings, gauges: Gauges) -> Guard:
    """The application; its lifespan ends the processes and threads that it starts.

    Raises:
        DqhError: the index cannot be opened, see `Parts.open`, or has none of the related items.
    """
    newest: Newest[Served] = Newest(parts.index, parts.open, require=Served.require_items)
    workers = ImageWorkers(settings.workers, pixels=settings.pixels, seconds=settings.image_seconds)
    workers.warm()
    images = StoredImages(workers, limits=Limits(), kept_bytes=settings.thumbnail_bytes)
    _watch(gauges, newest, images)
    threads = ThreadPoolExecutor(settings.uploads + _THREADS, thread_name_prefix="question")
    service = Service(Questions(newest, workers, images, settings), settings, gauges, lambda: guard)
    uploads = asyncio.Semaphore(settings.uploads)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        threads.shutdown()
        newest.close()
        workers.close()

    app = Starlette(
        routes=[
            *page_routes(),
            StarletteRoute(
                "/docs", lambda request: HTMLResponse(openapi.html(str(request.base_url).rstrip("/"))), name="docs"
            ),
            StarletteRoute("/docs.css", lambda request: Response(openapi.css(), media_type="text/css"), name="css"),
            StarletteRoute("/openapi.json", lambda request: JSONResponse(openapi.description()), name="openapi"),
            *(
                StarletteRoute(
                    route.path,
                    _endpoint(route, service, threads, uploads),
                    methods=[route.method],
                    name=f"{route.method} {route.path}",
                )
                for route in ROUTES
            ),
        ],
        exception_handlers={HTTPException: _of_starlette, 500: _of_starlette},
        lifespan=lifespan,
    )
    guard = Guard(app, settings, gauges, public=PUBLIC)
    return guard


def _watch(gauges: Gauges, newest: Newest[Served], images: StoredImages) -> None:
    """Gauges of what is served."""
    gauges.watch("dqh_index_version", "Version that is served.", lambda: newest.held.number)
    gauges.watch("dqh_index_rows", "Rows of it.", lambda: len(newest.held.version))
    gauges.watch("dqh_index_age_seconds", "Since it was opened.", lambda: time.time() - newest.opened)
    gauges.watch("dqh_index_failures", "Newer versions that could not be opened.", lambda: newest.failures)
    gauges.watch(
        "dqh_related_missing_items",
        "Items of the log of related items that the version does not have.",
        lambda: 0 if (related := newest.held.related) is None else related.missing,
    )
    gauges.watch("dqh_pictures_bytes", "Of pictures that are kept.", lambda: images.bytes)
    gauges.watch("dqh_pictures_hits", "Pictures that were kept.", lambda: images.hits)
    gauges.watch("dqh_pictures_misses", "Pictures that were made.", lambda: images.misses)


def _endpoint(
    route: Route, service: Service, threads: ThreadPoolExecutor, uploads: asyncio.Semaphore
) -> Callable[[Request], Awaitable[Response]]:
    """What Starlette calls for a route."""
    types = None if route.body in (None, "image") else msgspec.json.Decoder(route.body)

    async def sent(request: Request) -> Any:
        settings = service.settings
        content = await read_body(request, most=settings.body_bytes, seconds=settings.body_seconds)
        if types is None:
            return content
        try:
            return types.decode(content)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise RequestError(400, f"the body is no JSON as it is wanted here: {error}") from error

    def answered(call: Call) -> Response:
        answer = route.answer(service, call)
        if isinstance(answer, Response):
            return answer
        state = call.request.state
        state.seconds, state.version = getattr(answer, "seconds", {}), getattr(answer, "version", None)
        return Response(msgspec.json.encode(answer), headers=_headers(state.seconds), media_type="application/json")

    async def run(request: Request, asked: Any) -> Response:
        if route.body is None:
            call = Call(asked, None, request.path_params, request)
        elif uploads.locked():
            service.gauges.refused.labels("uploads").inc()
            raise RequestError(503, "too many uploads at a time; send it again in a second", retry_after="1")
        else:
            async with uploads:
                call = Call(asked, await sent(request), request.path_params, request)
                return await _in_thread(threads, answered, call)
        return answered(call) if route.is_light else await _in_thread(threads, answered, call)

    async def endpoint(request: Request) -> Response:
        request.state.route = route.path
        try:
            return await run(request, _asked(route, request))
        except Exception as error:  # the table of problems knows all of them
            response = problem_response(error, request.state.request_id)
            if response.status_code >= 500 and not isinstance(error, RequestError):
                logger.error("request %s failed", request.state.request_id, exc_info=error)
            return response

    return endpoint


def _in_thread(threads: ThreadPoolExecutor, answered: Callable[[Call], Response], call: Call) -> Awaitable[Response]:
    return asyncio.get_running_loop().run_in_executor(threads, answered, call)


def _asked(route: Route, request: Request) -> Any:
    """The parameters of a request, checked."""
    query = request.scope["query_string"]
    if len(query) > _QUERY_BYTES:
        raise RequestError(414, f"parameters may have {_QUERY_BYTES:,} bytes, got {len(query):,}")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        asked = dict(pairs)
        if len(asked) < len(pairs):
            raise RequestError(400, "a parameter is given twice")
        return msgspec.convert(asked, route.asked, strict=False)
    except RequestError:
        raise
    except ValueError as error:  # of parse_qsl, of decoding, and of msgspec
        raise RequestError(400, f"parameters are not as they are wanted here: {error}") from error


def _headers(seconds: dict[str, float]) -> dict[str, str]:
    timing = ", ".join(f"{stage};dur={1000 * own:.2f}" for stage, own in seconds.items())
    return {"Cache-Control": "no-store"} | ({"Server-Timing": timing} if timing else {})


async def _of_starlette(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses, as an unknown path."""
    if isinstance(error, HTTPException):
        headers = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
        error = RequestError(error.status_code, error.detail, **headers)
    return problem_response(error, request.state.request_id)
