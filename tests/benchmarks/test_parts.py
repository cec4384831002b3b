"""Parts by a clock that they turn themselves."""

from collections.abc import Callable
from copy import deepcopy
from types import ModuleType
from typing import Any

import pytest


class Run:
    """Parts with a limit of 100 s, and what was kept after each."""

    def __init__(self, module: ModuleType) -> None:
        self.now = 1000.0
        self.kept: list[dict[str, Any]] = []
        self.found: dict[str, Any] = {"device": "cpu"}
        keep: Callable[[], None] = lambda: self.kept.append(deepcopy(self.found))  # noqa: E731
        self.parts = module.Parts(self.found, limit=100.0, keep=keep, clock=lambda: self.now)

    def part(self, name: str, seconds: float, *, share: float = 1.0, error: Exception | None = None) -> None:
        def work() -> str:
            self.now += seconds
            if error is not None:
                raise error
            return f"result of {name}"

        self.parts.do(name, work, share=share)


@pytest.fixture
def run(benchmark_module: Callable[[str], ModuleType]) -> Run:
    return Run(benchmark_module("parts"))


def test_what_is_found_is_kept_after_each_part(run: Run) -> None:
    run.part("a", 30)
    run.part("b", 20)
    assert [set(kept) - {"seconds", "no time left", "failed"} for kept in run.kept] == [
        {"device", "a"},
        {"device", "a", "b"},
    ]
    assert run.kept[1]["seconds"] == {"a": 30, "b": 20}


def test_a_part_begins_only_if_the_one_before_would_still_fit(run: Run) -> None:
    """After 40 + 35 s another 35 do not fit into 100, half of them do: 75 + 17.5."""
    run.part("a", 40)
    run.part("b", 35)
    run.part("c", 1)
    run.part("d", 10, share=0.5)
    run.part("e", 10)
    run.part("f", 10)
    assert run.found["no time left"] == ["c", "f"]
    assert run.kept[2]["no time left"] == ["c"]
    assert list(run.found["seconds"]) == ["a", "b", "d", "e"]


def test_a_part_that_fails_is_told_and_the_next_begins(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.part("a", 30, error=RuntimeError("no memory\nfor it"))
    run.part("b", 20)
    assert run.found["failed"] == {"a": "RuntimeError: no memory"}
    assert run.kept[0]["failed"] == run.found["failed"]
    assert "Traceback" in capsys.readouterr().err
    assert "a" not in run.found
    assert run.found["b"] == "result of b"


def test_being_stopped_is_no_failure(run: Run) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.parts.do("a", work)
    assert run.found["failed"] == {}
