"""Signals end a program at once, or by an exception where work must be put right."""

import signal
import subprocess
import sys

import pytest

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def ended(program: str, number: signal.Signals | None = None) -> tuple[int, str, str]:
    """Status, stdout and stderr of a program; it gets a signal when it has written a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, signal, sys, time\nfrom dqh import signals\nsignals.listen()\n{program}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        restore_signals=True,
    )
    first = ""
    if number is not None:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, first + out, err


@pytest.mark.parametrize("number", STATUS)
def test_a_program_that_does_nothing_to_be_put_right_ends_at_once(number: signal.Signals) -> None:
    status, _, err = ended("print('ready', flush=True); time.sleep(60)", number)
    assert (status, err) == (STATUS[number], "interrupted\n" if number == signal.SIGINT else "")


@pytest.mark.parametrize("number", STATUS)
def test_work_is_put_right_before_the_end(number: signal.Signals) -> None:
    program = """
with signals.raising() as received:
    try:
        print('ready', flush=True); time.sleep(60)
    except BaseException as error:
        print(type(error).__name__, received)
"""
    name = "KeyboardInterrupt" if number == signal.SIGINT else "SystemExit"
    assert ended(program, number) == (0, f"ready\n{name} [{int(number)}]\n", "")


def test_a_second_signal_ends_it_at_once() -> None:
    program = """
with signals.raising():
    try:
        signal.raise_signal(signal.SIGTERM)
    except SystemExit:
        signal.raise_signal(signal.SIGINT); print('not reached', flush=True)
"""
    assert ended(program) == (130, "", "interrupted\n")


def test_a_signal_while_a_module_is_loaded_ends_at_once(tmp_path) -> None:
    """Modules in C turn an exception into an ImportError, and the callbacks of the import system lose it."""
    (tmp_path / "slow.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nprint('not reached')\n")
    program = f"""
sys.path.insert(0, {str(tmp_path)!r})
with signals.raising():
    try:
        import slow
    except BaseException:
        print('not reached either', flush=True)
"""
    assert ended(program) == (130, "", "interrupted\n")


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_whose_exception_is_lost_ends_it_too(number: signal.Signals) -> None:
    program = f"""
class Odd:
    def __del__(self):
        signal.raise_signal({int(number)}); time.sleep(0)
with signals.raising():
    odd = Odd()
    del odd
    print('not reached', flush=True)
"""
    assert ended(program) == (STATUS[number], "", "interrupted\n" if number == signal.SIGINT else "")


def test_a_signal_that_was_ignored_stays_so() -> None:
    program = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signals.listen()
with signals.raising():
    signal.raise_signal(signal.SIGINT); print('reached', flush=True)
"""
    assert ended(program) == (0, "reached\n", "")


def test_without_listen_nothing_changes() -> None:
    program = """
signal.signal(signal.SIGTERM, signal.SIG_DFL)
with signals.raising():
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
"""
    assert ended(program) == (0, "True\n", "")
