import threading
from functools import partial

import pytest

from dqh.native.threads import in_threads


def test_results_are_in_order() -> None:
    assert in_threads([partial(pow, number, 2) for number in range(9)]) == [number**2 for number in range(9)]
    assert in_threads([]) == []


def test_one_call_runs_here() -> None:
    assert in_threads([threading.get_ident]) == [threading.get_ident()]


def test_an_error_is_raised_once_all_have_ended() -> None:
    ended: list[int] = []
    with pytest.raises(ZeroDivisionError):
        in_threads([partial(divmod, 1, 0), *(partial(ended.append, number) for number in range(4))])
    assert sorted(ended) == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        in_threads([partial(ended.append, 4), partial(divmod, 1, 0)])
