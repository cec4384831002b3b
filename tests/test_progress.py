import pytest

from dqh.progress import Progress


def test_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    """100 images in 4 s are not told; 200 in 10 s are 20 a second, and 800 more take 40 s."""
    times = iter([0.0, 4.0, 10.0])
    progress = Progress("indexed", 1000, clock=lambda: next(times))
    with caplog.at_level("INFO"):
        progress.advance(100)
        progress.advance(100)
    assert caplog.messages == ["indexed 200 of 1,000 images, 20 images/s, 40 s left"]
