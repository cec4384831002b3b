"""Routes on Starlette: parameters and bodies are checked, questions are answered in threads, errors are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
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

from dqh.service import openapi
from dqh.service.batches import MOST, Batches
from dqh.service.bodies import read_body
from dqh.service.guard import problem_response
from dqh.service.journal import logger
from dqh.service.page_files import addresses, page_routes
from dqh.service.refusals import RequestError
from dqh.service.routes import Call, Route, Serving

PUBLIC = frozenset({"/docs", "/docs.css", "/openapi.json", "/v1/session"}) | addresses().keys()
"""Paths that need no token: they tell nothing of the index."""

_MOST_FIELDS, _QUERY_BYTES = 32, 2**15
_THREADS = 16
"""Beside those that may wait for images."""


def application(routes: Iterable[Route], service: Serving, *, close: Callable[[], object]) -> Starlette:
    """The page, the description, and these routes.

    Args:
        routes: that are answered.
        service: that answers them.
        close: ends what answers, once nobody asks.
    """
    chosen = tuple(routes)
    threads = ThreadPoolExecutor(service.settings.uploads + _THREADS, thread_name_prefix="question")
    uploads = asyncio.Semaphore(service.settings.uploads)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        threads.shutdown()
        close()

    return Starlette(
        routes=[
            *page_routes(),
            StarletteRoute(
                "/docs",
                lambda request: HTMLResponse(openapi.html(chosen, str(request.base_url).rstrip("/"))),
                name="docs",
            ),
            StarletteRoute("/docs.css", lambda request: Response(openapi.css(), media_type="text/css"), name="css"),
            StarletteRoute("/openapi.json", lambda request: JSONResponse(openapi.description(chosen)), name="openapi"),
            *(
                StarletteRoute(
                    route.path,
                    _endpoint(route, service, threads, uploads),
                    methods=[route.method],
                    name=f"{route.method} {route.path}",
                )
                for route in chosen
            ),
        ],
        exception_handlers={HTTPException: _of_starlette, 500: _of_starlette},
        lifespan=lifespan,
    )


def _endpoint(
    route: Route, service: Serving, threads: ThreadPoolExecutor, uploads: asyncio.Semaphore
) -> Callable[[Request], Awaitable[Response]]:
    """What Starlette calls for a route."""
    sent = _reader(route, service)

    answers = _Answers(route, service)
    batches: Batches[Call, Response] = Batches(answers.all, threads, most=MOST)

    async def run(request: Request, asked: Any) -> Response:
        if route.body is None:
            call = Call(asked, None, request.path_params, request)
            if route.together is not None and route.together.fits(asked):
                return await batches(call)
            return answers.one(call) if route.is_light else await _in_thread(threads, answers.one, call)
        if route.is_small:
            return await _in_thread(
                threads, answers.one, Call(asked, await sent(request), request.path_params, request)
            )
        if uploads.locked():
            service.gauges.refused.labels("uploads").inc()
            raise RequestError(503, "too many uploads at a time; send it again in a second", retry_after="1")
        async with uploads:
            return await _in_thread(
                threads, answers.one, Call(asked, await sent(request), request.path_params, request)
            )

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


class _Answers:
    """What a route answers, as responses; threads may share it."""

    def __init__(self, route: Route, service: Serving) -> None:
        self._route, self._service = route, service

    def one(self, call: Call) -> Response:
        """The answer to a call."""
        answer = self._route.answer(self._service, call)
        return answer if isinstance(answer, Response) else self._told(answer, call)

    def all(self, calls: Sequence[Call]) -> list[Response | Exception]:
        """The answers to a batch of calls, or why there is none."""
        assert self._route.together is not None
        answers = self._route.together.answer(self._service, [call.asked for call in calls])
        return [
            answer if isinstance(answer, Exception) else self._told(answer, call)
            for answer, call in zip(answers, calls, strict=True)
        ]

    def _told(self, answer: msgspec.Struct, call: Call) -> Response:
        """JSON; what an answer took and its version are for the log."""
        state = call.request.state
        state.seconds, state.version = getattr(answer, "seconds", {}), getattr(answer, "version", None)
        return Response(msgspec.json.encode(answer), headers=_headers(state.seconds), media_type="application/json")


def _reader(route: Route, service: Serving) -> Callable[[Request], Awaitable[Any]]:
    """Reads what is sent to a route: the content of an image, or JSON as the type that the route has for it."""
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

    return sent


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
