"""`dqh index | remove | compact | check | info`: an index is made and kept."""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dqh.commands import command
from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_runtime, add_verb, at_least_one, names, print_json, usage_error

if TYPE_CHECKING:
    from dqh.collection import Indexed

logger = logging.getLogger(__name__)

_STAY = "of them were usable before, and the index keeps their rows"


def index(verbs: Verbs) -> None:
    """`dqh index ARTIFACT IMAGES… --out INDEX`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.collection import TooManyUnusableError, index_images

        try:
            done = index_images(
                arguments.artifact,
                arguments.images,
                arguments.out,
                device=arguments.device,
                runtime=arguments.runtime,
                batch_size=arguments.batch_size,
                workers=arguments.workers,
                max_bad_fraction=arguments.max_bad_fraction,
                portion=arguments.portion,
            )
        except TooManyUnusableError as error:
            _tell(error.done, arguments)
            raise
        _tell(done, arguments)
        return 0

    own = add_verb(verbs, "index", run, "put images into an index: the new ones, and those that have changed")
    own.add_argument("artifact", type=Path, metavar="ARTIFACT", help="the artifact/ folder of a run")
    own.add_argument(
        "images", nargs="+", metavar="IMAGES", help="folders, list files, .parquet tables, or single images"
    )
    own.add_argument("--out", type=Path, required=True, metavar="INDEX", help="folder of the index; made where missing")
    add_runtime(own)
    own.add_argument("--batch-size", type=at_least_one, default=256, metavar="N", help="images at a time (256)")
    own.add_argument("--workers", type=_whole, metavar="N", help="processes that decode (one a CPU, up to 16)")
    own.add_argument("--portion", type=at_least_one, default=4096, metavar="N", help="images a commit (4096)")
    own.add_argument(
        "--max-bad-fraction", type=_fraction, default=0.01, metavar="F", help="above it the exit status is 3 (0.01)"
    )


def remove(verbs: Verbs) -> None:
    """`dqh remove INDEX [PATH…] [--where FILTER]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.index.store import remove as remove_rows

        if not arguments.paths and arguments.where is None:
            own.error("name what to remove: give paths, --where, or both")
        try:
            ids = remove_rows(arguments.index, paths=arguments.paths, where=arguments.where)
        except ValueError as error:
            usage_error(own, error)
        if arguments.json:
            print_json({"removed": ids})
        else:
            say(f"{len(ids):,} removed from {arguments.index}")
        logger.info("their room is free after: %s", command("dqh", "compact", arguments.index))
        return 0

    own = add_verb(verbs, "remove", run, "take images out of an index")
    own.add_argument("index", type=Path, metavar="INDEX", help="folder of the index")
    own.add_argument("paths", nargs="*", metavar="PATH", help="of images, as dqh search names them, or as files")
    own.add_argument("--where", metavar="FILTER", help="what else goes, such as \"label = 'hat'\"")


def compact(verbs: Verbs) -> None:
    """`dqh compact INDEX`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.index.store import compact as compact_index
        from dqh.index.store import info as info_of

        before = info_of(arguments.index)
        compact_index(arguments.index)
        after = info_of(arguments.index)
        if arguments.json:
            print_json({"before": asdict(before), "after": asdict(after)})
        else:
            say(
                f"version {before.version} → {after.version}: {before.segments:,} → {after.segments:,} segments, "
                f"{before.deleted:,} → {after.deleted:,} deleted rows, {before.bytes:,} → {after.bytes:,} bytes"
            )
        return 0

    own = add_verb(verbs, "compact", run, "write an index anew without the rows that were deleted")
    own.add_argument("index", type=Path, metavar="INDEX", help="folder of the index")


def check(verbs: Verbs) -> None:
    """`dqh check INDEX [--engines NAME,…]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.export.manifest import manifest_name
        from dqh.index.store import check as check_index
        from dqh.index.store.newest import versions_in

        folder = arguments.index
        if not versions_in(folder) and (folder / (name := manifest_name(folder))).is_file():
            own.error(f"{folder} is no index, it has {name}; verify it: {command('dqh', 'verify', folder)}")
        try:
            found = check_index(arguments.index, engines=arguments.engines, k=arguments.k)
        except ValueError as error:
            usage_error(own, error)
        for each in found.leftovers:
            logger.warning("of no version, the next writer removes it: %s", arguments.index / each)
        if found.unchecked:
            logger.warning("not checked, since no version lists them: %s", ", ".join(found.unchecked))
        if arguments.json:
            recalls = [each._asdict() for each in found.recalls]
            problems = [each._asdict() for each in found.problems]
            print_json(asdict(found) | {"recalls": recalls, "problems": problems})
        else:
            say(
                f"version {found.version}: {found.rows:,} rows, {found.files:,} files, {found.bytes:,} bytes",
                *(
                    f"{recall.engine}: recall@{recall.k} {recall.recall:.4f} over "
                    f"{counted(recall.queries, 'query', 'queries')}"
                    for recall in found.recalls
                ),
                *(f"{problem.file}: {problem.what}" for problem in found.problems),
                "NOT as it was written" if found.problems else f"all is well with what version {found.version} lists",
            )
        return 1 if found.problems else 0

    own = add_verb(verbs, "check", run, "check every byte of an index, and what its approximate engines find")
    own.add_argument("index", type=Path, metavar="INDEX", help="folder of the index")
    own.add_argument(
        "--engines",
        type=lambda text: tuple(names(text)),
        metavar="NAME,…",
        help="whose recall is measured: binary_ivf, binary_hnsw, ivfpq, hnsw; else those in use",
    )
    own.add_argument("-k", type=at_least_one, default=100, metavar="K", help="answers a query for it (100)")


def info(verbs: Verbs) -> None:
    """`dqh info INDEX`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.collection.places import remembered_artifact
        from dqh.errors import NoArtifactError
        from dqh.index.store import info as info_of

        fields = asdict(info_of(arguments.index))
        try:
            fields["artifact"] = str(remembered_artifact(arguments.index))
        except NoArtifactError as error:
            fields["artifact"] = None
            logger.warning("%s", error)
        if arguments.json:
            print_json(fields)
        else:
            say(*(f"{name:<13} {'–' if value is None else value}" for name, value in fields.items()))
        return 0

    own = add_verb(verbs, "info", run, "what an index consists of")
    own.add_argument("index", type=Path, metavar="INDEX", help="folder of the index")


def _tell(done: "Indexed", arguments: argparse.Namespace) -> None:
    """What a run of `dqh index` did."""
    if arguments.json:
        print_json(asdict(done))
    else:
        say(
            f"{done.added:,} added, {done.replaced:,} replaced, {done.relabelled:,} relabelled, "
            f"{done.unchanged:,} unchanged, {done.skipped:,} unusable: {done.rows:,} images in version "
            f"{done.version} of {arguments.out}"
        )
    if done.added + done.replaced:
        logger.info("%.0f images/s, %.1f s in all", done.images_per_s, done.seconds)
    if done.skipped:
        logger.warning("%s cannot be used: see %s", counted(done.skipped, "image"), done.report)
    if done.stale:
        logger.warning(
            "%s; take out what shall go: %s",
            counted(done.stale, "of them was usable before, and the index keeps its row", _STAY),
            command("dqh", "remove", arguments.out, "PATH"),
        )


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"wanted a whole number from 0, got {text!r}")
    return int(text)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"wanted a number in 0 … 1, got {text!r}")
    return value
