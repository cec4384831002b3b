"""Independent mistakes, collected and raised together."""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from dqh.config import nodes
from dqh.config.kinds import TARGET, Node
from dqh.errors import ConfigError, DqhError

P = ParamSpec("P")
T = TypeVar("T")

FAILED: Any = type("Failed", (), {"__repr__": lambda self: "FAILED"})()
"""Stands in a `Problems` block for an object that could not be made."""


class Problems:
    """A block in which independent mistakes are collected, to be raised together when it ends.

        with Problems(check(config, FIELDS)) as problems:
            source = problems.build(config, "data")
            search = problems.build(config, "search")
            problems.call(code_bytes, config["bits"])

    A single error is raised as it is, with its exit status; several become one `ConfigError`. What could not be made
    is `FAILED` inside the block; `build` and `call` are skipped where they are given `FAILED`. Where the block
    stumbles over it by other means, the collected problems are raised, not their consequence.
    """

    def __init__(self, problems: Iterable[str] = ()) -> None:
        self._errors: list[DqhError] = []
        for line in problems:
            self._add(ConfigError(line))

    def build(self, config: Mapping[str, Any], key: str, /, **supplied: Any) -> Any:
        """What `build` returns, or `FAILED`. Beside what `check` finds in a node, its constructor may find more."""
        lines = nodes.value_problems(config[key], Node | None, key, supplied={key: supplied})
        if not lines:
            return self.call(nodes.build, config, key, **supplied)
        for line in lines:
            self._add(ConfigError(line))
        wrong = {line.partition(":")[0].removeprefix(f"{key}.").partition(".")[0] for line in lines}
        rest = {name: value for name, value in (config[key] or {}).items() if name not in wrong}
        if TARGET in rest and not nodes.value_problems(rest, Node, key, supplied={key: supplied}):
            self.call(nodes.build, {key: rest}, key, **supplied)
        return FAILED

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, or `FAILED` where it raises ValueError, TypeError or a DqhError."""
        if not any(value is FAILED for value in (*args, *kwargs.values())):
            try:
                return function(*args, **kwargs)
            except (DqhError, ValueError, TypeError) as error:
                problem = nodes.prefixed(error, "")
                problem.__cause__ = error.__cause__ if problem is error else error
                self._add(problem)
        return cast(T, FAILED)

    def __enter__(self) -> "Problems":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._errors or (error is not None and not isinstance(error, Exception)):
            return
        if isinstance(error, DqhError):
            self._add(error)
        if len(self._errors) == 1:
            raise self._errors[0] from error or self._errors[0].__cause__
        raise ConfigError(nodes.distinct(self._lines())) from error

    def _add(self, error: DqhError) -> None:
        if not set(_lines(error)) <= set(self._lines()):
            self._errors.append(error)

    def _lines(self) -> list[str]:
        return [line for error in self._errors for line in _lines(error)]


def _lines(error: DqhError) -> tuple[str, ...]:
    return error.problems if isinstance(error, ConfigError) else (str(error),)
