"""The body of a request, read within its limits of bytes and of time; never kept beyond the request."""

import asyncio
import time

from starlette.requests import ClientDisconnect, Request

from dqh.service.refusals import RequestError
from dqh.service.settings import BODY_RATE


async def read_body(request: Request, *, most: int, seconds: float) -> bytes:
    """The whole body.

    Args:
        request: whose body has not been read.
        most: bytes.
        seconds: for it to come, and one more for each `BODY_RATE` bytes that came.

    Raises:
        RequestError: it is too large (413), too slow (408), of a length that is none, or empty (400).
    """
    stated = request.headers.get("content-length")
    if stated is not None and (not stated.isdecimal() or int(stated[:18]) > most):
        raise _too_large(most)
    content, end = bytearray(), time.monotonic() + seconds
    stream = request.stream()
    try:
        while True:
            left = end + len(content) / BODY_RATE - time.monotonic()
            try:
                content += await asyncio.wait_for(anext(stream), max(0.0, left))
            except StopAsyncIteration:
                break
            if len(content) > most:
                raise _too_large(most)
    except TimeoutError:
        raise RequestError(
            408, f"the body did not come within {seconds:g} s; send it at once, or a smaller one", connection="close"
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "the client went away before its body had come") from None
    if not content:
        raise RequestError(400, "the body is empty; send the content of an image file as it is, with no form around it")
    return bytes(content)


def _too_large(most: int) -> RequestError:
    return RequestError(413, f"a body may have {most:,} bytes; send a smaller image", connection="close")
