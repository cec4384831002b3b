"""`dqh verify`: an artifact, or what left for other systems, is checked."""

import argparse
import logging
from pathlib import Path

from dqh.commands import command
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, print_json

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh verify ARTIFACT [--trust]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.artifact.manifest import MANIFEST, manifest_name
        from dqh.detection.trained_manifest import is_trained
        from dqh.export.verify import verify as verify_folder
        from dqh.index.store.place import versions_in

        folder = arguments.artifact
        if is_trained(folder):
            return _verify_detector(folder, as_json=arguments.json)
        if not (folder / manifest_name(folder)).is_file() and versions_in(folder):
            own.error(f"{folder} is an index, {MANIFEST} is not there; check it: {command('dqh', 'check', folder)}")
        report = verify_folder(arguments.artifact, trust=arguments.trust)
        for file in report.unlisted:
            logger.warning("not listed, so not checked: %s", arguments.artifact / file)
        if arguments.json:
            print_json(report.to_json())
        else:
            say(*report.text().split("\n"))
        return 0 if report.holds else 1

    own = add_verb(verbs, "verify", run, "check every hash, and the golden inputs on every runtime that is here")
    own.add_argument("artifact", type=Path, metavar="ARTIFACT", help="an artifact, or what dqh export --out wrote")
    own.add_argument("--trust", action="store_true", help="run encoder.pt2 too, which unpickles: for files you trust")


def _verify_detector(folder: Path, *, as_json: bool) -> int:
    """Every hash of a detector that was trained here, and its golden inputs."""
    from dqh.detection.trained_detector import load_trained, verify_trained

    detector = load_trained(folder)
    verdict = verify_trained(folder, detector)
    if as_json:
        print_json({"method": detector.method, "classes": len(detector.spec.classes), **verdict._asdict()})
    else:
        say(
            f"{folder}: {detector.method}, {len(detector.spec.classes)} classes, every hash holds",
            f"torch: {verdict.inputs} golden inputs, boxes differ by {verdict.box_error:.1e} of the side, scores by "
            f"{verdict.score_error:.1e}{'' if verdict.holds else ': FAILED'}",
        )
    return 0 if verdict.holds else 1
