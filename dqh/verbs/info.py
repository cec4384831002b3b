"""`dqh info`: what an index consists of."""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, print_json

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh info INDEX`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.collection.artifact_note import remembered_artifact
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
