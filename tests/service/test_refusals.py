import pytest

from dqh.errors import (
    ArtifactError,
    BadImageError,
    DetectorError,
    MismatchError,
    StoreError,
    StoreLimitError,
    SystemLimitError,
    WhereError,
)
from dqh.service.refusals import RequestError, problem_of


@pytest.mark.parametrize(
    ("error", "status", "is_told", "headers"),
    [
        (RequestError(418, "tea", retry_after="3"), 418, True, {"retry-after": "3"}),
        (WhereError("no filter\nlabel\n  ^"), 400, True, {}),
        (BadImageError("no image"), 422, True, {}),
        (SystemLimitError("/secret"), 503, False, {"Retry-After": "5"}),
        (StoreLimitError("/secret"), 503, False, {"Retry-After": "5"}),
        (MismatchError("/secret"), 503, False, {"Retry-After": "5"}),
        (StoreError("/secret"), 503, False, {"Retry-After": "5"}),
        (ArtifactError("/secret"), 500, False, {}),
        (DetectorError("/secret"), 500, False, {}),
        (ValueError("/secret"), 500, False, {}),
        (KeyError("/secret"), 500, False, {}),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, is_told: bool, headers: dict[str, str]) -> None:
    problem, own = problem_of(error, "r1")
    assert (problem.status, problem.request_id, own) == (status, "r1", headers)
    assert (str(error) == problem.detail) == is_told
    assert "/secret" not in problem.detail
