"""What all verbs of the command line have in common."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from dqh.errors import DqhError
from dqh.terminal import say, shown
from dqh.urls import is_url, not_local, spelt

Verbs = Any
"""What `ArgumentParser.add_subparsers` gives; argparse keeps its type to itself."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints show names that come from others with escapes, and whose help is printed as results.

    Any word that begins as a negative number is the value of an option, not only those that argparse knows for one.

    Attributes:
        mixed: whether arguments may stand between and behind options, and not in one row alone.
        when_told: makes, for the help of arguments, what is not known before much is loaded: by the argument's name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.when_told: dict[str, Callable[[], str]] = {}
        self.mixed = False
        self._negative_number_matcher = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; see `mixed`."""
        parsed = super().parse_known_args(args, namespace)
        if not self.mixed or not parsed[1] or namespace is not None:
            return parsed
        self.mixed = False  # of the calls that follow from this one
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixed = True

    def format_help(self) -> str:
        """The help, with what is made only for it."""
        for action in self._actions:
            if action.dest in self.when_told:
                action.help = self.when_told[action.dest]()
        return super().format_help()

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or version; argparse itself swallows the error of a full disk."""
        if file is sys.stdout:
            say(*message.removesuffix("\n").split("\n"))
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and end with status 2."""
        super().error("\n".join(map(shown, message.split("\n"))))


def usage_error(own: argparse.ArgumentParser, error: Exception) -> NoReturn:
    """End with a message about arguments and status 2; a `DqhError`, which knows its exit status itself, is raised."""
    if isinstance(error, DqhError):
        raise error
    own.error(shown(str(error)))


def add_verb(verbs: Verbs, name: str, run: Callable[[argparse.Namespace], int], summary: str) -> Parser:
    """Add a verb with what all verbs have in common."""
    own: Parser = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    own.mixed = True
    own.add_argument("--json", action="store_true", help="the result as one JSON object on stdout")
    own.set_defaults(run=run)
    return own


def names(text: str) -> list[str]:
    """Names between commas."""
    return [name for name in text.split(",") if name]


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"wanted a whole number from 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"wanted a whole number from 0, got {text!r}")
    return int(text)


def fraction(text: str) -> float:
    """A number in 0 … 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"wanted a number in 0 … 1, got {text!r}")
    return value


def local(text: str) -> Path:
    """A path of this machine, as every verb takes it but for images and `store_url`."""
    if problem := not_local(text):
        raise argparse.ArgumentTypeError(problem)
    return Path(text)


def store_url(text: str) -> str:
    """A URL of an object store."""
    if not is_url(text):
        raise argparse.ArgumentTypeError(
            f"wanted a URL, such as s3://bucket/photos.index, got {text!r}; a folder of this machine is copied by cp -r"
        )
    return spelt(text)


def add_runtime(own: argparse.ArgumentParser) -> None:
    """`--device` and `--runtime` of a verb that encodes images."""
    own.add_argument("--device", metavar="NAME", help="cpu or cuda; else CUDA where there is one")
    own.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        default="torch",
        help="that encodes images: torch, or ONNX Runtime on the CPU by the artifact's encoder.onnx",
    )


def add_bits(own: argparse.ArgumentParser) -> None:
    """`--bits` of a verb that takes an artifact, which may have codes of several lengths."""
    own.add_argument(
        "--bits", type=at_least_one, metavar="N", help="which length of an artifact of several; else its main one"
    )


def print_json(result: dict[str, Any]) -> None:
    """One JSON object on stdout; ASCII, so that file names of any bytes survive."""
    say(json.dumps(result, allow_nan=False))
