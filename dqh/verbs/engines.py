"""`--executor` of a verb whose job has partitions."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from dqh.verbs.verb import at_least_one, local, whole

if TYPE_CHECKING:
    from dqh.executors import Executor

_ONLY = ("partitions", "address", "worker_memory", "temporary", "gpus", "parts")
"""Options that say something with `--executor` alone, in so far as a verb has them."""


def add_executor(own: argparse.ArgumentParser, *, workers: bool = False) -> None:
    """The options; `workers` says whether theirs is not there yet."""
    if workers:
        own.add_argument("--workers", type=at_least_one, metavar="N", help="of --executor (one a core)")
    own.add_argument(
        "--executor",
        choices=("local", "ray", "spark"),
        help="who does the work, by partitions: processes of this machine, Ray, or Spark; else this process",
    )
    own.add_argument("--partitions", type=at_least_one, metavar="N", help="parts of the work at most (4 a worker)")
    own.add_argument("--address", metavar="URL", help="a cluster of Ray, or master of Spark, that runs; else one here")
    own.add_argument(
        "--worker-memory",
        type=at_least_one,
        metavar="MIB",
        help="that a worker may take, with spark its Java (1024)",
    )
    own.add_argument(
        "--temporary", type=local, metavar="DIR", help="folder for what Ray or Spark keeps on disk meanwhile"
    )
    own.add_argument("--gpus", type=whole, metavar="N", help="that a worker of Ray or Spark asks for (0)")


@contextmanager
def executor_of_options(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> "Iterator[Executor | None]":
    """The executor that was asked for, closed behind the block; None for this process.

    An option that needs one ends the program with status 2 where there is none.
    """
    if arguments.executor is None:
        alone = [f"--{name.replace('_', '-')}" for name in _ONLY if getattr(arguments, name, None) is not None]
        if alone:
            own.error(f"{', '.join(alone)}: only with --executor")
    from dqh.scale.asked_executor import asked_executor

    with asked_executor(vars(arguments)) or nullcontext() as executor:
        yield executor
