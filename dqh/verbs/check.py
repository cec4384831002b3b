"""`dqh check`: every byte of an index is checked, and what its approximate engines find."""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

from dqh.commands import command
from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, at_least_one, names, print_json, usage_error

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh check INDEX [--engines NAME,…]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.artifact.manifest import manifest_name
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
