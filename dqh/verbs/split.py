"""`dqh split`: an index becomes shards, each to be served by a machine of its own."""

import argparse

from dqh.commands import command
from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, at_least_one, local, print_json


def add(verbs: Verbs) -> None:
    """`dqh split INDEX --shards N --out DIR`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.index.store import info
        from dqh.index.store.splitting import split

        folders = split(arguments.index, arguments.out, shards=arguments.shards)
        rows = [info(folder).rows for folder in folders]
        if arguments.json:
            shards = [{"path": str(folder), "rows": count} for folder, count in zip(folders, rows, strict=True)]
            print_json({"shards": shards, "rows": sum(rows)})
            return 0
        ports = range(8001, 8001 + len(folders))
        say(f"{counted(sum(rows), 'row')} in {counted(len(folders), 'shard')}; serve each, anywhere, and a router:")
        for folder, count, port in zip(folders, rows, ports, strict=True):
            say(f"  {command('dqh', 'serve', folder, '--port', str(port))}   # {counted(count, 'row')}")
        urls = (f"http://127.0.0.1:{port}" for port in ports)
        say(f"  {command('dqh', 'serve', *(word for url in urls for word in ('--shard', url)))}")
        return 0

    own = add_verb(verbs, "split", run, "copy an index into shards, each to be served by itself, and searched as one")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index, which stays as it is")
    own.add_argument("--shards", type=at_least_one, required=True, metavar="N", help="how many")
    own.add_argument("--out", type=local, required=True, metavar="DIR", help="new folder, for the shards 0, 1, …")
