"""What all verbs of the command line have in common."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from dqh.errors import DqhError
from dqh.terminal import say, shown

Verbs = Any
"""What `ArgumentParser.add_subparsers` gives; argparse keeps its type to itself."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints show names that come from others with escapes, and whose help is printed as results."""

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


def add_verb(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Add a verb with what all verbs have in common."""
    own: argparse.ArgumentParser = verbs.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
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


def add_runtime(own: argparse.ArgumentParser) -> None:
    """`--device` and `--runtime` of a verb that encodes images."""
    own.add_argument("--device", metavar="NAME", help="cpu or cuda; else CUDA where there is one")
    own.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        default="torch",
        help="that encodes images: torch, or ONNX Runtime on the CPU by the artifact's encoder.onnx",
    )


def print_json(result: dict[str, Any]) -> None:
    """One JSON object on stdout; ASCII, so that file names of any bytes survive."""
    say(json.dumps(result, allow_nan=False))
