"""What arguments of verbs may be."""

import argparse

import pytest

from dqh.verbs.verb import Parser, at_least_one, names


@pytest.mark.parametrize("word", ["-1", "-.5", "-1e300", "-1,2", "-inf", "-NaN"])
def test_a_negative_number_is_a_value_and_no_option(word: str) -> None:
    parser = Parser()
    parser.add_argument("--radius")
    parser.add_argument("-k")
    parser.add_argument("places", nargs="*")
    assert parser.parse_args(["--radius", word, "-k", word, word]) == argparse.Namespace(
        radius=word, k=word, places=[word]
    )


def test_names_and_numbers() -> None:
    assert names("a,,b") == ["a", "b"]
    assert at_least_one("12") == 12
    for text in ("0", "-1", "1.5", "", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="wanted a whole number from 1"):
            at_least_one(text)
