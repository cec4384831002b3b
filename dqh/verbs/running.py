"""All verbs, and how one of them runs: streams, messages, arguments, exit status."""

import argparse
import logging
from collections.abc import Callable, Sequence

import dqh
from dqh.config import exit_status
from dqh.terminal import log_to_stderr, open_streams
from dqh.verbs import (
    check,
    cluster,
    compact,
    detector,
    duplicates,
    export,
    fetch,
    index,
    info,
    lens,
    look,
    publish,
    related,
    remove,
    search,
    serve,
    split,
    verify,
)
from dqh.verbs.verb import Parser

VERBS = (
    *(export, verify, detector, index, search, look, lens, related, serve, cluster, duplicates, remove),
    *(compact, split, publish, fetch, check, info),
)
"""One file a verb, in the order of `dqh --help`; each has `add`, which adds the verb with its arguments."""


def run(argv: Sequence[str] | None = None) -> int:
    """Run one verb; see `dqh.cli.main`."""
    open_streams()
    log_to_stderr(logging.WARNING)
    logging.getLogger("dqh").setLevel(logging.INFO)
    with exit_status():
        arguments = parser().parse_args(argv)
        verb: Callable[[argparse.Namespace], int] = arguments.run
        return verb(arguments)


def parser() -> argparse.ArgumentParser:
    """The parser with all verbs."""
    whole = Parser(
        prog="dqh",
        description="Work with trained artifacts, and with indexes of images: make, search and keep them.",
        epilog="To train or evaluate: python train.py --help, python evaluate.py --help. "
        "Exit status: 0 all well, 1 corrupt or mismatched, 2 usage, 3 too many bad images, 130 / 143 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"dqh {dqh.__version__}")
    verbs = whole.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        verb.add(verbs)
    return whole
