"""A process that can be ended: answers, errors, its time, Ctrl-C, and what it leaves behind."""

import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dqh.encoding import process as module
from dqh.encoding.process import Message, Process, ProcessError, Shared, shared_file
from tests.conftest import ROOT
from tests.encoding.echo import Echo


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_arrays_of_any_size_go_there_and_back() -> None:
    process = Process(Echo)
    sizes = [(3,), (2, 0, 4), (5, 7), (), (1000, 1000), (1,)]
    for dtype in (np.uint8, np.float32, np.int64, np.float64):
        arrays = tuple(np.arange(np.prod(size)).astype(dtype).reshape(size) for size in sizes)
        answer = process.ask(Message({"do": "double"}, arrays), seconds=60)
        for given, got in zip(arrays, answer.arrays, strict=True):
            assert (got.dtype, got.shape) == (given.dtype, given.shape)
            assert np.array_equal(got, 2 * given)
    first = process.ask(Message({"do": "double"}, (np.ones(9),)), seconds=60).arrays[0]
    process.ask(Message({"do": "double"}, (np.full(9, 5.0),)), seconds=60)
    assert first.tolist() == [2.0] * 9, "an answer does not change with the next one"
    assert answer.fields["pid"] != os.getpid()


def test_errors_leave_the_process_as_it_is() -> None:
    process = Process(Echo)
    with pytest.raises(ProcessError, match="a key") as found:
        process.ask(Message({"do": "raise"}), seconds=60)
    assert found.value.kind == "KeyError"
    assert process.ask(Message({"do": "double"}, (np.ones(1),)), seconds=60).arrays[0] == 2


def test_what_takes_too_long_is_ended() -> None:
    process = Process(Echo)
    pid = process.ask(Message({"do": "pid"}), seconds=60).fields["pid"]
    with pytest.raises(
        ProcessError, match=r"not done after 0.2 seconds, the most that it may take; it was ended"
    ) as one:
        process.ask(Message({"do": "hang"}), seconds=0.2)
    assert one.value.kind == "time"
    assert not is_running(pid)
    with pytest.raises(ProcessError):
        process.ask(Message({"do": "pid"}), seconds=60)


def test_an_end_is_told() -> None:
    with pytest.raises(ProcessError, match=r"its process ended \(exit status 7\)"):
        Process(Echo).ask(Message({"do": "exit"}), seconds=60)
    process = Process(Echo)
    os.kill(process.ask(Message({"do": "pid"}), seconds=60).fields["pid"], signal.SIGKILL)
    with pytest.raises(ProcessError, match=r"its process ended \(SIGKILL\)"):
        process.ask(Message({"do": "pid"}), seconds=60)


def test_arrays_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE", 100)
    with pytest.raises(ValueError, match="128 bytes of arrays, at most 100 are taken"):
        Shared(shared_file()).send(io.BytesIO(), Message({}, (np.zeros(101, np.uint8),)))


PARENT = """
import runpy, sys
Echo = runpy.run_path("tests/encoding/echo.py")["Echo"]
names = runpy.run_path("dqh/encoding/process.py")
Message, process = names["Message"], names["Process"](Echo)
print(process.ask(Message({"do": "pid"}), seconds=60).fields["pid"], flush=True)
process.ask(Message({"do": "hang"}), seconds=600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_orphan_stays(number: int) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    pid = int(parent.stdout.readline())
    assert parent.stderr.readline() == "hangs\n"
    assert is_running(pid)
    parent.send_signal(number)
    parent.wait(30)
    for _ in range(200):  # half a second where it has to look; more on a busy machine
        if not is_running(pid):
            break
        time.sleep(0.05)
    assert not is_running(pid)
    parent.stdout.close()
    parent.stderr.close()


def test_threads_share_a_process() -> None:
    """Each gets the answer to what it asked, whatever the others ask meanwhile."""
    process = Process(Echo)
    try:
        with ThreadPoolExecutor(8) as threads:
            arrays = [np.full(number + 1, number) for number in range(60)]
            answers = list(
                threads.map(lambda array: process.ask(Message({"do": "double"}, (array,)), seconds=30), arrays)
            )
        assert [answer.arrays[0].tolist() for answer in answers] == [(2 * array).tolist() for array in arrays]
        assert (process.is_closed, process.shared_bytes) == (False, 512)
    finally:
        process.close()
    assert process.is_closed
