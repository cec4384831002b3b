"""What a value of a JSON file must be, said once: a check names what it got and what is wanted.

Values are compared by their very type: `true` is no number, and 48.0 is no integer.
"""

import re
import reprlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[Any, str], list[str]]
"""Value and the name of its field → one line a problem, none where it is as wanted."""

LARGEST = 2**53
"""Integer that every reader of JSON holds exactly."""

_short = reprlib.Repr()
_short.maxlevel = 2
_short.maxstring = _short.maxother = _short.maxlong = 60


def wanted(what: str, holds: Callable[[Any], bool]) -> Check:
    """A check by a predicate, which sees values of any type."""

    def check(value: Any, field: str) -> list[str]:
        return [] if holds(value) else [f"{field} must be {what}, got {_short.repr(value)}"]

    return check


def integer(low: int = 0, high: int = LARGEST) -> Check:
    """An integer within bounds, both included."""
    return wanted(f"an integer from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def number(low: float, high: float) -> Check:
    """A finite number within bounds, both included."""
    return wanted(
        f"a number from {low:g} to {high:g}",
        lambda value: type(value) in (int, float) and low <= value <= high,  # neither NaN nor infinity is
    )


def text(pattern: str = r".*", what: str = "a text") -> Check:
    """A text that a regular expression matches from end to end."""
    whole = re.compile(pattern, re.DOTALL)
    return wanted(what, lambda value: type(value) is str and whole.fullmatch(value) is not None)


HASH = text(r"[0-9a-f]{64}", "64 hexadecimal digits")
"""A SHA-256."""


def one_of(*values: Any) -> Check:
    """One of some values, none of them equal to a value of another type that JSON has."""
    return wanted(
        " or ".join(map(repr, values)),
        lambda value: any(type(value) is type(allowed) and value == allowed for allowed in values),
    )


def maybe(check: Check) -> Check:
    """`null`, or what another check wants."""
    return lambda value, field: [] if value is None else check(value, field)


def sequence(check: Check, *, length: int | None = None, least: int = 0, different: bool = False) -> Check:
    """A list of what another check wants; the first problem of its items stands for all.

    It has `length` items, or at least `least`; where they are to be `different`, they are texts, numbers or null.
    """
    many = f" of {length}" if length else f" of at least {least}" if least else ""

    def checked(value: Any, field: str) -> list[str]:
        if type(value) is not list or (length is not None and len(value) != length) or len(value) < least:
            return [f"{field} must be a list{many}, got {_short.repr(value)}"]
        problems = next((lines for place, item in enumerate(value) if (lines := check(item, f"{field}[{place}]"))), [])
        if different and not problems and len(set(value)) < len(value):
            twice = next(item for item, count in Counter(value).items() if count > 1)
            problems = [f"{field} must name nothing twice, got {_short.repr(twice)} again"]
        return problems

    return checked


def mapping(check: Check) -> Check:
    """Names, each with what another check wants."""

    def checked(value: Any, field: str) -> list[str]:
        if type(value) is not dict:
            return [f"{field} must be an object, got {_short.repr(value)}"]
        return [problem for name, item in value.items() for problem in check(item, f"{field}.{_name(name)}")]

    return checked


def record(fields: Mapping[str, Check], *, optional: Collection[str] = (), more: bool = False) -> Check:
    """Exactly these fields, each with what its check wants, all that is wrong together.

    The `optional` ones may be missing; with `more`, there may be others, of which nothing is known.
    """

    def checked(value: Any, field: str) -> list[str]:
        if type(value) is not dict:
            return [f"{field or 'the content'} must be an object, got {_short.repr(value)}"]
        under = f"{field}." if field else ""
        problems = [f"{under}{name} is missing" for name in fields if name not in value and name not in optional]
        unknown = [] if more else [name for name in value if name not in fields]
        problems += [f"{under}{_name(name)} is unknown to this version of dqh" for name in unknown]
        for name in fields:
            if name in value:
                problems += fields[name](value[name], f"{under}{name}")
        return problems

    return checked


def notes(fields: Mapping[str, Check]) -> Check:
    """An object of fields that may all be missing, and of others: what a younger version may add to."""
    return record(fields, optional=fields, more=True)


def anything(value: Any, field: str) -> list[str]:
    """Whatever JSON holds."""
    return []


def _name(name: str) -> str:
    """A field as somebody else named it."""
    return name if re.fullmatch(r"[\w. -]{1,60}", name) else _short.repr(name)
