"""`dqh index`: images are put into an index, the new ones and those that have changed."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dqh.commands import command
from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.engines import add_executor, executor_of_options
from dqh.verbs.verb import Verbs, add_bits, add_runtime, add_verb, at_least_one, fraction, local, print_json, whole

if TYPE_CHECKING:
    from dqh.collection import Indexed
    from dqh.collection.elsewhere import PartitionRow
    from dqh.executors import Executor
    from dqh.scale.index_job import PartitionedIndexing

logger = logging.getLogger(__name__)

_MOST_LINES = 40
"""Partitions that are shown."""

_STAY = "of them were usable before, and the index keeps their rows"


def add(verbs: Verbs) -> None:
    """`dqh index ARTIFACT IMAGES… --out INDEX [--bits N] [--objects DETECTOR] [--tags TABLE]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.collection import TooManyUnusableError, index_images

        try:
            with executor_of_options(own, arguments) as executor:
                done = index_images(
                    arguments.artifact,
                    arguments.images,
                    arguments.out,
                    bits=arguments.bits,
                    objects=arguments.objects,
                    tags=arguments.tags,
                    device=arguments.device,
                    runtime=arguments.runtime,
                    batch_size=arguments.batch_size,
                    workers=arguments.workers if executor is None else None,
                    max_bad_fraction=arguments.max_bad_fraction,
                    portion=arguments.portion,
                    elsewhere=None if executor is None else _elsewhere(executor, arguments),
                )
        except TooManyUnusableError as error:
            _tell(error.done, arguments)
            raise
        _tell(done, arguments)
        return 0

    own = add_verb(verbs, "index", run, "put images into an index: the new ones, and those that have changed")
    own.add_argument("artifact", type=local, metavar="ARTIFACT", help="the artifact/ folder of a run")
    own.add_argument(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="folders, list files, .parquet tables, or single images, by path or by URL (s3://bucket/photos)",
    )
    own.add_argument(
        "--out", type=local, required=True, metavar="INDEX", help="folder of the index; made where missing"
    )
    own.add_argument(
        "--objects",
        type=local,
        metavar="DETECTOR",
        help="what this detector sees in an image gets rows too, one an object; else the one that the index remembers",
    )
    own.add_argument(
        "--tags",
        type=local,
        metavar="TABLE",
        help="words for images, a line file,tag[,weight], or a .parquet table; they replace all that the index has",
    )
    add_bits(own)
    add_runtime(own)
    own.add_argument("--batch-size", type=at_least_one, default=256, metavar="N", help="images at a time (256)")
    own.add_argument(
        "--workers",
        type=whole,
        metavar="N",
        help="processes, with objects threads, that decode (one a CPU, up to 16); with --executor, that do all of it",
    )
    own.add_argument("--portion", type=at_least_one, default=4096, metavar="N", help="images a commit (4096)")
    own.add_argument(
        "--max-bad-fraction", type=fraction, default=0.01, metavar="F", help="above it the exit status is 3 (0.01)"
    )
    add_executor(own)
    own.add_argument(
        "--parts",
        type=local,
        metavar="DIR",
        help="folder for what partitions make until the commit, which all workers see (INDEX.parts)",
    )


def _elsewhere(executor: "Executor", arguments: argparse.Namespace) -> "PartitionedIndexing":
    from dqh.scale.index_job import PartitionedIndexing

    return PartitionedIndexing(executor, partitions=arguments.partitions, parts=arguments.parts)


def _tell(done: "Indexed", arguments: argparse.Namespace) -> None:
    """What a run of `dqh index` did."""
    if arguments.json:
        print_json(asdict(done))
    else:
        rows = f"{done.rows - done.objects:,} images"
        if done.objects or done.detected:
            rows += f" and {counted(done.objects, 'object')} ({done.detected:,} of them new)"
        say(
            f"{done.added:,} added, {done.replaced:,} replaced, {done.relabelled:,} relabelled, "
            f"{done.unchanged:,} unchanged, {done.skipped:,} unusable: {rows} in version {done.version} of "
            f"{arguments.out}",
            *_table(done.partitions),
        )
    if done.added + done.replaced:
        logger.info("%.0f images/s, %.1f s in all", done.images_per_s, done.seconds)
    if done.failed:
        logger.warning(
            "%s in partitions that failed: see %s; run the command again",
            counted(done.failed, "image is", "images are"),
            arguments.out / "failed.csv",
        )
    if done.left_out:
        logger.info(
            "%s no row: smaller than 8 pixels a side, or the box of another object",
            counted(done.left_out, "box of the detector got", "boxes of the detector got"),
        )
    if done.tagged:
        logger.info("%s in the index %s tags", counted(done.tagged, "image"), "has" if done.tagged == 1 else "have")
    if done.skipped:
        logger.warning("%s cannot be used: see %s", counted(done.skipped, "image"), done.report)
    if done.stale:
        logger.warning(
            "%s; take out what shall go: %s",
            counted(done.stale, "of them was usable before, and the index keeps its row", _STAY),
            command("dqh", "remove", arguments.out, "PATH"),
        )


def _table(partitions: "Sequence[PartitionRow]") -> list[str]:
    """A line a partition, the failed ones first where there are many."""
    if not partitions:
        return []
    shown = sorted(partitions, key=lambda row: row.state != "failed")[:_MOST_LINES]
    lines = [
        f"{row.partition:9}  {row.images:6,}  {row.state:7}  {row.seconds:7.1f}  {row.worker or '-':20}  "
        f"{row.reason or row.first}"
        for row in sorted(shown, key=lambda row: row.partition)
    ]
    more = len(partitions) - len(shown)
    return [
        "partition  images  state    seconds  worker                first image, or why it failed",
        *lines,
        *([f"and {more:,} more, which --json has"] if more else []),
    ]
