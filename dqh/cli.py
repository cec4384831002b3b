"""`dqh VERB …`: what is done with artifacts and indexes; experiments have `train.py` and `evaluate.py`.

A verb is one function of `VERBS`, in `dqh.verbs`: it adds its parser and names the function that runs. Results
go to stdout, messages to stderr, and `--json` makes the result one JSON object. What a verb needs is imported when it
runs.

Exit status: 0 all well, 1 corrupt or mismatched, 2 usage, 3 too many bad images, 130 / 143 interrupted.
"""

import argparse
import codecs
import io
import logging
import signal
import sys
from collections.abc import Callable, Sequence

import dqh
from dqh.config import exit_status
from dqh.verbs.exporting import export, verify
from dqh.verbs.keeping import check, compact, index, info, remove
from dqh.verbs.searching import search
from dqh.verbs.verb import Verbs

TERMINATED = 143  # 128 + SIGTERM


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: arguments; those of the process where None.

    Returns:
        The exit status.

    Raises:
        SystemExit: with the exit status of an error, or 2 where the arguments make no sense.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("dqh").setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("names", written)
        sys.stdout.reconfigure(errors="names")
    signal.signal(signal.SIGTERM, _terminated)
    arguments = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    with exit_status():
        return run(arguments)


def written(error: UnicodeError) -> tuple[bytes, int]:
    """An error handler of stdout: file names that are no UTF-8 come out as they are, what it cannot hold as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = [
        each.encode("ascii", "surrogateescape" if "\udc80" <= each <= "\udcff" else "backslashreplace")
        for each in error.object[error.start : error.end]
    ]
    return b"".join(parts), error.end


def parser() -> argparse.ArgumentParser:
    """The parser with all verbs."""
    whole = argparse.ArgumentParser(
        prog="dqh",
        description="Work with trained artifacts, and with indexes of images: make, search and keep them.",
        epilog="To train or evaluate: python train.py --help, python evaluate.py --help. "
        "Exit status: 0 all well, 1 corrupt or mismatched, 2 usage, 3 too many bad images, 130 / 143 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"dqh {dqh.__version__}")
    verbs = whole.add_subparsers(metavar="VERB", required=True)
    for add in VERBS:
        add(verbs)
    return whole


VERBS: tuple[Callable[[Verbs], None], ...] = (
    export,
    verify,
    index,
    search,
    remove,
    compact,
    check,
    info,
)


def _terminated(number: int, frame: object) -> None:
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    raise SystemExit(main())
