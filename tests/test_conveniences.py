"""What no work depends on ends nothing."""

import logging

import pytest

from dqh.conveniences import convenience


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "runs/latest"), "runs/latest: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ValueError("first\nsecond"), "first"),
        (NotImplementedError(), "NotImplementedError"),
    ],
)
def test_a_failure_is_told_and_ends_the_block_alone(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), convenience("loggers"):
        raise error
    assert caplog.messages == [f"loggers: {reason}; the work goes on without"]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_signals_go_through(signal: type[BaseException]) -> None:
    with pytest.raises(signal), convenience("loggers"):
        raise signal
