"""`dqh remove`: images are taken out of an index."""

import argparse
import logging

from dqh.commands import command
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, local, print_json, usage_error

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
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
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
    own.add_argument("paths", nargs="*", metavar="PATH", help="of images, as dqh search names them, or as files")
    own.add_argument(
        "--where", metavar="FILTER", help="what else goes, such as \"label = 'hat'\"; objects go with their image"
    )
