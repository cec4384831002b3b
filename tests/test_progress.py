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


def test_the_end_is_told_where_something_was_before(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 5.0, 6.0])
    progress = Progress("decoded", 12, clock=lambda: next(times))
    with caplog.at_level("INFO"):
        progress.advance(10)
        progress.advance(2)
    assert caplog.messages[1] == "decoded 12 of 12 images, 2 images/s, 0 s left"
    times = iter([0.0, 1.0])
    progress = Progress("decoded", 12, clock=lambda: next(times))
    with caplog.at_level("INFO"):
        progress.advance(12)
    assert len(caplog.messages) == 2


def test_what_was_done_before_says_nothing_of_the_rate(caplog: pytest.LogCaptureFixture) -> None:
    """500 of 1,000 codes were there; 100 more in 10 s are 10 a second, and 400 are left."""
    times = iter([0.0, 10.0])
    progress = Progress("encoded", 1000, noun="codes", done=500, clock=lambda: next(times))
    with caplog.at_level("INFO"):
        progress.advance(100)
    assert caplog.messages == ["encoded 600 of 1,000 codes, 10 codes/s, 40 s left"]
