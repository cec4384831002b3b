"""`dqh VERB …`: what is done with artifacts and indexes; experiments have `train.py` and `evaluate.py`.

A verb is one function of `VERBS`, here or in `dqh.verbs`: it adds its parser and names the function that runs. Results
go to stdout, messages to stderr, and `--json` makes the result one JSON object. What a verb needs is imported when it
runs.

Exit status: 0 all well, 1 corrupt or mismatched, 2 usage, 3 too many bad images, 130 / 143 interrupted.
"""

import argparse
import io
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import dqh
from dqh.config import exit_status
from dqh.verbs.keeping import check, compact, index, info, remove
from dqh.verbs.searching import search
from dqh.verbs.verb import Verbs, add_verb, names, print_json

logger = logging.getLogger(__name__)

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
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are no UTF-8 come out as they are
    signal.signal(signal.SIGTERM, _terminated)
    arguments = parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    with exit_status():
        return run(arguments)


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


def export(verbs: Verbs) -> None:
    """`dqh export ARTIFACT --to onnx,pt2,faiss,triton [--out DIR]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.export.faiss_form import LISTS, Lists
        from dqh.export.forms import export_forms
        from dqh.export.reading import read_codes

        of_faiss = [each for each in ("lists", "codes") if getattr(arguments, each) is not None]
        if of_faiss and "faiss" not in arguments.to:
            own.error(f"--{of_faiss[0]} belongs to --to faiss, got --to {','.join(arguments.to)}")
        sample = None if arguments.codes is None else read_codes(arguments.codes)
        lists = Lists(LISTS if arguments.lists is None else arguments.lists, sample)
        exported = export_forms(arguments.artifact, arguments.to, out=arguments.out, lists=lists)
        if arguments.json:
            print_json(exported._asdict() | {"folder": str(exported.folder)})
        else:
            for file, size in exported.sizes.items():
                print(f"{size:>12,}  {exported.folder / file}")
        logger.info("check with: dqh verify %s", exported.folder)
        return 0

    own = add_verb(verbs, "export", run, "write forms of an artifact that other services read")
    own.add_argument("artifact", type=Path, metavar="ARTIFACT", help="the artifact/ folder of a run")
    own.add_argument(
        "--to", type=names, required=True, metavar="FORM,…", help="some of onnx, pt2 (torch.export), faiss, triton"
    )
    own.add_argument("--out", type=Path, metavar="DIR", help="a folder for the forms; else they go into the artifact")
    own.add_argument("--lists", type=int, metavar="N", help="faiss: inverted lists at most (256)")
    own.add_argument(
        "--codes", type=Path, metavar="FILE.npy", help="faiss: codes of a collection, whose centres the lists get"
    )


def verify(verbs: Verbs) -> None:
    """`dqh verify ARTIFACT [--trust]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.export.verify import verify as verify_folder

        found = verify_folder(arguments.artifact, trust=arguments.trust)
        if arguments.json:
            print_json(found.to_json())
        else:
            print(found.text())
        for each in found.unlisted:
            logger.warning("not listed, so not checked: %s", arguments.artifact / each)
        return 0 if found.holds else 1

    own = add_verb(verbs, "verify", run, "check every hash, and the golden inputs on every runtime that is here")
    own.add_argument("artifact", type=Path, metavar="ARTIFACT", help="an artifact, or what dqh export --out wrote")
    own.add_argument("--trust", action="store_true", help="run encoder.pt2 too, which unpickles: for files you trust")


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
