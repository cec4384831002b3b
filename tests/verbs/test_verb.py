"""What arguments of verbs may be."""

import argparse

import pytest

from dqh.verbs.verb import at_least_one, names


def test_names_and_numbers() -> None:
    assert names("a,,b") == ["a", "b"]
    assert at_least_one("12") == 12
    for text in ("0", "-1", "1.5", "", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="wanted a whole number from 1"):
            at_least_one(text)
