"""`dqh info`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_an_index_says_what_it_consists_of(artifact: Path, index: Path, dqh: Callable) -> None:
    status, out, _ = dqh("info", index, "--json")
    assert status == 0
    assert (json.loads(out)["rows"], json.loads(out)["artifact"]) == (5, str(artifact))
    assert f"artifact      {artifact}\n" in dqh("info", index)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none",), "no index"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, index: Path, dqh: Callable) -> None:
    status, out, err = dqh("info", *(index if word == "INDEX" else word for word in arguments))
    assert (status, out) == (2, "")
    assert message in err
