"""`dqh compact`: an index is written anew without the rows that were deleted."""

import argparse
from dataclasses import asdict

from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, local, print_json


def add(verbs: Verbs) -> None:
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
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
