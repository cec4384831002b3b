from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest

from dqh.config.kinds import Node, better, converted, fits, wanted

NODE = {"_target_": "somewhere.Thing"}


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1], NODE]),
        (float, [0.5, 3, float("inf")], [True, "0.5", None, NODE]),
        (bool, [True, False], [0, "true", None]),
        (str, ["", "abc"], [1, None, ["a"], NODE]),
        (None, [None], [0, "", False]),
        (Path, ["a/b", Path("a"), NODE], [1, None]),
        (int | None, [1, None], [1.5, "a"]),
        (Optional[float], [1, None], ["a"]),  # noqa: UP045  the older spelling is understood as well
        (Literal["cpu", 1], ["cpu", 1], ["cuda", True, 1.0, None]),
        (Annotated[int, "positive"], [1], ["a"]),
        (tuple[float, float], [[0.1, 2], (1, 2)], [[1], [1, 2, 3], [1, "a"], 1]),
        (tuple[int, ...], [[], [1, 2, 3]], [[1.5], "12"]),
        (tuple, [[], [1, "a"]], ["ab"]),
        (list[str], [["a"], []], ["a", ["a", 1]]),
        (Sequence[int], [[1]], ["1", {"a": 1}]),
        (list[list[int]], [[[1], []]], [[1]]),
        (dict[str, float], [{}, {"a": 1}, NODE], [{"a": "b"}, [1]]),
        (Mapping, [{"a": "b"}], ["a"]),
        (Node, [NODE], [{"lr": 1}, 1, None]),
        (Node | None, [NODE, None], [{}, 1]),
        (Any, [1, "a", None, [1], NODE], []),
        (Callable[[int], int], [1, "a", None], []),
        ("a forward reference", [1, NODE], []),
    ],
)
def test_fits(kind, fitting, others):
    assert [value for value in fitting if not fits(value, kind)] == []
    assert [value for value in others if fits(value, kind)] == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (int, "int"),
        (bool, "true or false"),
        (Path | None, "a path or null"),
        (int | str | None, "int, str or null"),
        (Literal["cpu", "cuda"], "one of cpu, cuda"),
        (Annotated[float, "positive"], "float"),
        (tuple[float, int], "a list [float, int]"),
        (tuple[int, ...], "a list of int"),
        (list, "a list"),
        (dict[str, list[int]], "a mapping of names to a list of int"),
        (dict, "a mapping"),
        (Node, "a group of settings with _target_"),
        (Any, "a value"),
    ],
)
def test_wanted(kind, expected):
    assert wanted(kind) == expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (48.0, int, "48"),
        ("48", int, "48"),
        ("0.5", float, "0.5"),
        ("1e-3", float, "0.001"),
        (48.5, int, None),
        ("abc", int, None),
        ("", int, None),
        (float("inf"), int, None),
        ("cdua", Literal["cpu", "cuda"] | None, "cuda"),
        ("tpu", Literal["cpu", "cuda"], "cpu"),
        ("xyz", Literal["cpu", "cuda"], None),
        ("a", Literal[1, 2], None),
        (3, list[int], "[3]"),
        ("a b", tuple[str, ...], '["a b"]'),
        ([1], int, None),
    ],
)
def test_better(value, kind, expected):
    assert better(value, kind) == expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ([1, 2], tuple[int, ...], (1, 2)),
        ([[1], [2]], tuple[tuple[int, ...], ...], ((1,), (2,))),
        ([[1], 2], tuple[list[int], int], ([1], 2)),
        ([1, 2], list[int] | None, [1, 2]),
        ([1, 2], int | tuple[int, int], (1, 2)),
        ([1, 2], Annotated[tuple[int, int], "size"], (1, 2)),
        (None, tuple[int, int] | None, None),
        ([1, 2], Any, [1, 2]),
        ({"a": [1]}, dict[str, tuple[int, ...]], {"a": (1,)}),
        ("a/b", Path | None, Path("a/b")),
        ("a/b", str | Path, "a/b"),
    ],
)
def test_converted(value, kind, expected):
    def make(item, item_kind, key):
        return converted(item, item_kind, make, key=key)

    got = make(value, kind, "key")
    assert (got, type(got)) == (expected, type(expected))


def test_converted_names_the_items():
    seen = []
    converted({"a": [1]}, dict[str, list[int]], lambda item, kind, key: seen.append((item, kind, key)), key="x")
    converted([5, 6], Any, lambda item, kind, key: seen.append((item, kind, key)), key="y")
    assert seen == [([1], list[int], "x.a"), (5, Any, "y.0"), (6, Any, "y.1")]
