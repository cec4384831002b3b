"""What values of a JSON file must be: got and wanted in every line."""

from typing import Any

import pytest

from dqh.schema import (
    Check,
    anything,
    integer,
    mapping,
    maybe,
    number,
    one_of,
    record,
    sequence,
    text,
)

DEEP: Any = None
for _ in range(900):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (integer(1, 5), 1),
        (integer(1, 5), 5),
        (number(0, 1), 0),
        (number(0, 1), 0.5),
        (text(), ""),
        (text("[a-f]+", "letters"), "abc"),
        (one_of(False, True), True),
        (one_of("a", 1), 1),
        (maybe(integer()), None),
        (sequence(integer()), []),
        (sequence(integer(), length=2), [1, 2]),
        (mapping(integer()), {"a": 1}),
        (record({"a": integer(), "b": text()}, optional=["b"]), {"a": 1}),
        (anything, DEEP),
    ],
)
def test_what_is_as_wanted(check: Check, value: Any) -> None:
    assert check(value, "field") == []


@pytest.mark.parametrize(
    ("check", "value", "problem"),
    [
        (integer(1, 5), 0, "field must be an integer from 1 to 5, got 0"),
        (integer(1, 5), 6, "field must be an integer from 1 to 5, got 6"),
        (integer(1, 5), 2.0, "field must be an integer from 1 to 5, got 2.0"),
        (integer(1, 5), True, "field must be an integer from 1 to 5, got True"),
        (integer(1, 5), "2", "field must be an integer from 1 to 5, got '2'"),
        (number(0, 1), float("nan"), "field must be a number from 0 to 1, got nan"),
        (number(0, 1), float("inf"), "field must be a number from 0 to 1, got inf"),
        (number(0, 1), True, "field must be a number from 0 to 1, got True"),
        (number(0, 1), 1 + 2j, "field must be a number from 0 to 1, got (1+2j)"),
        (text("[a-f]+", "letters"), "abc\n", "field must be letters, got 'abc\\n'"),
        (one_of(0, 1), False, "field must be 0 or 1, got False"),
        (one_of("a"), "\x1b[2J", "field must be 'a', got '\\x1b[2J'"),
        (maybe(integer()), "x", "field must be an integer from 0 to 9007199254740992, got 'x'"),
        (sequence(integer(0, 1)), {}, "field must be a list, got {}"),
        (sequence(integer(0, 1), length=3), [0], "field must be a list of 3, got [0]"),
        (sequence(integer(0, 1)), [0, 3, 4], "field[1] must be an integer from 0 to 1, got 3"),
        (mapping(integer(0, 1)), [], "field must be an object, got []"),
        (mapping(integer(0, 1)), {"a": 2}, "field.a must be an integer from 0 to 1, got 2"),
        (mapping(integer(0, 1)), {"\x1b": 2}, "field.'\\x1b' must be an integer from 0 to 1, got 2"),
        (one_of("a"), DEEP, "field must be 'a', got [[[...]]]"),
    ],
)
def test_what_is_not(check: Check, value: Any, problem: str) -> None:
    assert check(value, "field") == [problem]


def test_all_that_is_wrong_with_a_record_is_told_together() -> None:
    check = record({"a": integer(0, 1), "b": text(), "c": record({"d": text()})}, optional=["b"])
    assert check({"b": 3, "e": 1, "c": {"d": 1}}, "") == [
        "a is missing",
        "e is unknown to this version of dqh",
        "b must be a text, got 3",
        "c.d must be a text, got 1",
    ]
    assert check([], "x") == ["x must be an object, got []"]


def test_a_long_value_is_cut() -> None:
    (problem,) = integer()("x" * 10_000, "field")
    assert len(problem) < 150
