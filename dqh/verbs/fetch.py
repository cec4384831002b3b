"""`dqh fetch`: the newest version of an index in an object store comes into a folder of this machine."""

import argparse

from dqh.verbs.publish import tell_copied
from dqh.verbs.verb import Verbs, add_verb, local, store_url


def add(verbs: Verbs) -> None:
    """`dqh fetch URL INDEX`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.index.store.fetched_copy import fetch_copy

        tell_copied(fetch_copy(arguments.url, arguments.index), arguments.index, as_json=arguments.json)
        return 0

    own = add_verb(verbs, "fetch", run, "copy the newest version of an index from an object store into a folder here")
    own.add_argument(
        "url", type=store_url, metavar="URL", help="where dqh publish has put it: s3://bucket/photos.index"
    )
    own.add_argument(
        "index", type=local, metavar="INDEX", help="a new folder, or one with an older version of the same index"
    )
