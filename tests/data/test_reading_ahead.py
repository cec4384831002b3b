"""Answers asked ahead, in order."""

import threading
from collections.abc import Iterator

import pytest

from dqh.data.reading_ahead import in_order


def test_answers_come_in_the_order_of_the_items_and_some_are_asked_ahead() -> None:
    """Item 0 answers only once item 3 was asked, which no single thread would do."""
    asked = threading.Event()

    def answer(item: int) -> int:
        if item == 3:
            asked.set()
        return item * 10 if item or asked.wait(timeout=60) else -1

    assert list(in_order(answer, range(9), threads=4, may_wait=lambda _: True)) == [(n, n * 10) for n in range(9)]


def test_what_does_not_wait_is_asked_in_this_thread_when_its_turn_comes() -> None:
    threads = dict(in_order(lambda _: threading.current_thread(), range(6), threads=2, may_wait=lambda n: n % 2 == 1))
    assert [threads[number] is threading.current_thread() for number in range(6)] == [True, False] * 3


def test_no_more_items_are_taken_than_are_asked_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    answers = in_order(lambda number: number, items(), threads=3, may_wait=lambda _: True)
    assert next(answers) == (0, 0)
    assert taken == list(range(7))
    answers.close()
    assert len(taken) == 7


def test_an_error_is_raised_at_its_turn() -> None:
    def answer(item: int) -> int:
        return 6 // item

    answers = in_order(answer, [1, 0, 2], threads=2, may_wait=lambda _: True)
    assert next(answers) == (1, 6)
    with pytest.raises(ZeroDivisionError):
        next(answers)
