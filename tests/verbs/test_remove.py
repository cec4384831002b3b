"""`dqh remove`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_paths_and_what_a_filter_finds(index: Path, dqh: Callable) -> None:
    status, out, err = dqh("remove", index, "a/0.png", "--where", "label = 'b'", "--json")
    assert (status, json.loads(out)) == (0, {"removed": [0, 3, 4]})
    assert f"their room is free after: dqh compact {index}" in err
    assert dqh("remove", index, "a/2.png")[1] == f"1 removed from {index}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("INDEX",), "name what to remove"),
        (("INDEX", "none.png"), "1 of 1 paths are not in"),
        (("INDEX", "--where", "lable = 'a'"), "unknown column lable"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, index: Path, dqh: Callable) -> None:
    status, out, err = dqh("remove", *(index if word == "INDEX" else word for word in arguments))
    assert (status, out) == (2, "")
    assert message in err
