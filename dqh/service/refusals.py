"""Which error is which status, in one table; what a client is told of it, and what is told to the log alone."""

from http import HTTPStatus
from types import MappingProxyType

from dqh.errors import (
    ArtifactError,
    BadImageError,
    DetectorError,
    DqhError,
    StoreError,
    SystemLimitError,
    WhereError,
)
from dqh.service.fields import Problem


class RequestError(DqhError):
    """A request that is refused.

    Attributes:
        status: of HTTP.
        headers: of the answer.
    """

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


STATUSES: MappingProxyType[type[Exception], int] = MappingProxyType(
    {
        WhereError: 400,
        BadImageError: 422,
        SystemLimitError: 503,
        StoreError: 503,
        ArtifactError: 500,
        DetectorError: 500,
        Exception: 500,
    }
)
"""The first of these that an error is one of, has its status; below 500 its text is told."""


def problem_of(error: Exception, request_id: str) -> tuple[Problem, dict[str, str]]:
    """What a client is told of an error, and headers that go with it.

    Texts of 500 and above stay in the log: they name files of this machine.
    """
    if isinstance(error, RequestError):
        return _problem(error.status, str(error), request_id), error.headers
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    if status < 500:
        return _problem(status, "\n".join(error.lines if isinstance(error, DqhError) else [str(error)]), request_id), {}
    retry = {"Retry-After": "5"} if status == 503 else {}
    return _problem(status, "the request could not be answered; the log of the service says why", request_id), retry


def _problem(status: int, detail: str, request_id: str) -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, request_id=request_id)
