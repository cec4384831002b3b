import os

import pytest

from dqh.cores import threads, usable_cores


@pytest.mark.parametrize("asked", ["3", "3,2", " 3 "])
def test_as_many_threads_as_are_asked_for(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads() == 3


@pytest.mark.parametrize("asked", ["", "0", "-1", "many"])
def test_else_one_a_usable_core(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert (usable_cores(), threads()) == (3, 3)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores() == 7
