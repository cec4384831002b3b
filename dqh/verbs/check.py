"""`dqh check`: every byte of an index is checked, and what its approximate engines find."""

import argparse
import logging
from dataclasses import asdict

from dqh.commands import command
from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, at_least_one, local, names, print_json, usage_error

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh check INDEX [--engines NAME,…] [--way NAME]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.artifact.manifest import manifest_name
        from dqh.index.store import check as check_index
        from dqh.index.store.place import versions_in

        folder = arguments.index
        if not versions_in(folder) and (folder / (name := manifest_name(folder))).is_file():
            own.error(f"{folder} is no index, it has {name}; verify it: {command('dqh', 'verify', folder)}")
        try:
            checked = check_index(arguments.index, engines=arguments.engines, way=arguments.way, k=arguments.k)
        except ValueError as error:
            usage_error(own, error)
        for leftover in checked.leftovers:
            logger.warning("of no version, the next writer removes it: %s", arguments.index / leftover)
        if checked.unchecked:
            logger.warning("not checked, since no version lists them: %s", ", ".join(checked.unchecked))
        if arguments.json:
            recalls = [recall._asdict() for recall in checked.recalls]
            problems = [problem._asdict() for problem in checked.problems]
            print_json(asdict(checked) | {"recalls": recalls, "problems": problems})
        else:
            say(
                f"version {checked.version}: {checked.rows:,} rows, {checked.files:,} files, {checked.bytes:,} bytes",
                *(
                    f"{recall.engine} by {recall.way}: recall@{recall.k} {recall.recall:.4f} over "
                    f"{counted(recall.queries, 'query', 'queries')}"
                    for recall in checked.recalls
                ),
                *(f"{problem.file}: {problem.what}" for problem in checked.problems),
                "NOT as it was written"
                if checked.problems
                else f"all is well with what version {checked.version} lists",
            )
        return 1 if checked.problems else 0

    own = add_verb(verbs, "check", run, "check every byte of an index, and what its approximate engines find")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
    own.add_argument(
        "--engines",
        type=lambda text: tuple(names(text)),
        metavar="NAME,…",
        help="whose recall is measured",
    )
    own.when_told["engines"] = _help_of_engines
    own.add_argument(
        "--way",
        metavar="NAME",
        help="by which codes are compared: see `dqh search`; else their own, and those of kept engines",
    )
    own.add_argument("-k", type=at_least_one, default=100, metavar="K", help="answers a query for it (100)")


def _help_of_engines() -> str:
    """All that may leave something out."""
    from dqh.index.engines import ENGINES

    names = ", ".join(name for name, engine in ENGINES.items() if not engine.exact)
    return f"whose recall is measured: {names}, of those that fit; else those in use"
