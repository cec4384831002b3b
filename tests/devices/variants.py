"""Calls of a function or a class in all its settings, from its signature alone: a new one is called without a change.

A setting is changed alone: a switch to its other side, a word to every other word of its `Literal`, a number that is 0
or None by default to 1/4, a whole one that is 0 to 2. What the callee refuses is left out by whoever calls.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

NUMBER = 0.25


def settings(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Keyword arguments: none, then every change of one of those that have a default."""
    yield {}
    constructor = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(constructor)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            for value in _others(hints[name], parameter.default):
                yield {name: value}


def required(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments without a default."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]


def _others(hint: Any, default: Any) -> list[Any]:
    if hint is bool:
        return [not default]
    if hint is int:
        return [2] if default == 0 else []
    words = [word for word in _words(hint) if word != default]
    number = [NUMBER] if float in (hint, *get_args(hint)) and default in (0, None) else []
    return words + number


def _words(hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for part in get_args(hint) for word in _words(part)]
