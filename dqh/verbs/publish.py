"""`dqh publish`: the newest version of an index is copied into an object store."""

import argparse
from typing import TYPE_CHECKING

from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, local, print_json, store_url

if TYPE_CHECKING:
    from dqh.index.store.published_copy import Copied


def add(verbs: Verbs) -> None:
    """`dqh publish INDEX URL`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.index.store.published_copy import publish_copy

        copied = publish_copy(arguments.index, arguments.url, check=arguments.check)
        tell_copied(copied, arguments.url, as_json=arguments.json)
        return 0

    own = add_verb(verbs, "publish", run, "copy the newest version of an index into an object store, for dqh fetch")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index, which stays as it is")
    own.add_argument(
        "url", type=store_url, metavar="URL", help="s3://bucket/photos.index; what is there of it already stays"
    )
    own.add_argument(
        "--check",
        action="store_true",
        help="look at the content of all files that are there, and put those there again that are damaged",
    )


def tell_copied(copied: "Copied", place: object, *, as_json: bool) -> None:
    """What a copy did."""
    if as_json:
        print_json(copied._asdict())
        return
    say(
        f"version {copied.version} with {copied.rows:,} rows is in {place}: {counted(copied.files, 'file')} copied, "
        f"{counted(copied.bytes, 'byte')}, {counted(copied.kept, 'was', 'were')} there"
    )
