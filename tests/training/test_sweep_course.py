"""The failure of one cell leaves the others alone, what asks to stop ends the sweep."""

import logging
import os
import signal
from pathlib import Path

import pytest

from dqh.errors import DataError
from dqh.training import Interrupted
from dqh.training.sweep import Cell
from dqh.training.sweep_course import surviving, terminable


def test_a_failure_is_written_down_and_ends_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cell = Cell({"bits": "16"}, tmp_path / "sweep" / "cell")
    for error, first in ((DataError("no images\nat all"), "no images"), (ZeroDivisionError(), "ZeroDivisionError")):
        caplog.clear()
        with caplog.at_level(logging.ERROR), surviving(cell):
            raise error
        assert cell.state == "failed"
        text = (cell.folder / "error.txt").read_text()
        assert text.splitlines()[0] == first
        assert f"raise error\n{type(error).__module__}.".replace("builtins.", "") in text
        assert f"bits=16 failed, see {cell.folder / 'error.txt'}: {first}" in caplog.text
    with surviving(cell):
        pass
    assert cell.state == "waiting"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143), Interrupted(15, Path("last.ckpt"))])
def test_what_asks_to_stop_goes_through(tmp_path: Path, stop: BaseException) -> None:
    cell = Cell({}, tmp_path)
    with pytest.raises(type(stop)), surviving(cell):
        raise stop
    assert cell.state == "waiting"


def test_sigterm_ends_the_block_with_its_own_status() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
